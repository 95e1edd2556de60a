import { BandwidthManager, type TransferBandwidth } from '../bittorrent/bandwidth-manager.ts';
import { Choker } from '../bittorrent/choker.ts';
import type { IncomingWire } from '../bittorrent/incoming-wire.ts';
import { PieceBuffers } from '../bittorrent/piece-buffers.ts';
import type { Random } from '../bittorrent/piece-picker.ts';
import type { BlockHasher } from '../bittorrent/piece-verifier.ts';
import { RateLimiter } from '../bittorrent/rate-limiter.ts';
import type { SharedMemory } from '../bittorrent/shared-memory.ts';
import { SharedSources } from '../bittorrent/shared-sources.ts';
import { Swarm, type SwarmContent } from '../bittorrent/swarm.ts';
import { UploadScheduler } from '../bittorrent/upload-scheduler.ts';
import { abortReason } from '../common/abort.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList, toDisposable } from '../common/disposable.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { DeviceId, InfoHash, NetworkId } from '../common/ids.ts';
import { type Logger, prefixed } from '../common/log.ts';
import type { RateLimits } from './api.ts';
import { FairPlaces } from './fair-places.ts';
import { fetchVersion } from './fetch-version.ts';
import { type MemberChannel, type PeerRef, parsePeerKey, peerKey } from './network/channel.ts';
import { PING_TIMEOUT } from './network/control-peer.ts';
import type { NetworkNode } from './network/network-node.ts';
import { SourceFinder } from './source-finder.ts';
import { SwarmLinks } from './swarm-links.ts';
import { DEFAULT_SETTINGS, type TransferSettings } from './transfer-settings.ts';
import type { Version, VersionStore } from './version-store.ts';

/** Memory for pieces in flight over all swarms, in bytes. */
const BUFFER_BUDGET = 32 * 1024 * 1024;
/** How often a download looks for holders that it is not connected to, in ms; changes are acted on at once. */
const SEEK_INTERVAL = 3_000;
/** Swarm connections that one device may hold with us: in one swarm, in all; and everybody together. */
const MOST_PER_SWARM = 4;
const MOST_PER_DEVICE = 64;
const MOST_CHANNELS = 512;

export interface SwarmHubOptions {
  readonly self: PeerRef;
  readonly peerId: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hasher: BlockHasher;
  /** For what arrives and what is sent. */
  readonly memory: SharedMemory;
  readonly versions: VersionStore;
  /** Of all that this peer sends. */
  readonly upload: RateLimiter;
  readonly networkNode: (network: NetworkId) => NetworkNode | undefined;
  /** Whether the device may have the version (or what its first 20 bytes name): every seeder enforces access. */
  readonly mayAccess: (network: NetworkId, infohash: string, device: DeviceId) => boolean;
  /** Content for a version that somebody asks for and that has no swarm yet; undefined when we hold none of it. */
  readonly content: (network: NetworkId, infohash: InfoHash) => Promise<SwarmContent | undefined>;
}

/** A swarm with its place. */
export interface HubSwarm {
  readonly network: NetworkId;
  readonly swarm: Swarm;
}

interface Entry extends HubSwarm {
  readonly upload: RateLimiter;
  readonly download: TransferBandwidth;
  readonly links: SwarmLinks;
  readonly finder: SourceFinder;
  leases: number;
}

/** All swarms of this peer, and the connections that feed them. */
export class SwarmHub implements Disposable {
  readonly upload: RateLimiter;
  readonly download: BandwidthManager;
  readonly #options: SwarmHubOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #settings = new Map<string, TransferSettings>();
  readonly #opening = new Map<string, Promise<Entry | undefined>>();
  readonly #disposables = new DisposableList();
  readonly #buffers: PieceBuffers;
  readonly #sources = new SharedSources();
  readonly #uploads: UploadScheduler;
  readonly #choker: Choker;
  readonly #abort = new AbortController();
  readonly #stale = new Emitter<{ network: NetworkId; infohash: InfoHash }>();
  /** Content of a swarm turned out to have changed on disk. */
  readonly onStale: Event<{ network: NetworkId; infohash: InfoHash }> = this.#stale.event;

