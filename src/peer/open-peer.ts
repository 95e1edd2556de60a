import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { readHandshake } from '../bittorrent/incoming-wire.ts';
import { RateLimiter } from '../bittorrent/rate-limiter.ts';
import { systemClock } from '../common/clock.ts';
import { errorCode, errorMessage, PeerwireError } from '../common/errors.ts';
import { withFolderLock } from '../common/folder-lock.ts';
import { parsePeerInstance } from '../common/ids.ts';
import { type Logger, prefixed } from '../common/log.ts';
import type { Identity } from '../transport/identity.ts';
import { PeerListener } from '../transport/listener.ts';
import { PendingSockets } from '../transport/pending-sockets.ts';
import { PortMapper } from '../transport/port-mapper.ts';
import type { PeerApi, RateLimits } from './api.ts';
import { openIdentity } from './device-identity.ts';
import { RootCache } from './files/root-cache.ts';
import { HashPool } from './hash-pool.ts';
import type { MemberChannel } from './network/channel.ts';
import { RelayHost } from './network/relay/relay-host.ts';
import { Networks } from './networks.ts';
import { OwnShares } from './own-shares.ts';
import { PeerNode } from './peer-node.ts';
import { PeerParts } from './peer-parts.ts';
import type { SecretStore } from './secret-store.ts';
import { StateStore } from './state-store.ts';
import type { Member } from './trust/membership.ts';
import { VersionStore } from './version-store.ts';

export interface PeerOptions {
  /** Directory of the device: what all its peers share. */
  readonly home: string;
  /** Directory of this peer's own state; one running peer at a time. May be `home` itself. */
  readonly instanceDir: string;
  readonly secrets: SecretStore;
  /** For a device that has no name yet; default: user@host. */
  readonly deviceName?: string;
  /** Port 0: the one used last time if it is free, else any. `none`: outbound connections only. */
  readonly listen: { readonly host: string; readonly port: number } | 'none';
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
  const peerId = Buffer.concat([Buffer.from('-PW0100-'), randomBytes(12)]);
  const pool = new HashPool({ workerUrl: options.hashWorker, clock });
  const versions = new VersionStore(options.instanceDir, report);
  let listener: PeerListener<Member> | undefined;
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
  const name = { current: await openName(deviceStore, options.deviceName) };

  const networks = new Networks({
    identity,
    self,
    deviceName: () => name.current,
    secrets,
    exclusive: async (action) => withFolderLock(await deviceStore.lockPath('networks'), action),
    dir: options.instanceDir,
    clock,
    logger,
    version: VERSION,
    listenPort: () => listener?.port,
    announcedPort: () => mapper?.mapped?.port ?? listener?.port,
    relay,
    acceptRelayed: route,
    ...(options.lan ? { lan: { host: options.listen === 'none' ? '' : options.listen.host } } : {}),
  });
  const shares = new OwnShares({ store, versions, pool, clock, logger: prefixed(logger, 'shares') });
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
      listener?.dispose();
      relay?.dispose();
      pool.dispose();
      await mapper?.stop();
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
      listenPort: () => listener?.port,
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
    listener = await listen(options, identity, networks, store, instance);
    listener?.onChannel(route);
    if (listener && options.portMapping === true) {
      mapper = new PortMapper({ clock, logger: prefixed(logger, 'router'), port: listener.port });
      mapper.onChanged(() => networks.announceAgain());
      mapper.start();
    }
    await parts.start(options.resume ?? true);
    for (const address of options.connect ?? []) await node.addPeerAddress(address);
  } catch (error) {
    await node.close();
    throw error;
  }
  return node;
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

async function openName(store: StateStore, wanted: string | undefined): Promise<string> {
  if (wanted !== undefined && wanted.trim() !== '') return wanted.trim();
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

async function listen(
  options: PeerOptions,
  identity: Identity,
  networks: Networks,
  store: StateStore,
  instance: ReturnType<typeof parsePeerInstance>,
): Promise<PeerListener<Member> | undefined> {
  if (options.listen === 'none') return undefined;
  const { host, port } = options.listen;
  const open = (at: number): Promise<PeerListener<Member>> =>
    PeerListener.listen({
      host,
      port: at,
      identity,
      instance,
      networks: () => networks.trusts(),
      logger: prefixed(options.logger, 'listener'),
    });
  const last =
    port === 0 ? await store.readJson('listen.json', (value) => Number((value as { port: unknown }).port)) : undefined;
  let listener: PeerListener<Member>;
  try {
    listener = await open(last ?? port);
  } catch (error) {
    // Others remember the port of last time, but it is no promise.
    if (last === undefined) {
      if (errorCode(error) === 'internal') throw error;
      throw new PeerwireError(errorCode(error), `Port ${port} cannot be used: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    listener = await open(0);
  }
  // A write is a wait for the disk.
  if (listener.port !== last) await store.writeJson('listen.json', { port: listener.port });
  return listener;
}
