import { createHash, createHmac, randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { readHandshake } from '../bittorrent/incoming-wire.ts';
import { RateLimiter } from '../bittorrent/rate-limiter.ts';
import { systemClock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { withFolderLock } from '../common/folder-lock.ts';
import { type NetworkId, parsePeerInstance, type ShareId, shareIdFromBytes } from '../common/ids.ts';
import { type Logger, prefixed } from '../common/log.ts';
import type { Identity } from '../transport/identity.ts';
import { PeerListener } from '../transport/listener.ts';
import { PendingSockets } from '../transport/pending-sockets.ts';
import { PortMapper } from '../transport/port-mapper.ts';
import type { PeerApi, RateLimits } from './api.ts';
import { openIdentity } from './device-identity.ts';
import { DevicePeers } from './device-peers.ts';
import { RootCache } from './files/root-cache.ts';
import { HashPool } from './hash-pool.ts';
import type { MemberChannel } from './network/channel.ts';
import { RelayHost } from './network/relay/relay-host.ts';
import type { Exclusive } from './network-store.ts';
import { Networks } from './networks.ts';
import { type Listening, openListener } from './open-listener.ts';
import { OwnShares } from './own-shares.ts';
import { PeerNode } from './peer-node.ts';
import { PeerParts } from './peer-parts.ts';
import type { SecretStore } from './secret-store.ts';
import { ShareDecisions } from './share-decisions.ts';
import { StateStore } from './state-store.ts';
import { VersionStore } from './version-store.ts';

export interface PeerOptions {
  /** Directory of the device: what all its peers share. */
  readonly home: string;
  /** Directory of this peer's own state; one running peer at a time. May be `home` itself. */
  readonly instanceDir: string;
  readonly secrets: SecretStore;
  /** For a device that has no name yet; default: user@host. */
  readonly deviceName?: string;
  /** Port 0: the one used last time if it is free, else any. `none`: outbound connections only. See `openListener`. */
  readonly listen: { readonly host: string; readonly port: number } | 'none';
  /** Fail when another program has the port, instead of taking another; default false. */
  readonly portRequired?: boolean;
  /** Look for peers on the local network. */
  readonly lan: boolean;
  /** Carry traffic between members who cannot reach each other directly; default true. Needs `listen`. */
  readonly relay?: boolean;
  /** Ask the router to forward the listening port; default false. */
  readonly portMapping?: boolean;
  readonly limits?: RateLimits;
  /** Path of the hash worker's entry. */
  readonly hashWorker: string;
  readonly logger: Logger;
  /** Addresses (`host:port`) to dial at once. */
  readonly connect?: readonly string[];
  /** Go on with downloads that were running; default true. */
  readonly resume?: boolean;
}

export interface OpenPeer extends PeerApi {
  /** Stores everything and closes; nothing is left running. */
  close(): Promise<void>;
}

/** Connections of members that have not said yet what they are for: in all, and of one device. */
const MOST_SILENT = 512;
const MOST_SILENT_OF_DEVICE = 64;

/** How often to look whether the device has another name, ms. */
const NAME_INTERVAL = 2_000;

/** Version text for other peers. */
const VERSION = 'Peerwire 0.1';

/** Composition root of a peer: opens state and identity, listens, joins its networks and goes on where it stopped. */
export async function openPeer(options: PeerOptions): Promise<OpenPeer> {
  const { logger, secrets, limits } = options;
  const clock = systemClock;
  const report = (message: string): void => logger.warn(message);
  const store = new StateStore(join(options.instanceDir, 'state'), report);
  const deviceStore = new StateStore(join(options.home, 'device'), report);
  const identity = await openIdentity(secrets, deviceStore);
  const instance = await openInstance(store);
  const self = { device: identity.device, instance };
  const devicePeers = new DevicePeers({
    store: new StateStore(join(options.home, 'device', 'peers'), report),
    instance,
    clock,
    logger,
  });
  const peerId = Buffer.concat([Buffer.from('-PW0100-'), randomBytes(12)]);
  const exclusive: Exclusive = async (action) => withFolderLock(await deviceStore.lockPath('peers'), action);
  const listenPort = (): number | undefined => listening?.listener.port;
  const pool = new HashPool({ workerUrl: options.hashWorker, clock });
  const versions = new VersionStore(options.instanceDir, report);
  let listening: Listening | undefined;
  let mapper: PortMapper | undefined;
  const upload = new RateLimiter(clock);
  const relay =
    options.listen === 'none' || options.relay === false
      ? undefined
      : new RelayHost({ clock, logger: prefixed(logger, 'relay'), upload });
  const silent = new PendingSockets(MOST_SILENT, MOST_SILENT_OF_DEVICE);
  const route = (channel: MemberChannel): void => {
    const heard = silent.enter(channel.device);
    if (!heard) {
      channel.close(new PeerwireError('busy', 'Too many connections say nothing.'));
      return;
    }
    void readHandshake(channel, clock)
      .finally(heard)
      .then((incoming) => parts.accept(channel, incoming))
      .catch((error: unknown) => logger.debug(`An accepted connection ended early: ${errorMessage(error)}`));
  };
  const name = { current: await openName(deviceStore, options) };
  let following: Disposable | undefined;
  const followName = async (): Promise<void> => {
    const next = await openName(deviceStore, options).catch(() => name.current);
    if (next === name.current) return;
    name.current = next;
    for (const { node } of networks.list()) node.setDeviceName(next);
  };

  const networks = new Networks({
    identity,
    self,
    deviceName: () => name.current,
    secrets,
    exclusive,
    dir: options.instanceDir,
    clock,
    logger,
    version: VERSION,
    listenPort,
    announcedPort: () => mapper?.mapped?.port ?? listenPort(),
    devicePeers,
    relay,
    acceptRelayed: route,
    ...(options.lan ? { lan: { host: options.listen === 'none' ? '' : options.listen.host } } : {}),
  });
  const shares = new OwnShares({
    ...{ store, versions, pool, clock, logger: prefixed(logger, 'shares') },
    idOf: (network, source) => shareIdOf(identity, network, source),
    decisions: new ShareDecisions(new StateStore(join(options.home, 'device', 'shares'), report), clock),
  });
  const cache = new RootCache();
  const parts = new PeerParts({
    self,
    deviceName: () => name.current,
    peerId,
    dir: options.instanceDir,
    store,
    versions,
    pool,
    cache,
    networks,
    shares,
    clock,
    logger,
    upload,
    ...(limits ? { limits } : {}),
    onClose: async () => {
      following?.dispose();
      listening?.listener.dispose();
      relay?.dispose();
      pool.dispose();
      await Promise.all([mapper?.stop(), devicePeers.close()]);
    },
  });
  const node = new PeerNode(
    {
      self,
      name: {
        get: () => name.current,
        set: async (next) => {
          name.current = next;
          await deviceStore.writeJson('name.json', { name: next });
        },
      },
      listenPort,
      takenPort: () => listening?.taken,
      mapper: () => mapper,
      pool,
      cache,
      networks,
      shares,
      clock,
    },
    parts,
  );
  try {
    await devicePeers.start();
    if (options.listen !== 'none') {
      listening = await openListener({
        ...options.listen,
        ...{ portRequired: options.portRequired === true, store, devicePeers, exclusive, logger },
        open: (host, port) =>
          PeerListener.listen({
            ...{ host, port, identity, instance, logger: prefixed(logger, 'listener') },
            networks: () => networks.trusts(),
          }),
      });
      listening.listener.onChannel(route);
    }
    if (listening && options.portMapping === true) {
      mapper = new PortMapper({ clock, logger: prefixed(logger, 'router'), port: listening.listener.port });
      mapper.onChanged(() => networks.announceAgain());
      mapper.start();
    }
    await parts.start(options.resume ?? true);
    // Set in another window or by a command.
    if (!hasName(options)) following = clock.setInterval(() => void followName(), NAME_INTERVAL);
    if (listening) {
      devicePeers
        .tell(listening.host, listening.listener.port, true)
        .catch((error: unknown) => logger.warn(`Other windows will not find this one: ${errorMessage(error)}`));
    }
    for (const address of options.connect ?? []) await node.addPeerAddress(address);
  } catch (error) {
    await node.close();
    throw error;
  }
  return node;
}

/** By the device's key, so that nobody learns by trying what path is behind it. */
function shareIdOf({ keyPem }: Identity, network: NetworkId, source: string): ShareId {
  const key = createHash('sha256').update('peerwire share id v1').update(keyPem).digest();
  const digest = createHmac('sha256', key).update(`${network}\0${source}`).digest();
  return shareIdFromBytes(digest.subarray(0, 16));
}

async function openInstance(store: StateStore): Promise<ReturnType<typeof parsePeerInstance>> {
  const stored = await store.readJson('instance.json', (value) =>
    parsePeerInstance((value as { instance: string }).instance),
  );
  if (stored !== undefined) return stored;
  const instance = parsePeerInstance(randomBytes(8).toString('hex'));
  await store.writeJson('instance.json', { instance });
  return instance;
}

/** It was named by whoever opens it. */
function hasName({ deviceName }: PeerOptions): boolean {
  return deviceName !== undefined && deviceName.trim() !== '';
}

async function openName(store: StateStore, options: PeerOptions): Promise<string> {
  if (hasName(options)) return options.deviceName?.trim() ?? '';
  const stored = await store.readJson('name.json', (value) => String((value as { name: unknown }).name));
  return stored ?? `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an account, as in some containers.
    return 'user';
  }
}
