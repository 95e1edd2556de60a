import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { IncomingWire } from '../bittorrent/incoming-wire.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { DeviceId, NetworkId } from '../common/ids.ts';
import { type Logger, prefixed } from '../common/log.ts';
import { Throttle } from '../common/throttle.ts';
import { dial } from '../transport/dial.ts';
import type { Identity } from '../transport/identity.ts';
import { LanDiscovery, type LanSelfTest } from '../transport/lan-discovery.ts';
import { LanSockets } from '../transport/lan-sockets.ts';
import { NetworkWatch } from '../transport/network-watch.ts';
import { announce } from '../transport/tracker-client.ts';
import type { InvitePreview, NetworkInfo, PeerInfo } from './api.ts';
import type { NetworkDiagnosis } from './diagnosis/diagnose.ts';
import { formatHostPort } from './network/addresses.ts';
import type { MemberChannel, PeerRef } from './network/channel.ts';
import type { DialBackReport } from './network/dial-back.ts';
import { type ConnectRequest, NetworkNode } from './network/network-node.ts';
import type { RelayHost } from './network/relay/relay-host.ts';
import type { SecretStore } from './secret-store.ts';
import { StateStore } from './state-store.ts';
import { parseInvite } from './trust/invite.ts';
import { NetworkTrust } from './trust/membership.ts';
import { wordsFor } from './trust/words.ts';

/** Key in the secret store: the ids of all networks of this device, as JSON. */
const INDEX = 'networks';
/** How often to look what other windows of this device stored: networks joined or left, removals, settings; in ms. */
const RELOAD_INTERVAL = 2_000;
/** Least time between two reactions to a changed network, in ms: containers and tunnels come and go. */
const CHANGE_PAUSE = 10_000;

export interface NetworksOptions {
  readonly identity: Identity;
  readonly self: PeerRef;
  readonly deviceName: () => string;
  readonly secrets: SecretStore;
  readonly dir: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
  readonly listenPort: () => number | undefined;
  /** The one that trackers are told: a router may forward another; default: `listenPort`. */
  readonly announcedPort?: () => number | undefined;
  /** Finds members on the local network, and is found by them, when it listens on this address. Absent: does not. */
  readonly lan?: { readonly host: string };
  /** Relays for members who cannot reach each other; absent: this peer does not. Not owned. */
  readonly relay?: RelayHost | undefined;
  /** Receives channels that peers open to us by a relay. */
  readonly acceptRelayed?: (channel: MemberChannel) => void;
}

/** A network that this device is a member of, with its control plane running. */
export interface RunningNetwork {
  readonly trust: NetworkTrust;
  readonly node: NetworkNode;
}

/** The networks of this device. Their secrets are stored in the secret store only. */
export class Networks implements Disposable {
  readonly #options: NetworksOptions;
  readonly #running = new Map<NetworkId, RunningNetwork & { readonly owned: DisposableList }>();
  readonly #changed = new Emitter<void>();
  readonly #loaded = new Emitter<RunningNetwork>();
  readonly #peersChanged = new Emitter<NetworkId>();
  readonly #cataloguesChanged = new Emitter<NetworkId>();
  readonly #revoked = new Emitter<{ network: NetworkId; devices: readonly DeviceId[] }>();
  readonly #silent = new Emitter<PeerRef & { network: NetworkId }>();
  readonly #connectRequest = new Emitter<ConnectRequest & { network: NetworkId }>();
  readonly onChanged: Event<void> = this.#changed.event;
  /** See `NetworkNode.onLoaded`. */
  readonly onLoaded: Event<RunningNetwork> = this.#loaded.event;
  readonly onPeersChanged: Event<NetworkId> = this.#peersChanged.event;
  readonly onCataloguesChanged: Event<NetworkId> = this.#cataloguesChanged.event;
  readonly onRevoked: Event<{ network: NetworkId; devices: readonly DeviceId[] }> = this.#revoked.event;
  /** See `NetworkNode.onSilent`. */
  readonly onSilent: Event<PeerRef & { network: NetworkId }> = this.#silent.event;
  readonly onConnectRequest: Event<ConnectRequest & { network: NetworkId }> = this.#connectRequest.event;
  #saving: Promise<void> = Promise.resolve();
  /** What waits to be stored: members who come by the thousand do not make us write as often. */
  readonly #toStore = new Map<NetworkId, Promise<void>>();
  /** What was stored for a network when this window last looked or wrote. */
  readonly #seen = new Map<NetworkId, string>();
  /** What is stored for networks that could not be loaded. */
  readonly #unreadable = new Map<NetworkId, string>();
  /** Creating, joining, leaving and reloading take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #owned = new DisposableList();
  #lan: LanDiscovery | undefined;
  /** Whose the infohashes are that local discovery uses, by infohash in hex. */
  #meetingPoints = new Map<string, NetworkId>();

