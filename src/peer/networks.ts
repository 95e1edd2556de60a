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
import type { LanSelfTest } from '../transport/lan-discovery.ts';
import { NetworkWatch } from '../transport/network-watch.ts';
import { announce } from '../transport/tracker-client.ts';
import type { InvitePreview, NetworkInfo, PeerInfo } from './api.ts';
import type { DevicePeer, DevicePeers } from './device-peers.ts';
import type { NetworkDiagnosis } from './diagnosis/diagnose.ts';
import { formatHostPort } from './network/addresses.ts';
import type { MemberChannel, PeerRef } from './network/channel.ts';
import type { DialBackReport } from './network/dial-back.ts';
import { type ConnectRequest, NetworkNode } from './network/network-node.ts';
import type { RelayHost } from './network/relay/relay-host.ts';
import { NetworkLan } from './network-lan.ts';
import { type Exclusive, NetworkStore } from './network-store.ts';
import type { SecretStore } from './secret-store.ts';
import { StateStore } from './state-store.ts';
import { parseInvite } from './trust/invite.ts';
import { NetworkTrust } from './trust/membership.ts';
import { wordsFor } from './trust/words.ts';

/** How often to look what other windows of this device stored: networks joined or left, removals, settings; in ms. */
const RELOAD_INTERVAL = 2_000;
/** Least time between two reactions to a changed network, in ms: containers and tunnels come and go. */
const CHANGE_PAUSE = 10_000;