  constructor(options: SwarmHubOptions) {
    this.#options = options;
    this.upload = options.upload;
    this.download = new BandwidthManager(options.clock);
    this.#buffers = new PieceBuffers(BUFFER_BUDGET, options.memory);
    this.#uploads = this.#disposables.add(new UploadScheduler(options.clock, options.memory));
    const { clock, random } = options;
    this.#choker = this.#disposables.add(new Choker({ clock, random, rate: () => this.upload.rate }));
    this.#disposables.add(options.clock.setInterval(() => this.#sweep(), SEEK_INTERVAL));
  }

  get limits(): RateLimits {
    return { upload: this.upload.rate, download: this.download.rate };
  }

  setLimits(limits: RateLimits): void {
    this.upload.setRate(limits.upload);
    this.download.setRate(limits.download);
  }

  /** What was set for the transfer of a version. */
  settings(network: NetworkId, infohash: InfoHash): TransferSettings {
    return this.#settings.get(keyOf(network, infohash)) ?? DEFAULT_SETTINGS;
  }

  /** Limits and priority of a version's swarm, now and whenever there is one; undefined: the defaults again. */
  configure(network: NetworkId, infohash: InfoHash, settings: TransferSettings | undefined): void {
    const key = keyOf(network, infohash);
    if (settings) this.#settings.set(key, settings);
    else this.#settings.delete(key);
    const entry = this.#entries.get(key);
    if (entry) apply(entry, settings ?? DEFAULT_SETTINGS);
  }

  *swarms(): Generator<HubSwarm> {
    yield* this.#entries.values();
  }

  get(network: NetworkId, infohash: InfoHash): Swarm | undefined {
    return this.#entries.get(keyOf(network, infohash))?.swarm;
  }

  /** The swarm of a version, made if there is none. It lives at least until every lease is disposed. */
  lease(network: NetworkId, infohash: InfoHash): { swarm: Swarm } & Disposable {
    const entry = this.#entry(network, infohash);
    entry.leases++;
    const release = toDisposable(() => {
      // Its connections may be of use in a moment, and whoever is served goes on being served: `#sweep` ends idle swarms.
      entry.leases--;
    });
    return { swarm: entry.swarm, dispose: () => release.dispose() };
  }

  /** Keeps connecting the swarm to whoever holds the version, until disposed. */
  keepSeeking(network: NetworkId, infohash: InfoHash): Disposable {
    const entry = this.#entries.get(keyOf(network, infohash));
    if (!entry) throw new PeerwireError('internal', 'Only a leased swarm can look for sources.');
    return entry.finder.keepSeeking();
  }