  constructor(options: NetworksOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { secrets, identity, clock, logger } = this.#options;
    for (const network of await this.#index()) {
      try {
        const stored = await secrets.get(secretKey(network));
        if (stored !== undefined) await this.#run(NetworkTrust.load(identity, stored, { clock }));
      } catch (error) {
        logger.error(`A network could not be loaded: ${errorMessage(error)}`);
      }
    }
    this.#owned.add(clock.setInterval(() => void this.reload(), RELOAD_INTERVAL));
    const watch = this.#owned.add(new NetworkWatch(clock));
    const renew = this.#owned.add(new Throttle(clock, CHANGE_PAUSE, () => this.#onNetworkChanged()));
    this.#owned.add(watch.onChanged(() => renew.run()));
    this.#startLan(watch);
  }

  /** Whether multicast works, for each interface; undefined when local discovery is off. */
  async lanSelfTest(): Promise<LanSelfTest[] | undefined> {
    return await this.#lan?.selfTest();
  }

  /** Tells trackers again: the announced port changed. */
  announceAgain(): void {
    for (const { node } of this.#running.values()) node.retryNow();
  }

  /** What members say who were asked to dial this peer; see `NetworkNode.dialBack`. */
  async dialBacks(): Promise<DialBackReport[]> {
    return (await Promise.all(this.list().map(({ node }) => node.dialBack()))).flat();
  }

  trusts(): NetworkTrust[] {
    return [...this.#running.values()].map(({ trust }) => trust);
  }

  list(): RunningNetwork[] {
    return [...this.#running.values()];
  }

  get(network: NetworkId): RunningNetwork | undefined {
    return this.#running.get(network);
  }

  infos(): NetworkInfo[] {
    return this.list().map(({ trust, node }) => ({
      network: trust.network,
      name: trust.name,
      trackers: trust.trackers,
      creator: trust.creator,
      admin: trust.admin,
      ...node.state(),
    }));
  }

  /** For `diagnose`. */
  diagnoses(): NetworkDiagnosis[] {
    return this.list().map(({ trust, node }) => ({
      name: trust.name,
      peers: node.state().peers,
      refusal: node.refusal,
      trackers: node.trackerStatus(),
    }));
  }

  /** Connected peers of all networks. */
  peers(): PeerInfo[] {
    return this.list().flatMap(({ trust, node }) =>
      node.directory.peers().map((peer) => ({
        device: peer.device,
        instance: peer.instance,
        name: peer.name,
        words: wordsFor(peer.device),
        network: trust.network,
        address: peer.address ?? '',
        via: peer.via,
        since: peer.since,
      })),
    );
  }

  /** By id or unambiguous name; the only network when none is named. */
  resolve(text: string | undefined): RunningNetwork {
    const all = this.list();
    if (text === undefined) {
      const [only] = all;
      if (!only) throw new PeerwireError('not-found', 'You are in no network yet: create one, or join with an invite.');
      if (all.length > 1)
        throw new PeerwireError('ambiguous', `Say which network: ${all.map(({ trust }) => trust.name).join(', ')}.`);
      return only;
    }
    const byId = all.find(({ trust }) => trust.network === text);
    if (byId) return byId;
    const named = all.filter(({ trust }) => trust.name === text);
    const [first] = named;
    if (!first) throw new PeerwireError('not-found', `You are in no network “${text}”.`);
    if (named.length > 1)
      throw new PeerwireError('ambiguous', `There are ${named.length} networks “${text}”: use the id.`);
    return first;
  }

  create(name: string, trackers: readonly string[]): Promise<{ info: NetworkInfo; invite: string }> {
    return this.#inTurn(() => this.#create(name, trackers));
  }

  async #create(name: string, trackers: readonly string[]): Promise<{ info: NetworkInfo; invite: string }> {
    const trust = NetworkTrust.createNetwork(this.#options.identity, name, trackers, { clock: this.#options.clock });
    const invite = trust.createInvite({ inviterName: this.#options.deviceName() });
    await this.#storeNew(trust);
    await this.#run(trust);
    return { info: this.#info(trust.network), invite };
  }

  preview(text: string): InvitePreview {
    const invite = parseInvite(text);
    return {
      network: invite.network,
      name: invite.networkName,
      inviter: invite.inviter,
      inviterName: invite.inviterName,
      inviterWords: wordsFor(invite.inviter),
      trackers: invite.trackers,
      expires: invite.expires,
      expired: invite.expires < this.#options.clock.wallTime(),
      alreadyJoined: this.#running.has(invite.network),
    };
  }

  join(text: string): Promise<NetworkInfo> {
    return this.#inTurn(() => this.#join(text));
  }

  async #join(text: string): Promise<NetworkInfo> {
    const { network } = parseInvite(text);
    const running = this.#running.get(network);
    // Whoever is refused because an old invite expired comes back with a new one.
    if (running) running.trust.renew(text);
    else {
      const trust = NetworkTrust.joinNetwork(this.#options.identity, text, { clock: this.#options.clock });
      await this.#storeNew(trust);
      await this.#run(trust);
    }
    return this.#info(network);
  }

  leave(network: NetworkId): Promise<void> {
    return this.#inTurn(() => this.#leave(network));
  }

  async #leave(network: NetworkId): Promise<void> {
    const running = this.#running.get(network);
    if (!running) return;
    this.#running.delete(network);
    this.#seen.delete(network);
    // From here on nothing may store it again; the node itself has a last word to say.
    running.owned.release(running.node);
    running.owned.dispose();
    this.#saving = this.#saving.then(() => this.#erase(network)).catch((error: unknown) => this.#notStored(error));
    await this.#saving;
    // Others stop listing what this device offered.
    await running.node.leave();
    this.#changed.fire();
  }

  /** Takes over what another window of this device created, joined, left or learned meanwhile. */
  reload(): Promise<void> {
    return this.#inTurn(() => this.#reload()).catch((error: unknown) => {
      this.#options.logger.warn(`Networks of other windows could not be read: ${errorMessage(error)}`);
    });
  }

  async #reload(): Promise<void> {
    await this.#saving;
    const index = await this.#index();
    const { secrets, identity, clock } = this.#options;
    for (const [network, running] of this.#running) {
      const stored = await secrets.get(secretKey(network));
      if (stored !== undefined) {
        this.#absorb(running.trust, stored);
        // Two windows that added a network at once: the list of the one lost that of the other.
        if (!index.includes(network)) await this.#addToIndex(network);
      } else if (!index.includes(network)) {
        this.#running.delete(network);
        running.owned.dispose();
        await running.node.close();
        this.#changed.fire();
      }
    }
    for (const network of index) {
      if (this.#running.has(network)) continue;
      const stored = await secrets.get(secretKey(network));
      if (stored === undefined || this.#unreadable.get(network) === stored) continue;
      // What cannot be read holds up no other network, and is reported once.
      this.#unreadable.set(network, stored);
      await this.#run(NetworkTrust.load(identity, stored, { clock }));
      this.#unreadable.delete(network);
    }
  }

  /** `stored`: by this window or another. */
  #absorb(trust: NetworkTrust, stored: string): void {
    if (stored === this.#seen.get(trust.network)) return;
    this.#seen.set(trust.network, stored);
    try {
      // That lacks something of ours: both stored at once.
      if (trust.absorb(stored)) void this.#store(trust);
    } catch (error) {
      this.#options.logger.warn(`What another window stored cannot be read: ${errorMessage(error)}`);
    }
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(action);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** True when the channel's handshake names the network's control connection, and it was handed over. */
  acceptControl(channel: MemberChannel, incoming: IncomingWire): boolean {
    const running = this.#running.get(channel.network);
    if (!running || !incoming.handshake.infoHash.equals(running.trust.controlInfoHash)) return false;
    running.node.acceptControl(channel, incoming);
    return true;
  }

  /** The same for what this peer relays. */
  acceptRelay(channel: MemberChannel, incoming: IncomingWire): boolean {
    return this.#running.get(channel.network)?.node.acceptRelay(channel, incoming) ?? false;
  }

  async close(): Promise<void> {
    this.#owned.dispose();
    await this.#turn;
    await Promise.all([...this.#running.values()].map(({ node }) => node.close()));
    await this.#saving;
    this.dispose();
  }

  dispose(): void {
    this.#owned.dispose();
    for (const { owned } of this.#running.values()) owned.dispose();
    this.#running.clear();
  }

  #startLan(watch: NetworkWatch): void {
    const { lan, clock, logger, listenPort } = this.#options;
    if (lan === undefined) return;
    const log = prefixed(logger, 'lan');
    const discovery = new LanDiscovery({
      transport: new LanSockets(log),
      watch,
      clock,
      logger: log,
      infoHashes: () => this.#lanInfoHashes(),
      listening: () => {
        const port = listenPort();
        return port === undefined ? undefined : { host: lan.host, port };
      },
    });
    this.#owned.add(
      discovery.onPeer(({ infoHash, host, port }) => {
        const network = this.#meetingPoints.get(infoHash.toString('hex'));
        const running = network === undefined ? undefined : this.#running.get(network);
        running?.node.addAddress(formatHostPort({ host, port }), 'lan');
      }),
    );
    this.#lan = this.#owned.add(discovery);
    discovery.start();
  }

  #lanInfoHashes(): Buffer[] {
    const now = this.#options.clock.wallTime();
    const all = this.trusts().flatMap((trust) =>
      trust.rendezvousInfoHashes(now).map((hash) => ({ hash, network: trust.network })),
    );
    this.#meetingPoints = new Map(all.map(({ hash, network }) => [hash.toString('hex'), network]));
    return all.map(({ hash }) => hash);
  }

  #onNetworkChanged(): void {
    this.#options.logger.info('The network interfaces changed, or this machine slept');
    for (const { node } of this.list()) node.networkChanged();
  }

  #info(network: NetworkId): NetworkInfo {
    const info = this.infos().find((candidate) => candidate.network === network);
    if (!info) throw new PeerwireError('not-found', 'You are not in that network.');
    return info;
  }

  async #run(trust: NetworkTrust): Promise<void> {
    const { identity, self, dir, clock, logger, version, listenPort, deviceName, relay, acceptRelayed } = this.#options;
    const log = prefixed(logger, trust.name);
    const node = new NetworkNode({
      identity,
      instance: self.instance,
      deviceName: deviceName(),
      trust,
      store: new StateStore(
        join(dir, 'networks', createHash('sha256').update(trust.network).digest('hex').slice(0, 16)),
        (message) => log.warn(message),
      ),
      clock,
      logger: log,
      listenPort,
      announcedPort: this.#options.announcedPort ?? listenPort,
      version,
      dial: (target) => dial({ ...target, identity, instance: self.instance, access: trust, clock }),
      announce,
      relay,
      ...(acceptRelayed ? { acceptRelayed } : {}),
    });
    const owned = new DisposableList();
    owned.add(node);
    let known = membershipOf(trust);
    owned.add(
      trust.onChanged(() => {
        void this.#store(trust);
        if (membershipOf(trust) === known) return;
        known = membershipOf(trust);
        this.#changed.fire();
      }),
    );
    owned.add(node.onLoaded(() => this.#loaded.fire({ trust, node })));
    owned.add(node.onPeersChanged(() => this.#peersChanged.fire(trust.network)));
    owned.add(node.onCataloguesChanged(() => this.#cataloguesChanged.fire(trust.network)));
    owned.add(node.onStateChanged(() => this.#changed.fire()));
    owned.add(node.onRevoked((devices) => this.#revoked.fire({ network: trust.network, devices })));
    owned.add(node.onSilent((peer) => this.#silent.fire({ ...peer, network: trust.network })));
    owned.add(node.onConnectRequest((request) => this.#connectRequest.fire({ ...request, network: trust.network })));
    this.#running.set(trust.network, { trust, node, owned });
    this.#changed.fire();
    await node.start();
    this.#lan?.announce();
  }

  #store(trust: NetworkTrust): Promise<void> {
    const { secrets } = this.#options;
    const waiting = this.#toStore.get(trust.network);
    if (waiting) return waiting;
    this.#saving = this.#saving
      .then(async () => {
        // What changes from here on is stored once more, and however much changed before, once.
        this.#toStore.delete(trust.network);
        const stored = await secrets.get(secretKey(trust.network));
        // Another window left the network: this one follows at its next look.
        if (stored === undefined && !(await this.#index()).includes(trust.network)) return;
        // Never over what another window stored meanwhile: a removal could get lost.
        if (stored !== undefined) this.#absorb(trust, stored);
        const serialized = trust.serialize();
        if (serialized === stored) return;
        await secrets.set(secretKey(trust.network), serialized);
        this.#seen.set(trust.network, serialized);
      })
      .catch((error: unknown) => this.#notStored(error));
    this.#toStore.set(trust.network, this.#saving);
    return this.#saving;
  }

  /** Of a network that was created or joined here. */
  #storeNew(trust: NetworkTrust): Promise<void> {
    this.#saving = this.#saving
      .then(async () => {
        await this.#options.secrets.set(secretKey(trust.network), trust.serialize());
        await this.#addToIndex(trust.network);
      })
      .catch((error: unknown) => this.#notStored(error));
    return this.#saving;
  }

  async #addToIndex(network: NetworkId): Promise<void> {
    const index = await this.#index();
    if (!index.includes(network)) await this.#options.secrets.set(INDEX, JSON.stringify([...index, network]));
  }

  async #erase(network: NetworkId): Promise<void> {
    const { secrets } = this.#options;
    // First what says that this device is a member: the other windows mend the list by it.
    await secrets.delete(secretKey(network));
    const index = (await this.#index()).filter((other) => other !== network);
    await secrets.set(INDEX, JSON.stringify(index));
  }

  #notStored(error: unknown): void {
    this.#options.logger.error(`Networks could not be stored: ${errorMessage(error)}`);
  }

  async #index(): Promise<NetworkId[]> {
    const stored = await this.#options.secrets.get(INDEX);
    const parsed: unknown = stored === undefined ? [] : JSON.parse(stored);
    return Array.isArray(parsed) ? parsed.filter((entry): entry is NetworkId => typeof entry === 'string') : [];
  }
}

/** What of it is shown: name, trackers, rights, and who is removed. */
function membershipOf({ name, trackers, admin, mayInvite, revocationHead }: NetworkTrust): string {
  return JSON.stringify([name, trackers, admin, mayInvite, revocationHead]);
}

function secretKey(network: NetworkId): string {
  return `network.${network}`;
}