export interface NetworksOptions {
  readonly identity: Identity;
  readonly self: PeerRef;
  readonly deviceName: () => string;
  readonly secrets: SecretStore;
  /** Among all peers of the device; absent: there is no other. */
  readonly exclusive?: Exclusive;
  readonly dir: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
  readonly listenPort: () => number | undefined;
  /** The one that trackers are told: a router may forward another; default: `listenPort`. */
  readonly announcedPort?: () => number | undefined;
  /** Other running peers of this device: each network finds those that are in it. Not owned. */
  readonly devicePeers?: Pick<DevicePeers, 'list' | 'onFound'>;
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
  readonly #left = new Emitter<NetworkId>();
  readonly onChanged: Event<void> = this.#changed.event;
  /** Another window of this device left the network. */
  readonly onLeft: Event<NetworkId> = this.#left.event;
  /** See `NetworkNode.onLoaded`. */
  readonly onLoaded: Event<RunningNetwork> = this.#loaded.event;
  readonly onPeersChanged: Event<NetworkId> = this.#peersChanged.event;
  readonly onCataloguesChanged: Event<NetworkId> = this.#cataloguesChanged.event;
  readonly onRevoked: Event<{ network: NetworkId; devices: readonly DeviceId[] }> = this.#revoked.event;
  /** See `NetworkNode.onSilent`. */
  readonly onSilent: Event<PeerRef & { network: NetworkId }> = this.#silent.event;
  readonly onConnectRequest: Event<ConnectRequest & { network: NetworkId }> = this.#connectRequest.event;
  readonly #store: NetworkStore;
  /** Why networks that are stored do not run, as reported. */
  readonly #problems = new Map<NetworkId, string>();
  /** Networks that another window left, saying so to their members. */
  readonly #leaving = new Set<Promise<void>>();
  /** Creating, joining, leaving and reloading take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #owned = new DisposableList();
  #lan: NetworkLan | undefined;

  constructor(options: NetworksOptions) {
    this.#options = options;
    const { secrets, logger, exclusive = (action) => action() } = options;
    this.#store = new NetworkStore({ secrets, exclusive, logger });
  }

  /** Rejects when it cannot be read which networks there are. */
  async start(): Promise<void> {
    const { clock, devicePeers, lan, listenPort, logger } = this.#options;
    await this.#inTurn(() => this.#reload());
    this.#owned.add(clock.setInterval(() => void this.reload(), RELOAD_INTERVAL));
    if (devicePeers) {
      this.#owned.add(
        devicePeers.onFound((peer) => {
          for (const { node } of this.list()) addDevicePeer(node, peer);
        }),
      );
    }
    const watch = this.#owned.add(new NetworkWatch(clock));
    const renew = this.#owned.add(new Throttle(clock, CHANGE_PAUSE, () => this.#onNetworkChanged()));
    this.#owned.add(watch.onChanged(() => renew.run()));
    if (lan === undefined) return;
    this.#lan = this.#owned.add(
      new NetworkLan({ host: lan.host, listenPort, networks: () => this.list(), watch, clock, logger }),
    );
    this.#lan.start();
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
    await this.#store.add(trust);
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
    // One whom an admin removed, and the creator took back: what it knows says that it is removed, and nobody calls it.
    const isRemoved = running?.trust.isRevoked(this.#options.identity.device) === true;
    if (running && !isRemoved) running.trust.renew(text);
    else {
      const trust = NetworkTrust.joinNetwork(this.#options.identity, text, { clock: this.#options.clock });
      // Not before it is clear that the invite is good.
      if (isRemoved) await this.#leave(network);
      await this.#store.add(trust);
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
    // From here on nothing may store it again; the node itself has a last word to say.
    this.#stop(running);
    await this.#store.remove(network);
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
    await this.#store.flush();
    const index = await this.#store.list();
    for (const [network, running] of this.#running) {
      if (await this.#store.refresh(running.trust, index.includes(network))) continue;
      this.#running.delete(network);
      this.#stop(running);
      this.#left.fire(network);
      const left = running.node
        .leave()
        .catch((error: unknown) => this.#options.logger.warn(`A network was not left properly: ${errorMessage(error)}`))
        .finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
      this.#changed.fire();
    }
    for (const network of index) if (!this.#running.has(network)) await this.#load(network);
  }

  /** Runs a network that is stored. What cannot be read is reported once, and holds up no other. */
  async #load(network: NetworkId): Promise<void> {
    const { identity, clock, logger } = this.#options;
    try {
      const stored = await this.#store.get(network);
      if (stored !== undefined) await this.#run(NetworkTrust.load(identity, stored, { clock }));
      this.#problems.delete(network);
    } catch (error) {
      const problem = errorMessage(error);
      if (this.#problems.get(network) !== problem) logger.error(`A network could not be loaded: ${problem}`);
      this.#problems.set(network, problem);
    }
  }

  /** Nothing of it is heard or stored any more, but its node goes on. */
  #stop({ owned, node }: RunningNetwork & { readonly owned: DisposableList }): void {
    owned.release(node);
    owned.dispose();
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
    await Promise.all([...this.#leaving, ...this.list().map(({ node }) => node.close())]);
    await this.#store.flush();
    this.dispose();
  }

  dispose(): void {
    this.#owned.dispose();
    for (const { owned } of this.#running.values()) owned.dispose();
    this.#running.clear();
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
    const { identity, self, dir, clock, logger, version, listenPort, announcedPort, deviceName, relay, acceptRelayed } =
      this.#options;
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
      ...(announcedPort ? { announcedPort } : {}),
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
        void this.#store.save(trust);
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
    try {
      await node.start();
    } catch (error) {
      this.#running.delete(trust.network);
      owned.dispose();
      throw error;
    }
    for (const peer of this.#options.devicePeers?.list() ?? []) addDevicePeer(node, peer);
    this.#lan?.announce();
  }
}

function addDevicePeer(node: NetworkNode, peer: DevicePeer): void {
  node.addAddress(formatHostPort(peer), 'lan');
}

/** What of it is shown: name, trackers, rights, and who is removed. */
function membershipOf({ name, trackers, admin, mayInvite, revocationHead }: NetworkTrust): string {
  return JSON.stringify([name, trackers, admin, mayInvite, revocationHead]);
}