  /** Looks for new holders now: peers or catalogues changed. */
  seek(): void {
    for (const { finder } of this.#entries.values()) finder.seek();
  }

  /** Metadata and piece layers, from disk or from peers; rejects as `fetchVersion` of fetch-version.ts does. */
  async fetchVersion(network: NetworkId, infohash: InfoHash, signal: AbortSignal): Promise<Version> {
    const { versions, logger } = this.#options;
    const known = await versions.load(infohash);
    if (known) return known;
    if (signal.aborted) throw abortReason(signal);
    const lease = this.lease(network, infohash);
    const seeking = this.keepSeeking(network, infohash);
    try {
      const version = await fetchVersion(lease.swarm, signal);
      // Nobody has to wait for the disk; without it, peers are asked again after a restart.
      versions.save(version).catch((error: unknown) => logger.warn(`A version was not stored: ${errorMessage(error)}`));
      return version;
    } finally {
      seeking.dispose();
      lease.dispose();
    }
  }

  /** Routes an accepted connection whose handshake names a version (20 bytes of its infohash). */
  async accept(channel: MemberChannel, incoming: IncomingWire): Promise<void> {
    const { network, device } = channel;
    const prefix = incoming.handshake.infoHash.toString('hex');
    // Asked before anything is opened, and again for exactly what was opened: a prefix can be forged, a hash cannot.
    const known = !this.#isCrowded(network, prefix, device) && this.#options.mayAccess(network, prefix, device);
    const entry = known ? await this.#open(network, prefix) : undefined;
    // So is whether there is room: many may have waited for the same opening.
    const allowed =
      entry &&
      !channel.closed &&
      !this.#isCrowded(network, prefix, device) &&
      this.#options.mayAccess(network, entry.swarm.infoHash, device);
    if (!entry || !allowed || this.#disposables.disposed || !this.#makeRoom(channel) || !entry.links.add(channel)) {
      channel.close(new PeerwireError('closed', 'This peer does not serve that.'));
      return;
    }
    entry.finder.met(channel);
    entry.swarm.accept(incoming, peerKey(channel), entry.links.replacedBy(channel));
  }

  /** A peer asks to be dialled, because it cannot dial us. */
  async dialBack(network: NetworkId, infohash: InfoHash, peer: PeerRef): Promise<void> {
    if (!this.#options.mayAccess(network, infohash, peer.device)) return;
    const entry = await this.#open(network, infohash);
    if (entry?.swarm.infoHash === infohash && !this.#isCrowded(network, infohash, peer.device))
      entry.finder.connect(peer);
  }

  /** Ends the swarm connections of devices that lost access to a network, or to single versions. */
  enforceAccess(): void {
    for (const entry of this.#entries.values()) {
      for (const channel of entry.links.open()) {
        if (this.#options.mayAccess(entry.network, entry.swarm.infoHash, channel.device)) continue;
        channel.close(new PeerwireError('closed', 'The peer has no access to this share any more.'));
      }
    }
  }

  /** Ends what is connected to a device, or by it as a relay. */
  disconnectDevice(network: NetworkId, device: DeviceId): void {
    for (const entry of this.#entries.values()) {
      if (entry.network !== network) continue;
      for (const channel of entry.links.open()) {
        if (channel.device === device || channel.relay === device)
          channel.close(new PeerwireError('revoked', 'The device was revoked.'));
      }
    }
  }

  /** A peer does not answer: closes the connections to it that nothing came by lately either. */
  disconnectSilent(network: NetworkId, peer: PeerRef): void {
    const reason = new PeerwireError('timeout', 'The peer does not answer any more.');
    for (const entry of this.#entries.values())
      if (entry.network === network) entry.swarm.disconnect(peerKey(peer), reason, PING_TIMEOUT);
  }

  /** Ends a swarm at once, whoever leases it: its content is gone or changed. */
  drop(network: NetworkId, infohash: InfoHash): void {
    const key = keyOf(network, infohash);
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    entry?.swarm.dispose();
  }

  dispose(): void {
    this.#abort.abort();
    this.#disposables.dispose();
    for (const entry of this.#entries.values()) entry.swarm.dispose();
    this.#entries.clear();
  }

  #entry(network: NetworkId, infohash: InfoHash, content?: SwarmContent): Entry {
    const key = keyOf(network, infohash);
    const existing = this.#entries.get(key);
    if (existing) {
      if (existing.swarm.infoHash === infohash) return existing;
      throw new PeerwireError('protocol', 'Another version with the same short hash is open.');
    }
    const { self, clock, random, hasher, peerId, networkNode, mayAccess } = this.#options;
    const upload = new RateLimiter(clock, 0, this.upload);
    const download = this.download.transfer();
    const logger = prefixed(this.#options.logger, `swarm ${infohash.slice(0, 8)}`);
    const swarm = new Swarm(
      {
        infoHash: infohash,
        peerId,
        clock,
        random,
        logger,
        hasher,
        buffers: this.#buffers,
        sources: this.#sources,
        // A device answers for all its windows.
        accountable: (source) => parsePeerKey(source).device,
        upload,
        uploads: this.#uploads,
        choker: this.#choker,
        download,
        onQuiet: (source) => networkNode(network)?.probe(parsePeerKey(source)),
      },
      content,
    );
    swarm.onUnreadable((error) => {
      if (error.code === 'stale') this.#stale.fire({ network, infohash });
    });
    const links = new SwarmLinks(self);
    const finder = new SourceFinder({
      self,
      swarm,
      links,
      networkNode: () => networkNode(network),
      mayAccess: (device) => mayAccess(network, infohash, device),
      clock,
      random,
      logger,
      signal: this.#abort.signal,
    });
    const entry: Entry = { network, swarm, upload, download, links, finder, leases: 0 };
    apply(entry, this.settings(network, infohash));
    this.#entries.set(key, entry);
    return entry;
  }

  #sweep(): void {
    this.seek();
    for (const [key, entry] of this.#entries) {
      const useful = entry.swarm.hasContent && entry.swarm.connectedSources.size > 0;
      if (entry.leases > 0 || useful) continue;
      this.#entries.delete(key);
      entry.swarm.dispose();
    }
  }

  /** Where there are too many, whoever opened most, with all whom it invited, loses the newest: false when that is this one. */
  #makeRoom(channel: MemberChannel): boolean {
    const places = new FairPlaces(
      (network, device) => this.#options.networkNode(network)?.members.get(device)?.inviter,
    );
    let all = 0;
    for (const entry of this.#entries.values()) {
      for (const other of entry.links.open()) {
        all++;
        // What we opened ourselves is of use to us.
        if (!other.initiator) places.add(other);
      }
    }
    if (all < MOST_CHANNELS) return true;
    const first = places.firstToGo(channel);
    first?.close(new PeerwireError('busy', 'There are too many connections.'));
    return first !== undefined;
  }

  /** Whether a device has as many connections as it may. */
  #isCrowded(network: NetworkId, infohash: string, device: DeviceId): boolean {
    let here = 0;
    let everywhere = 0;
    const key = keyOf(network, infohash);
    for (const [entryKey, entry] of this.#entries) {
      for (const channel of entry.links.open()) {
        if (channel.device !== device) continue;
        everywhere++;
        if (entryKey === key) here++;
      }
    }
    return here >= MOST_PER_SWARM || everywhere >= MOST_PER_DEVICE;
  }

  /** The swarm of a version we hold, opened when somebody first asks for it. `infohash` may be its first 20 bytes. */
  #open(network: NetworkId, infohash: string): Promise<Entry | undefined> {
    const key = keyOf(network, infohash);
    const existing = this.#entries.get(key);
    if (existing) return Promise.resolve(existing);
    let opening = this.#opening.get(key);
    if (!opening) {
      opening = this.#options
        .content(network, infohash as InfoHash)
        .then((content) => {
          if (!content || !this.#disposables.disposed)
            return content && this.#entry(network, content.info.infoHash, content);
          void content.storage().close();
          return undefined;
        })
        .catch((error: unknown) => {
          this.#options.logger.warn(`A version could not be opened for a peer: ${errorMessage(error)}`);
          return undefined;
        })
        .finally(() => this.#opening.delete(key));
      this.#opening.set(key, opening);
    }
    return opening;
  }
}

function apply({ upload, download }: Entry, { limits, priority }: TransferSettings): void {
  upload.setRate(limits.upload);
  download.setRate(limits.download);
  download.setPriority(priority);
}

function keyOf(network: NetworkId, infohash: string): string {
  // By the 20 bytes that BitTorrent handshakes carry.
  return `${network}/${infohash.slice(0, 40)}`;
}
