import { join } from 'node:path';
import type { IncomingWire } from '../bittorrent/incoming-wire.ts';
import type { RateLimiter } from '../bittorrent/rate-limiter.ts';
import type { SwarmContent } from '../bittorrent/swarm.ts';
import { withTimeLimit } from '../common/abort.ts';
import { allOf } from '../common/all-of.ts';
import type { Clock } from '../common/clock.ts';
import { DisposableList } from '../common/disposable.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import { type DeviceId, formatDeviceId, type InfoHash, type NetworkId } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import type { PeerEvent, RateLimits, ShareInfo } from './api.ts';
import { Downloads } from './downloads.ts';
import { RecentPlan } from './files/recent-plan.ts';
import type { RootCache } from './files/root-cache.ts';
import type { HashPool } from './hash-pool.ts';
import type { MemberChannel, PeerRef } from './network/channel.ts';
import type { Networks, RunningNetwork } from './networks.ts';
import type { OwnShares } from './own-shares.ts';
import { PieceCache } from './reads/piece-cache.ts';
import { Reads } from './reads/reads.ts';
import { ShareChanges } from './share-changes.ts';
import { ShareIndex } from './share-index.ts';
import type { StateStore } from './state-store.ts';
import { SwarmHub } from './swarm-hub.ts';
import { Uploads } from './uploads.ts';
import type { Version, VersionStore } from './version-store.ts';

/** How long asking peers for metadata may take before a listing or a plan gives up, in ms. */
const METADATA_TIMEOUT = 20_000;
/** Bytes of pieces kept on disk for reads. */
const READ_CACHE = 512 * 1024 * 1024;

export interface PeerPartsOptions {
  readonly self: PeerRef;
  readonly deviceName: () => string;
  readonly peerId: Uint8Array;
  readonly dir: string;
  readonly store: StateStore;
  readonly versions: VersionStore;
  readonly pool: HashPool;
  readonly cache: RootCache;
  readonly networks: Networks;
  readonly shares: OwnShares;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of all that this peer sends. */
  readonly upload: RateLimiter;
  readonly limits?: RateLimits;
  readonly onClose: () => void | Promise<void>;
}

/** The parts of a peer, wired together: what happens in one, those hear whom it concerns. */
export class PeerParts {
  readonly hub: SwarmHub;
  readonly downloads: Downloads;
  readonly reads: Reads;
  readonly uploads: Uploads;
  readonly index: ShareIndex;
  readonly recentPlan: RecentPlan;
  readonly #options: PeerPartsOptions;
  readonly #events = new Emitter<PeerEvent>();
  readonly #disposables = new DisposableList();
  /** Whose metadata is being asked for. */
  readonly #asked = new Set<ShareInfo>();
  readonly #shareChanges = new ShareChanges();
  #closing: Promise<void> | undefined;
  readonly onEvent: Event<PeerEvent> = this.#events.event;

