import { randomBytes } from 'node:crypto';
import type { IncomingWire } from '../../bittorrent/incoming-wire.ts';
import type { Clock } from '../../common/clock.ts';
import { type Disposable, DisposableList } from '../../common/disposable.ts';
import { errorMessage, PeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { DeviceId, InfoHash, PeerInstance, ShareId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { Throttle } from '../../common/throttle.ts';
import type { Identity } from '../../transport/identity.ts';
import { secureRelayed } from '../../transport/relayed-channel.ts';
import type { AnnounceRequest, AnnounceResult } from '../../transport/tracker-client.ts';
import type { StateStore } from '../state-store.ts';
import type { NetworkTrust } from '../trust/membership.ts';
import type { HoldEntry, ShareEntry } from './catalogue.ts';
import { CatalogueGossip } from './catalogue-gossip.ts';
import { CatalogueStore, sectionKey } from './catalogue-store.ts';
import { type MemberChannel, type PeerRef, peerKey } from './channel.ts';
import type { ConnectMessage } from './control-messages.ts';
import { ControlPeer, type ControlPeerHandler, type ControlPeerOptions } from './control-peer.ts';
import { DialBack, type DialBackReport } from './dial-back.ts';
import type { DialTarget } from './dialer.ts';
import { Directory } from './directory.ts';
import { Links } from './links.ts';
import type { MemberBook } from './member-book.ts';
import { MemberFinder } from './member-finder.ts';
import { MemberMemory } from './member-memory.ts';
import { MembershipGossip } from './membership-gossip.ts';
import { OwnCatalogue } from './own-catalogue.ts';
import { PexGossip } from './pex-gossip.ts';
import { Reach } from './relay/reach.ts';
import { RelayClient, type RelayClientOptions } from './relay/relay-client.ts';
import { RelayDesk } from './relay/relay-desk.ts';
import type { RelayHost } from './relay/relay-host.ts';
import type { RelayMessage } from './relay/relay-messages.ts';
import { SwarmDialer, type Way } from './swarm-dialer.ts';
import type { TrackerStatus } from './tracker-announcer.ts';

/** Milliseconds for the last words of a peer that leaves, and between looks whether they have left. */
const LEAVE_TIMEOUT = 1000;
const LEAVE_POLL = 10;
const TICK = 15_000;
/** Connections of one device, dialed by it, in the middle of the handshakes of BitTorrent. */
const MAX_OPENING_PER_DEVICE = 64;
/** Milliseconds between two reports that catalogues changed: the peer looks at everything again after each. */
const REPORT_PAUSE = 50;
/** When this much more wall time (ms) passed than a tick should take, the machine slept. */
const SLEPT = 30_000;

export interface NetworkNodeOptions {
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly deviceName: string;
  readonly trust: NetworkTrust;
  /** A directory for this network (and peer) alone. */
  readonly store: Pick<StateStore, 'readBytes' | 'writeBytes' | 'readJson' | 'writeJson'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The port on which others reach this peer; undefined when outbound only. Asked again for every use. */
  readonly listenPort: () => number | undefined;
  /** The one that trackers are told, if it is another: a router may forward it. */
  readonly announcedPort?: () => number | undefined;
  /** Version text of this program. */
  readonly version: string;
  /** In [0, 1), for jitter; by default Math.random. */
  readonly random?: () => number;
  /** Opens an authenticated channel in this network. Rejects with `exists` when it reached this very peer. */
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly announce: (request: AnnounceRequest) => Promise<AnnounceResult>;
  /** Relays for others as long as this peer listens; absent: it does not. Not owned. */
  readonly relay?: RelayHost | undefined;
  /** Receives, and owns, channels that peers open to us by a relay, as if they came in at the listener; absent: refused. */
  readonly acceptRelayed?: (channel: MemberChannel) => void;
  /** The handshake in what a relay passes on; by default that of the transport, in TLS. */
  readonly secureRelayed?: RelayClientOptions['secure'];
}

export interface ConnectRequest extends PeerRef {
  readonly infohash: InfoHash;
  /** `host:port` to dial: the address at which we see the peer, with the port on which it listens. */
  readonly address: string;
}

/** For `NetworkInfo`. */
export interface NetworkState {
  /** `connected` to some other device; `looking`; `offline` when moreover every tracker fails. */
  readonly state: 'connected' | 'looking' | 'offline';
  /** Connected devices, this one not counted. */
  readonly peers: number;
  /** Why nobody is connected, as far as we know: members refuse this device, or no tracker answers. */
  readonly problem?: string;
}

/**
 * One network's control plane: finds its members by trackers, by each other and by memory, stays connected to them, and
 * gossips catalogues and revocations. It knows what is shared and who has it; it moves no content.
 */
export class NetworkNode implements Disposable {
  readonly #options: NetworkNodeOptions;
  readonly #self: PeerRef;
  /** Names this run in BitTorrent handshakes and to trackers (BEP 20). */
  readonly #peerId = Buffer.concat([Buffer.from('-PW0100-'), randomBytes(12)]);
  readonly #owned = new DisposableList();
  readonly #store: CatalogueStore;
  readonly #own: OwnCatalogue;
  readonly #gossip: CatalogueGossip;
  readonly #membership: MembershipGossip;
  readonly #finder: MemberFinder;
  readonly #links: Links;
  /** Connections in their handshake. */
  readonly #opening = new Set<ControlPeer>();
  readonly #pex: PexGossip;
  readonly #swarmDialer: SwarmDialer;
  readonly #dialBack: DialBack;
  readonly #relayDesk: RelayDesk;
  readonly #relayClient: RelayClient;
  readonly #reach: Reach;
  readonly #handler: ControlPeerHandler;
  #deviceName: string;
  #lastState = '';
  #lastTick = 0;
  #cataloguesDirty = false;
  readonly #reporting: Throttle;
  readonly #memory: MemberMemory;
  #started = false;
  #closed = false;
  #closing: Promise<void> | undefined;

  readonly #loaded = new Emitter<void>();
  readonly #peersChanged = new Emitter<void>();
  readonly #cataloguesChanged = new Emitter<void>();
  readonly #revoked = new Emitter<readonly DeviceId[]>();
  readonly #connectRequest = new Emitter<ConnectRequest>();
  readonly #stateChanged = new Emitter<NetworkState>();
  readonly #silent = new Emitter<PeerRef>();

  /** Who is or was a member. */
  readonly members: MemberBook;
  /** Who is here, and who has what. */
  readonly directory: Directory;
  /** What was remembered is here, and nobody has heard of this peer yet: what `setOwn` says now is its first word. */
  readonly onLoaded: Event<void> = this.#loaded.event;
  readonly onPeersChanged: Event<void> = this.#peersChanged.event;
  /** Others' catalogues changed; our own does not count. */
  readonly onCataloguesChanged: Event<void> = this.#cataloguesChanged.event;
  /** Devices that were just excluded. Their control connections are closed; swarms are yours to close. May name this device. */
  readonly onRevoked: Event<readonly DeviceId[]> = this.#revoked.event;
  /** A peer cannot dial us and asks to be dialled for a swarm. Whether it may have that version is yours to check. */
  readonly onConnectRequest: Event<ConnectRequest> = this.#connectRequest.event;
  readonly onStateChanged: Event<NetworkState> = this.#stateChanged.event;
  /** A connection to this peer was closed because it does not answer: what else is open to it may be as dead. */
  readonly onSilent: Event<PeerRef> = this.#silent.event;

  constructor(options: NetworkNodeOptions) {
    const { identity, instance, trust, clock, logger, store, listenPort } = options;
    this.#options = options;
    this.#deviceName = options.deviceName;
    const self = { device: identity.device, instance };
    this.#reporting = this.#owned.add(new Throttle(clock, REPORT_PAUSE, () => this.#cataloguesChanged.fire()));
    this.#memory = this.#owned.add(new MemberMemory({ trust, store, clock, logger }));
    this.members = this.#memory.book;
    this.#self = self;
    this.#links = new Links(self, (device) => this.members.get(device)?.inviter);
    this.#store = this.#owned.add(
      new CatalogueStore({
        network: trust.network,
        self,
        members: trust,
        state: store,
        clock,
        logger,
        inviterOf: (device) => this.members.get(device)?.inviter,
      }),
    );
    this.directory = new Directory(this.#links, this.#store);
    this.#own = this.#owned.add(
      new OwnCatalogue(
        {
          self,
          network: trust.network,
          signer: identity,
          credentials: () => trust.credentials(),
          store: this.#store,
          clock,
          logger,
        },
        options.deviceName,
      ),
    );
    this.#gossip = this.#owned.add(
      new CatalogueGossip({
        store: this.#store,
        clock,
        logger,
        isRevoked: (device) => trust.isRevoked(device),
        onOwn: (signed) => this.#own.supersede(signed),
      }),
    );
    this.#membership = new MembershipGossip(trust, clock, logger);
    this.#finder = new MemberFinder({
      trust,
      peerId: this.#peerId,
      store,
      clock,
      logger,
      random: options.random,
      listenPort: options.announcedPort ?? listenPort,
      dial: options.dial,
      announce: options.announce,
      // A peer that is reached by a relay is dialled all the same, now and then.
      isConnected: (peer) => this.#links.isDirect(peer),
      hasRoom: () => this.#links.hasRoom,
      lonely: () => this.#links.devices(self.device) === 0,
      onChannel: (channel, dialed) => this.#open(channel, dialed),
    });
    this.#pex = new PexGossip(this.#links, clock, (addresses, from) => this.#finder.learn(addresses, from));
    this.#dialBack = this.#owned.add(new DialBack({ clock, dial: options.dial }));
    this.#relayDesk = this.#owned.add(
      new RelayDesk({
        network: trust.network,
        links: this.#links,
        clock,
        isRevoked: (device) => trust.isRevoked(device),
        invitersOf: (device) => this.members.invitersOf(device),
        // Others have to reach it.
        host: () => (listenPort() === undefined ? undefined : options.relay),
      }),
    );
    this.#relayClient = this.#owned.add(
      new RelayClient({
        network: trust.network,
        clock,
        logger,
        isRevoked: (device) => trust.isRevoked(device),
        dial: options.dial,
        secure:
          options.secureRelayed ??
          ((role, connection, head, expect) =>
            secureRelayed(role, {
              ...{ connection, head, expect, relay: connection.device },
              ...{ identity, instance, access: trust, clock },
            })),
        accept: (channel) => (options.acceptRelayed ? options.acceptRelayed(channel) : channel.close()),
        onChange: () => this.#reach.poke(),
      }),
    );
    this.#reach = this.#owned.add(
      new Reach({
        self,
        client: this.#relayClient,
        clock,
        logger,
        listenPort,
        dial: options.dial,
        isConnected: (peer) => this.#links.has(peer),
        isDirect: (peer) => this.#links.isDirect(peer),
        isRevoked: ({ device }) => trust.isRevoked(device),
        isKnown: (peer) => this.#store.get(sectionKey(peer, '')) !== undefined,
        relayed: () => this.#links.relayed,
        hasRoom: () => this.#links.hasRoom,
        onChannel: (channel, dialed) => this.#open(channel, dialed),
      }),
    );
    this.#swarmDialer = new SwarmDialer({
      ...{ clock, logger, listenPort, dial: options.dial },
      relay: (peer, signal) => this.#relayClient.open(peer, signal),
    });
    this.#handler = {
      onReady: (link) => this.#onReady(link),
      onCatalogue: (link, message) => this.#gossip.receive(link, message),
      onMembership: (link, message) => this.#membership.receive(link, message),
      onPex: (link, message) => this.#pex.receive(link, message),
      onConnect: (link, message) => this.#onConnect(link, message),
      onRelay: (link, message) => this.#onRelay(link, message),
      onUpdate: (link) => this.#onUpdate(link),
      onWritable: (link) => this.#gossip.drained(link),
      onClose: (link, reason) => this.#onClose(link, reason),
    };
  }

  /** Loads what was remembered, then announces and dials. */
  async start(): Promise<void> {
    const { trust, clock } = this.#options;
    await this.#memory.load();
    await this.#store.load();
    for (const { device, name } of this.#store.catalogues()) this.members.note({ device, name });
    await this.#finder.load();
    if (this.#closed) return;
    this.#loaded.fire();
    this.#started = true;
    this.#owned.add(trust.onChanged(() => this.#onTrustChanged()));
    this.#owned.add(trust.onRevoked((devices) => this.#onRevoked(devices)));
    this.#owned.add(
      this.#store.onChanged((key) => {
        const signed = this.#store.get(key);
        if (signed === undefined || this.#store.isOwn(signed.section)) return;
        this.members.note({ device: signed.section.device, name: signed.section.name });
        this.#noteCatalogues();
        this.#reach.poke();
      }),
    );
    this.#owned.add(this.#finder.onChanged(() => this.#noteState()));
    this.#lastTick = clock.wallTime();
    this.#owned.add(clock.setInterval(() => this.#tick(), TICK));
    this.#own.start();
    if (!this.#excluded) this.#finder.start();
    this.#noteState();
  }

  /** As `close`, but tells connected peers first that nothing is offered here any more: for leaving the network. */
  async leave(): Promise<void> {
    const { clock } = this.#options;
    this.#own.withdraw();
    const deadline = clock.now() + LEAVE_TIMEOUT;
    const isSending = (): boolean => [...this.#links.all()].some((link) => link.channel.writableLength > 0);
    let mayFollow = this.#links.byPeer().next().done !== true;
    while (mayFollow && clock.now() < deadline) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, LEAVE_POLL));
      mayFollow = isSending();
    }
    await this.close();
  }

  /** Tells trackers and peers that this peer leaves (a second at most), writes state and closes everything. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** As `close`, without waiting for it. */
  dispose(): void {
    this.close().catch((error) => this.#options.logger.warn(`Closing a network failed: ${errorMessage(error)}`));
  }

  state(): NetworkState {
    const peers = this.#links.devices(this.#self.device);
    const problem = this.refusal?.message ?? this.#finder.problem;
    const state = peers > 0 ? 'connected' : this.#excluded || this.#finder.failing ? 'offline' : 'looking';
    return { state, peers, ...(problem === undefined ? {} : { problem }) };
  }

  /** That this device is not welcome: the creator removed it, or members refuse it. */
  get refusal(): PeerwireError | undefined {
    if (this.#excluded) return new PeerwireError('revoked', 'The creator of the network removed this device.');
    return this.#finder.refusal;
  }

  /** Asks some connected devices to dial this peer. Takes 6 s at most, and never rejects. */
  async dialBack(): Promise<DialBackReport[]> {
    if (this.#options.listenPort() === undefined) return [];
    return await this.#dialBack.askSome([...this.#links.all()].filter(({ peer }) => peer.device !== this.#self.device));
  }

  /** How each tracker fared last, in order: for diagnosis. */
  trackerStatus(): readonly TrackerStatus[] {
    return this.#finder.trackerStatus();
  }

  /** Takes over an inbound channel whose BitTorrent handshake carried the control infohash. */
  acceptControl(channel: MemberChannel, incoming: IncomingWire): void {
    if (this.#closed || !this.#started || channel.network !== this.#options.trust.network) {
      channel.close(new PeerwireError('closed', 'The network is closed.'));
      return;
    }
    // Since its member handshake it may have been revoked: then it is told nothing.
    if (this.#options.trust.isRevoked(channel.device)) {
      channel.close(removed());
      return;
    }
    const opening = [...this.#opening].filter(({ peer }) => peer.device === channel.device).length;
    if (opening >= MAX_OPENING_PER_DEVICE) {
      channel.close(new PeerwireError('busy', 'Too many connections of the device do not get on.'));
      return;
    }
    this.#opening.add(ControlPeer.accept(channel, incoming, this.#linkOptions(), this.#handler));
  }

  /** Takes over an inbound channel whose BitTorrent handshake names one that we relay. False: it does not. */
  acceptRelay(channel: MemberChannel, incoming: IncomingWire): boolean {
    const { relay, trust } = this.#options;
    if (this.#closed || relay === undefined || trust.isRevoked(channel.device)) return false;
    return relay.accept(channel, incoming);
  }

  /**
   * Replaces what this peer offers; connected peers hear of it at once. Works before `start` too. Throws `usage` or
   * `unsafe-path`, changing nothing, when others would refuse it.
   */
  setOwn(shares: readonly ShareEntry[], holds: readonly HoldEntry[]): void {
    this.#own.set(shares, holds);
  }

  /** Takes a share out of what windows of this device said that are closed now. */
  withdrawShare(share: ShareId): void {
    this.#own.withdrawFor(share, (peer) => this.#links.has(peer));
  }

  setDeviceName(name: string): void {
    this.#deviceName = name;
    this.#own.setName(name);
    for (const link of this.#links.all()) link.update(name, this.#options.listenPort());
  }

  /**
   * A channel to a connected peer for one swarm. Dials it; when it cannot be dialled, asks it to dial us and resolves
   * undefined: its channel arrives at our listener, to be routed by infohash. In answer to `onConnectRequest` it dials only.
   * Rejects with `connection` when neither side can be dialled, `cancelled`, or `closed` when it is not connected.
   * `way`: `direct` if a relay is of no use.
   */
  openSwarmChannel(
    peer: PeerRef,
    infohash: InfoHash,
    signal: AbortSignal,
    way: Way = 'any',
  ): Promise<MemberChannel | undefined> {
    return this.#swarmDialer.open(this.#links.to(peer), infohash, signal, way);
  }

  /** Remembers `host:port` (IPv6 in brackets) and dials it now. Throws `usage` for what cannot be an address. */
  addAddress(hostPort: string, origin: 'manual' | 'lan' = 'manual'): void {
    this.#finder.add(hostPort, origin);
  }

  /** Announces and dials again at once, and tells peers our port: after the network, the listener or the trackers changed. */
  retryNow(): void {
    if (!this.#started || this.#closed || this.#excluded) return;
    for (const link of this.#links.all()) link.update(this.#deviceName, this.#options.listenPort());
    this.#swarmDialer.retryAll();
    this.#relayDesk.changed();
    this.#reach.retryNow();
    this.#finder.retryNow();
  }

  /** A peer answers nothing elsewhere: asks it for a sign of life. */
  probe(peer: PeerRef): void {
    for (const link of this.#links.to(peer)) link.probe();
  }

  /** The machine's interfaces or addresses changed, or it slept: connections may be dead, and others are to be found anew. */
  networkChanged(): void {
    if (this.#closed) return;
    this.#finder.breakOff();
    for (const link of this.#links.all()) link.probe();
    this.retryNow();
  }

  async #close(): Promise<void> {
    const { logger } = this.#options;
    const ends = [this.#finder.close()];
    this.#options.relay?.drop(this.#options.trust.network);
    for (const link of [...this.#opening, ...this.#links.all()]) link.close();
    if (this.#started) {
      const report = (error: unknown): void => logger.warn(`Catalogues were not saved: ${errorMessage(error)}`);
      ends.push(this.#store.save().catch(report));
      for (const link of this.#links.all()) this.#noteSeen(link);
      ends.push(this.#memory.save());
    }
    this.#owned.dispose();
    for (const emitter of [this.#loaded, this.#peersChanged, this.#cataloguesChanged, this.#connectRequest])
      emitter.dispose();
    this.#revoked.dispose();
    this.#stateChanged.dispose();
    this.#silent.dispose();
    await Promise.all(ends);
  }

  #linkOptions(dialed?: string): ControlPeerOptions {
    const { trust, version, clock, listenPort } = this.#options;
    return {
      peerId: this.#peerId,
      controlInfoHash: trust.controlInfoHash,
      version,
      deviceName: this.#deviceName,
      listenPort: listenPort(),
      clock,
      ...(dialed === undefined ? {} : { dialed }),
    };
  }

  #open(channel: MemberChannel, dialed?: string): void {
    this.#opening.add(ControlPeer.initiate(channel, this.#linkOptions(dialed), this.#handler));
  }

  #onReady(link: ControlPeer): void {
    this.#opening.delete(link);
    const { device } = link.peer;
    if (link.dialed !== undefined) this.#finder.opened(link.dialed, link.peer);
    if (this.#options.trust.isRevoked(device)) {
      link.close(removed());
      return;
    }
    // New, or reached in a better way than by a relay.
    const isNews = !this.#links.has(link.peer) || (!link.relayed && !this.#links.isDirect(link.peer));
    if (!this.#links.add(link)) return;
    // Who connects anew may have lost the old connection without a word.
    for (const other of this.#links.to(link.peer)) if (other !== link) other.probe();
    this.#swarmDialer.retry(link.peer);
    this.#noteAddress(link);
    this.#noteSeen(link);
    this.#membership.join(link, link.channel.member?.revocationHead);
    this.#gossip.join(link);
    this.#pex.join(link);
    this.#relayDesk.join(link);
    this.#relayClient.join(link);
    this.#reach.poke();
    if (isNews) this.#notePeers();
  }

  #onClose(link: ControlPeer, reason: PeerwireError | undefined): void {
    const { logger, clock } = this.#options;
    const wasOpening = this.#opening.delete(link);
    this.#pex.leave(link);
    this.#gossip.leave(link);
    this.#membership.leave(link);
    const key = peerKey(link.peer);
    logger.debug(`The connection to ${key} ended${reason === undefined ? '' : `: ${reason.message}`}`);
    if (this.#closed) return;
    if (wasOpening && link.dialed !== undefined) this.#finder.failed(link.dialed);
    if (this.#links.remove(link)) {
      if (reason?.code === 'timeout') this.#silent.fire(link.peer);
      // Also when only a relay is left.
      if (!this.#links.isDirect(link.peer)) {
        this.#finder.lost(link.peer, clock.wallTime() - link.since);
        this.#noteSeen(link);
        this.#notePeers();
      }
    }
    this.#relayDesk.leave(link);
    this.#relayClient.leave(link);
    this.#reach.poke();
  }

  #noteSeen({ peer: { device } }: ControlPeer): void {
    this.#memory.noteSeen(device, this.directory.nameOf(device));
  }

  #onUpdate(link: ControlPeer): void {
    this.#noteAddress(link);
    this.#relayDesk.changed();
    this.#peersChanged.fire();
  }

  #noteAddress(link: ControlPeer): void {
    if (link.dialed === undefined && link.address !== undefined) this.#finder.met(link.address, link.peer);
  }

  #onConnect(link: ControlPeer, message: ConnectMessage): void {
    if (message.type === 'back') {
      void this.#dialBack.answer(link, message.id);
    } else if (message.type === 'backed') {
      this.#dialBack.answered(link, message.id, message.outcome);
    } else if (link.address !== undefined) {
      const { infohash } = message;
      this.#swarmDialer.noteAsked(link.peer, infohash);
      this.#connectRequest.fire({ ...link.peer, infohash, address: link.address });
    }
  }

  #onRelay(link: ControlPeer, message: RelayMessage): void {
    if (message.type === 'called')
      void this.#reach.onCalled(message.peer, message, link.channel.remoteAddress, link.peer.device);
    this.#relayDesk.receive(link, message);
    this.#relayClient.receive(link, message);
  }

  #onTrustChanged(): void {
    this.#membership.changed();
    this.#own.refresh();
    this.#finder.trackersChanged();
  }

  #onRevoked(devices: readonly DeviceId[]): void {
    // Others hear of it before the connections end: the revoked may be the only way to some of them.
    this.#membership.changed();
    const reason = removed();
    for (const link of [...this.#opening, ...this.#links.all()]) {
      const { device, relay } = link.channel;
      const isTheirs = devices.includes(device) || (relay !== undefined && devices.includes(relay));
      if (this.#excluded || isTheirs) link.close(reason);
    }
    // Without a word: who is excluded is nobody's to find.
    if (this.#excluded) this.#finder.dispose();
    for (const device of devices) {
      this.#finder.forgetDevice(device);
      this.#options.relay?.drop(this.#options.trust.network, device);
      if (this.#store.dropDevice(device)) this.#noteCatalogues();
    }
    this.#revoked.fire(devices);
    this.#noteState();
  }

  #tick(): void {
    const { clock } = this.#options;
    const wall = clock.wallTime();
    const slept = wall - this.#lastTick > TICK + SLEPT;
    this.#lastTick = wall;
    this.#finder.tidy();
    this.#swarmDialer.tidy();
    this.#store.expire();
    this.#pex.tell();
    if (slept) this.networkChanged();
  }

  /** This device was revoked. */
  get #excluded(): boolean {
    return this.#options.trust.isRevoked(this.#self.device);
  }

  #notePeers(): void {
    this.#peersChanged.fire();
    this.#noteState();
  }

  #noteState(): void {
    const state = this.state();
    const text = JSON.stringify(state);
    if (text === this.#lastState) return;
    this.#lastState = text;
    this.#stateChanged.fire(state);
  }

  /** Many sections may arrive in one turn, and many one after another when all fetch the same; listeners hear now and then. */
  #noteCatalogues(): void {
    if (this.#cataloguesDirty) return;
    this.#cataloguesDirty = true;
    queueMicrotask(() => {
      this.#cataloguesDirty = false;
      this.#reporting.run();
    });
  }
}

function removed(): PeerwireError {
  return new PeerwireError('revoked', 'The device was removed from the network.');
}