  constructor(options: PeerPartsOptions) {
    this.#options = options;
    const { self, peerId, dir, store, versions, pool, cache, networks, shares, clock, logger } = options;
    this.hub = new SwarmHub({
      self,
      peerId,
      clock,
      random: Math.random,
      logger,
      hasher: pool,
      memory: pool.memory,
      versions,
      networkNode: (network) => networks.get(network)?.node,
      upload: options.upload,
      mayAccess: (network, infohash, device) => this.index.mayAccess(network, infohash, device),
      content: (network, infohash) => this.#content(network, infohash),
    });
    if (options.limits) this.hub.setLimits(options.limits);
    this.recentPlan = this.#disposables.add(new RecentPlan(clock));
    this.downloads = new Downloads({
      recentPlan: this.recentPlan,
      dir,
      store,
      hub: this.hub,
      versions,
      pool,
      cache,
      clock,
      logger,
      deviceName: (device) => this.index.deviceName(device as DeviceId),
      cached: (network, info) => this.reads.cached(network, info),
    });
    this.reads = new Reads({
      hub: this.hub,
      cache: new PieceCache({ dir: join(dir, 'read-cache'), capacity: READ_CACHE }),
      clock,
      version: (share, { signal, wait }) => this.version(share, { signal, wait }),
      ownContent: (network, infohash) => shares.content(network, infohash),
      downloadedContent: (network, infohash) => this.downloads.content(network, infohash),
      refusal: (share) => this.index.refusal(share),
      isOffered: (network, infohash) => this.index.ofVersion(network, infohash) !== undefined,
      onStale: (network, infohash) => this.#onStale(network, infohash),
    });
    this.index = new ShareIndex({
      self,
      name: options.deviceName,
      networks,
      shares,
      downloads: this.downloads,
      usedShares: (network, infohash) => [
        ...this.reads.sharesOf(network, infohash),
        ...[...this.#asked].filter((share) => share.network === network && share.infohash.startsWith(infohash)),
      ],
    });
    this.uploads = this.#disposables.add(new Uploads({ hub: this.hub, index: this.index, clock }));
  }

  /** Goes on where the peer stopped; with downloads only if `resume`. */
  async start(resume: boolean): Promise<void> {
    const { networks, shares } = this.#options;
    const own = this.#disposables;
    own.add(networks.onChanged(() => this.#events.fire({ event: 'networks' })));
    own.add(networks.onLeft((network) => void this.#onLeft(network)));
    own.add(networks.onLoaded((network) => this.#tell(network)));
    own.add(networks.onPeersChanged(() => this.#onPeersChanged()));
    own.add(networks.onCataloguesChanged(() => this.#onCataloguesChanged()));
    own.add(networks.onRevoked(({ network, devices }) => this.#onRevoked(network, devices)));
    own.add(networks.onSilent(({ network, ...peer }) => this.hub.disconnectSilent(network, peer)));
    own.add(networks.onConnectRequest((request) => void this.hub.dialBack(request.network, request.infohash, request)));
    own.add(shares.onChanged(() => this.#publish()));
    own.add(shares.onReplaced(({ network, infohash }) => this.hub.drop(network, infohash)));
    own.add(this.downloads.onHeld(() => this.#onHeld()));
    own.add(this.downloads.onTransfer((transfer) => this.#events.fire({ event: 'transfer', transfer })));
    own.add(this.downloads.onRemoved((id) => this.#events.fire({ event: 'transfer-removed', id })));
    own.add(this.uploads.onTransfer((transfer) => this.#events.fire({ event: 'transfer', transfer })));
    own.add(this.uploads.onRemoved((id) => this.#events.fire({ event: 'transfer-removed', id })));
    own.add(this.hub.onStale(({ network, infohash }) => void this.#onStale(network, infohash)));
    await shares.start();
    // First what there is to offer, then those who hear of it.
    await this.downloads.start(resume);
    await networks.start();
    const used = new Set([...shares.list(), ...this.downloads.list()].map(({ infohash }) => infohash));
    await this.#options.versions.keepOnly(used);
  }

  /** Routes an accepted channel by the infohash in its handshake. */
  async accept(channel: MemberChannel, incoming: IncomingWire): Promise<void> {
    const { networks } = this.#options;
    if (networks.acceptControl(channel, incoming) || networks.acceptRelay(channel, incoming)) return;
    await this.hub.accept(channel, incoming);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Fires an event of a call under way. */
  report(event: PeerEvent): void {
    this.#events.fire(event);
  }

  /** Metadata and piece layers, from disk or from peers; rejects with `no-sources` after `wait` milliseconds. */
  async version(
    share: ShareInfo,
    { signal, wait = METADATA_TIMEOUT }: { signal?: AbortSignal; wait?: number } = {},
  ): Promise<Version> {
    const asked = { ...share };
    this.#asked.add(asked);
    try {
      const limit = { clock: this.#options.clock, limit: wait, reason: () => unanswered(share), signal };
      return await withTimeLimit(limit, (either) => this.hub.fetchVersion(share.network, share.infohash, either));
    } finally {
      this.#asked.delete(asked);
    }
  }

  async #close(): Promise<void> {
    const { networks, store, versions, shares, onClose } = this.#options;
    this.#disposables.dispose();
    const steps = [this.downloads, this.reads, networks].map((part) => () => part.close());
    const ends: Promise<void>[] = [];
    for (const step of [...steps, () => store.flush(), () => versions.flush()]) {
      const end = step();
      ends.push(end);
      // One that fails keeps none of the others open.
      await end.catch(() => undefined);
    }
    shares.dispose();
    this.hub.dispose();
    this.#events.dispose();
    await onClose();
    await allOf(ends);
  }

  /** Own files first; else what was downloaded, and what was read. `infohash` may be its first 20 bytes. */
  async #content(network: NetworkId, infohash: InfoHash): Promise<SwarmContent | undefined> {
    const own = await this.#options.shares.content(network, infohash);
    if (own) return own;
    const full = this.downloads.find(network, infohash)?.infohash ?? this.reads.find(network, infohash);
    const version = full && (await this.#options.versions.load(full));
    const content = version && (await this.reads.content(network, version));
    if (!content || content.have.count > 0) return content;
    await content.storage().close();
    return undefined;
  }

  /** What is shared or held changed: each network hears of it. */
  #publish(): void {
    this.reads.recheck();
    for (const network of this.#options.networks.list()) this.#tell(network);
    this.#tellShares();
  }

  #tellShares(): void {
    this.#events.fire(this.#shareChanges.next(this.index.list()));
  }

  /** Tells a network what we offer; members hear of it at once. That it cannot be told does not stop anything else. */
  #tell({ trust, node }: RunningNetwork): void {
    try {
      const { shares, holds } = this.index.entriesFor(trust.network);
      node.setOwn(shares, holds);
    } catch (error) {
      const message = `Members of “${trust.name}” cannot be told what is shared: ${errorMessage(error)}`;
      this.#options.logger.error(message);
      this.#events.fire({ event: 'notice', level: 'error', message });
    }
  }

  /** As leaving does it in the window where somebody chose to. */
  async #onLeft(network: NetworkId): Promise<void> {
    try {
      await this.downloads.removeNetwork(network);
      await this.#options.shares.removeNetwork(network);
    } catch (error) {
      this.#options.logger.warn(`What belonged to a network that was left is still here: ${errorMessage(error)}`);
    }
  }

  #onHeld(): void {
    this.reads.renew();
    this.#publish();
  }

  #onPeersChanged(): void {
    this.hub.seek();
    this.#events.fire({ event: 'peers', peers: this.#options.networks.peers() });
    this.#events.fire({ event: 'networks' });
    this.#tellShares();
  }

  #onCataloguesChanged(): void {
    this.hub.seek();
    this.hub.enforceAccess();
    // Whom what we hold is for may have changed.
    this.#publish();
  }

  #onRevoked(network: NetworkId, devices: readonly DeviceId[]): void {
    for (const device of devices) {
      this.hub.disconnectDevice(network, device);
      this.#options.logger.info(`${formatDeviceId(device)} was revoked`);
    }
    if (devices.includes(this.#options.self.device)) {
      const name = this.#options.networks.get(network)?.trust.name ?? '';
      this.#events.fire({
        event: 'notice',
        level: 'warning',
        message: `This device was removed from the network “${name}”.`,
      });
    }
  }

  async #onStale(network: NetworkId, infohash: InfoHash): Promise<void> {
    this.hub.drop(network, infohash);
    try {
      if (this.#options.shares.find(network, infohash)) await this.#options.shares.check({ network, infohash });
      else await this.downloads.lookAgain(network, infohash);
    } catch (error) {
      this.#options.logger.warn(`A changed share could not be checked: ${errorMessage(error)}`);
    }
  }
}

function unanswered({ name }: ShareInfo): PeerwireError {
  return new PeerwireError('no-sources', `Nobody who has “${name}” answers; try again when a source is online.`);
}
