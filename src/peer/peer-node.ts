import { join, resolve } from 'node:path';
import type { IncomingWire } from '../bittorrent/incoming-wire.ts';
import type { BlockHasher } from '../bittorrent/piece-verifier.ts';
import { checkComponent } from '../bittorrent/safe-path.ts';
import type { SwarmContent } from '../bittorrent/swarm.ts';
import type { Clock } from '../common/clock.ts';
import { DisposableList } from '../common/disposable.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import { type DeviceId, formatDeviceId, type InfoHash, type NetworkId, parseDeviceId } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import type {
  DiagnosisLine,
  DownloadPlan,
  DownloadRequest,
  InvitePreview,
  NetworkInfo,
  PeerApi,
  PeerEvent,
  PeerInfo,
  PeerStatus,
  PlanRequest,
  RateLimits,
  ReadRequest,
  ReadResult,
  RecheckResult,
  ScanSummary,
  ShareFile,
  ShareInfo,
  ShareRequest,
  TransferInfo,
  TransferPriority,
} from './api.ts';
import { diagnose } from './diagnose.ts';
import { Downloads } from './downloads.ts';
import { planFiles } from './files/plan.ts';
import type { RootCache } from './files/root-cache.ts';
import type { HashPool } from './hash-pool.ts';
import { MAX_DEVICE_NAME } from './network/catalogue.ts';
import type { MemberChannel, PeerRef } from './network/channel.ts';
import type { Networks } from './networks.ts';
import type { OwnShares } from './own-shares.ts';
import { PieceCache } from './reads/piece-cache.ts';
import { Reads } from './reads/reads.ts';
import { changed, ShareIndex } from './share-index.ts';
import type { StateStore } from './state-store.ts';
import { SwarmHub } from './swarm-hub.ts';
import { checkLimits, checkPriority, DEFAULT_SETTINGS } from './transfer-settings.ts';
import { MAX_NAME } from './trust/certificates.ts';
import { wordsFor } from './trust/words.ts';
import { Uploads } from './uploads.ts';
import type { Version, VersionStore } from './version-store.ts';

/** How long asking peers for metadata may take before a listing or a plan gives up, in ms. */
const METADATA_TIMEOUT = 20_000;
/** Bytes of pieces kept on disk for reads. */
const READ_CACHE = 512 * 1024 * 1024;

export interface PeerNodeOptions {
  readonly self: PeerRef;
  readonly name: { get(): string; set(name: string): Promise<void> };
  readonly peerId: Uint8Array;
  readonly listenPort: () => number | undefined;
  readonly dir: string;
  readonly store: StateStore;
  readonly versions: VersionStore;
  readonly pool: HashPool;
  readonly hasher: BlockHasher;
  readonly cache: RootCache;
  readonly networks: Networks;
  readonly shares: OwnShares;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: RateLimits;
  readonly onClose: () => void;
}

/** The peer: answers the interface by handing each call to the part that owns it, and wires the parts' events together. */
export class PeerNode implements PeerApi {
  readonly #options: PeerNodeOptions;
  readonly #hub: SwarmHub;
  readonly #downloads: Downloads;
  readonly #reads: Reads;
  readonly #uploads: Uploads;
  readonly #index: ShareIndex;
  readonly #events = new Emitter<PeerEvent>();
  readonly #disposables = new DisposableList();
  readonly #operations = new Map<string, AbortController>();
  #limits: RateLimits;
  #closing: Promise<void> | undefined;
  readonly onEvent: Event<PeerEvent> = this.#events.event;

  constructor(options: PeerNodeOptions) {
    this.#options = options;
    const { self, peerId, dir, store, versions, pool, hasher, cache, networks, shares, clock, logger } = options;
    this.#limits = options.limits ?? { upload: 0, download: 0 };
    this.#hub = new SwarmHub({
      self,
      peerId,
      clock,
      random: Math.random,
      logger,
      hasher,
      versions,
      networkNode: (network) => networks.get(network)?.node,
      mayAccess: (network, infohash, device) => this.#index.mayAccess(network, infohash, device),
      content: (network, infohash) => this.#content(network, infohash),
    });
    this.#hub.setLimits(this.#limits);
    this.#downloads = new Downloads({
      dir,
      store,
      hub: this.#hub,
      versions,
      pool,
      cache,
      clock,
      logger,
      deviceName: (device) => this.#index.deviceName(device as DeviceId),
      cached: (network, info) => this.#reads.cached(network, info),
    });
    this.#reads = new Reads({
      hub: this.#hub,
      cache: new PieceCache({ dir: join(dir, 'read-cache'), capacity: READ_CACHE }),
      clock,
      version: (share, { signal, wait }) => this.#version(share, { signal, wait }),
      ownContent: (network, infohash) => shares.content(network, infohash),
      downloadedContent: (network, infohash) => this.#downloads.content(network, infohash),
      refusal: (share) => this.#index.refusal(share),
      isOffered: (network, infohash) => this.#index.ofVersion(network, infohash) !== undefined,
      onStale: (network, infohash) => this.#onStale(network, infohash),
    });
    this.#index = new ShareIndex({ self, name: options.name.get, networks, shares, downloads: this.#downloads });
    this.#uploads = this.#disposables.add(new Uploads({ hub: this.#hub, index: this.#index, clock }));
  }

  async start(resume: boolean): Promise<void> {
    const { networks, shares } = this.#options;
    const own = this.#disposables;
    own.add(networks.onChanged(() => this.#events.fire({ event: 'networks' })));
    own.add(networks.onPeersChanged(() => this.#onPeersChanged()));
    own.add(networks.onCataloguesChanged(() => this.#onCataloguesChanged()));
    own.add(networks.onRevoked(({ network, devices }) => this.#onRevoked(network, devices)));
    own.add(
      networks.onConnectRequest((request) => void this.#hub.dialBack(request.network, request.infohash, request)),
    );
    own.add(shares.onChanged(() => this.#publishCatalogues()));
    own.add(shares.onReplaced(({ network, infohash }) => this.#hub.drop(network, infohash)));
    own.add(this.#downloads.onHeld(() => this.#onHeld()));
    own.add(this.#downloads.onTransfer((transfer) => this.#events.fire({ event: 'transfer', transfer })));
    own.add(this.#downloads.onRemoved((id) => this.#events.fire({ event: 'transfer-removed', id })));
    own.add(this.#uploads.onTransfer((transfer) => this.#events.fire({ event: 'transfer', transfer })));
    own.add(this.#uploads.onRemoved((id) => this.#events.fire({ event: 'transfer-removed', id })));
    own.add(this.#hub.onStale(({ network, infohash }) => void this.#onStale(network, infohash)));
    await shares.start();
    await networks.start();
    this.#publishCatalogues();
    await this.#downloads.start(resume);
    this.#publishCatalogues();
    const used = new Set([...shares.list(), ...this.#downloads.list()].map(({ infohash }) => infohash));
    await this.#options.versions.keepOnly(used);
  }

  /** Routes an accepted channel by the infohash in its handshake. */
  async accept(channel: MemberChannel, incoming: IncomingWire): Promise<void> {
    if (this.#options.networks.acceptControl(channel, incoming)) return;
    await this.#hub.accept(channel, incoming);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async status(): Promise<PeerStatus> {
    const { self, name, listenPort } = this.#options;
    return {
      device: self.device,
      name: name.get(),
      instance: self.instance,
      words: wordsFor(self.device),
      port: listenPort(),
      limits: this.#limits,
    };
  }

  async setDeviceName(name: string): Promise<void> {
    const trimmed = checkName('device', name, MAX_DEVICE_NAME);
    await this.#options.name.set(trimmed);
    for (const { node } of this.#options.networks.list()) node.setDeviceName(trimmed);
  }

  async setLimits(limits: RateLimits): Promise<void> {
    this.#limits = checkLimits(limits);
    this.#hub.setLimits(this.#limits);
  }

  async networks(): Promise<NetworkInfo[]> {
    return this.#options.networks.infos();
  }

  async createNetwork(request: {
    name: string;
    trackers: string[];
  }): Promise<{ network: NetworkInfo; invite: string }> {
    const name = checkName('network', request.name, MAX_NAME);
    const { info, invite } = await this.#options.networks.create(name, request.trackers);
    this.#publishCatalogues();
    return { network: info, invite };
  }

  async previewInvite(invite: string): Promise<InvitePreview> {
    return this.#options.networks.preview(invite);
  }

  async joinNetwork(invite: string): Promise<NetworkInfo> {
    const info = await this.#options.networks.join(invite);
    this.#publishCatalogues();
    return info;
  }

  async leaveNetwork(network: string): Promise<void> {
    const { trust } = this.#options.networks.resolve(network);
    await this.#downloads.removeNetwork(trust.network);
    await this.#options.shares.removeNetwork(trust.network);
    await this.#options.networks.leave(trust.network);
  }

  async createInvite(request: { network?: string; validFor?: number }): Promise<string> {
    const { trust } = this.#options.networks.resolve(request.network);
    return trust.createInvite({
      inviterName: this.#options.name.get(),
      ...(request.validFor === undefined ? {} : { validFor: request.validFor }),
    });
  }

  async revokeMember(request: { network?: string; device: string }): Promise<void> {
    const { trust } = this.#options.networks.resolve(request.network);
    const device = parseDeviceId(request.device);
    if (device === this.#options.self.device)
      throw new PeerwireError('usage', 'You cannot revoke your own device; leave the network instead.');
    trust.revoke(device);
  }

  async setTrackers(request: { network: string; trackers: string[] }): Promise<void> {
    const { trust, node } = this.#options.networks.resolve(request.network);
    trust.setTrackers(request.trackers);
    node.retryNow();
  }

  async peers(): Promise<PeerInfo[]> {
    return this.#options.networks.list().flatMap(({ trust, node }) =>
      node.directory.peers().map((peer) => ({
        device: peer.device,
        instance: peer.instance,
        name: peer.name,
        words: wordsFor(peer.device),
        network: trust.network,
        address: peer.address ?? '',
        since: peer.since,
      })),
    );
  }

  async addPeerAddress(address: string): Promise<void> {
    for (const { node } of this.#options.networks.list()) node.addAddress(address);
  }

  async shares(): Promise<ShareInfo[]> {
    return this.#index.list();
  }

  async awaitMetadata(share: string): Promise<void> {
    await this.#version(this.#index.resolve(share));
  }

  async shareFiles(share: string): Promise<ShareFile[]> {
    const { info } = await this.#version(this.#index.resolve(share));
    return info.files.map((file) => ({
      path: file.path.join('/'),
      size: file.length,
      ...(file.root ? { root: file.root.toString('hex') } : {}),
    }));
  }

  async readFile(request: ReadRequest): Promise<ReadResult> {
    const share = this.#index.resolve(request.share);
    if (request.infohash !== undefined && request.infohash !== share.infohash) throw changed(share);
    return await this.#operation(request.operation, (signal) => this.#reads.read(share, request, signal));
  }

  async scan(request: { paths: string[]; includeSecrets?: boolean; operation?: string }): Promise<ScanSummary> {
    return await this.#operation(request.operation, async (signal) => {
      const results = [];
      for (const path of request.paths) {
        results.push(
          await this.#options.pool.walk(resolve(path), { includeSecrets: request.includeSecrets === true, signal }),
        );
      }
      return {
        files: results.reduce((sum, result) => sum + result.files.length, 0),
        size: results.reduce((sum, result) => sum + result.size, 0),
        ignored: results.reduce((sum, result) => sum + result.ignored, 0),
        secrets: results.flatMap((result) => result.secrets),
        skipped: results.flatMap((result) => result.skipped),
      };
    });
  }

  async share(request: ShareRequest): Promise<ShareInfo> {
    const { trust } = this.#options.networks.resolve(request.network);
    if (request.relativePath !== undefined) for (const part of request.relativePath.split('/')) checkComponent(part);
    if (request.name !== undefined) checkComponent(request.name);
    const to = request.to?.map((device) => this.#index.resolveDevice(trust.network, device));
    const { operation } = request;
    const share = await this.#operation(operation, async (signal) => {
      let reported = 0;
      return await this.#options.shares.add({
        source: resolve(request.path),
        network: trust.network,
        signal,
        ...(request.name === undefined ? {} : { name: request.name }),
        ...(request.message === undefined ? {} : { message: request.message }),
        ...(request.relativePath === undefined ? {} : { path: request.relativePath }),
        ...(to === undefined || to.length === 0 ? {} : { to }),
        ...(request.includeSecrets === true ? { includeSecrets: true } : {}),
        onProgress: (phase, done, total) => {
          const now = this.#options.clock.now();
          if (operation === undefined || (now - reported < 100 && done !== total)) return;
          reported = now;
          this.#events.fire({ event: 'progress', operation, phase, done, total });
        },
      });
    });
    return this.#index.ofOwn(share);
  }

  async unshare(share: string): Promise<void> {
    const found = this.#index.resolve(share, (candidate) => candidate.own);
    await this.#options.shares.remove(found.share);
  }

  async cancel(operation: string): Promise<void> {
    this.#operations.get(operation)?.abort(new PeerwireError('cancelled', 'Cancelled.'));
  }

  async plan(request: PlanRequest): Promise<DownloadPlan> {
    const share = this.#index.resolve(request.share);
    const { info } = await this.#version(share);
    const { pool, cache } = this.#options;
    const plan = await planFiles(info, resolve(request.destination), {
      ...(request.file === undefined ? {} : { file: request.file }),
      pool,
      cache,
    });
    return {
      share,
      target: plan.target,
      files: plan.files.flatMap(({ path, size, state }) =>
        request.list === undefined || request.list === state ? { path, size, state } : [],
      ),
      missing: plan.missing,
      same: plan.same,
      different: plan.different,
      fetchSize: plan.fetchSize,
      risky: plan.risky,
    };
  }

  async download(request: DownloadRequest): Promise<TransferInfo> {
    return await this.#downloads.add(this.#index.resolve(request.share), request);
  }

  async transfers(): Promise<TransferInfo[]> {
    return [...this.#downloads.list(), ...this.#uploads.list()];
  }

  async pauseTransfer(transfer: string): Promise<void> {
    await this.#downloads.pause(transfer);
  }

  async resumeTransfer(transfer: string): Promise<void> {
    await this.#downloads.resume(transfer);
  }

  async pauseAll(): Promise<void> {
    await this.#downloads.pauseAll();
  }

  async resumeAll(): Promise<void> {
    await this.#downloads.resumeAll();
  }

  async setTransferLimits(transfer: string, limits: RateLimits): Promise<void> {
    const settings = { limits: checkLimits(limits) };
    const version = this.#uploads.versionOf(transfer);
    if (!version) return await this.#downloads.configure(transfer, settings);
    if (!(await this.#downloads.configureVersion(version, settings)))
      this.#hub.configure(version.network, version.infohash, { ...DEFAULT_SETTINGS, ...settings });
    this.#uploads.refresh(transfer);
  }

  async setTransferPriority(transfer: string, priority: TransferPriority): Promise<void> {
    await this.#downloads.configure(transfer, { priority: checkPriority(priority) });
  }

  async cancelTransfer(transfer: string): Promise<void> {
    await this.#downloads.cancel(transfer);
  }

  async recheckTransfer(transfer: string, { operation }: { operation?: string } = {}): Promise<RecheckResult> {
    return await this.#operation(operation, (signal) => this.#downloads.recheck(transfer, signal));
  }

  async removeTransfer(transfer: string): Promise<void> {
    if (this.#uploads.stop(transfer)) return;
    await this.#downloads.remove(transfer);
  }

  async diagnose(): Promise<DiagnosisLine[]> {
    const { networks, listenPort } = this.#options;
    return diagnose(listenPort(), networks.infos());
  }

  async #close(): Promise<void> {
    this.#disposables.dispose();
    for (const operation of this.#operations.values())
      operation.abort(new PeerwireError('closed', 'The peer is closing.'));
    try {
      await this.#downloads.close();
      await this.#reads.close();
      await this.#options.networks.close();
      await this.#options.store.flush();
      await this.#options.versions.flush();
    } finally {
      this.#options.shares.dispose();
      this.#hub.dispose();
      this.#events.dispose();
      this.#options.onClose();
    }
  }

  /** Own files first; else what was downloaded, and what was read. `infohash` may be its first 20 bytes. */
  async #content(network: NetworkId, infohash: InfoHash): Promise<SwarmContent | undefined> {
    const own = await this.#options.shares.content(network, infohash);
    if (own) return own;
    const full = this.#downloads.find(network, infohash)?.infohash ?? this.#reads.find(network, infohash);
    const version = full && (await this.#options.versions.load(full));
    const content = version && (await this.#reads.content(network, version));
    if (!content || content.have.count > 0) return content;
    await content.storage().close();
    return undefined;
  }

  async #version(
    share: ShareInfo,
    { signal, wait = METADATA_TIMEOUT }: { signal?: AbortSignal; wait?: number } = {},
  ): Promise<Version> {
    const late = new AbortController();
    const timer = this.#options.clock.setTimeout(() => late.abort(unanswered(share)), wait);
    try {
      const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
      return await this.#hub.fetchVersion(share.network, share.infohash, either);
    } finally {
      timer.dispose();
    }
  }

  async #operation<T>(id: string | undefined, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController();
    if (id === undefined) return await action(abort.signal);
    this.#operations.set(id, abort);
    try {
      return await action(abort.signal);
    } finally {
      this.#operations.delete(id);
    }
  }

  /** Tells each network what we offer; members hear of it at once. One that cannot be told does not stop the others. */
  #publishCatalogues(): void {
    this.#reads.recheck();
    for (const { trust, node } of this.#options.networks.list()) {
      try {
        const { shares, holds } = this.#index.entriesFor(trust.network);
        node.setOwn(shares, holds);
      } catch (error) {
        const message = `Members of “${trust.name}” cannot be told what is shared: ${errorMessage(error)}`;
        this.#options.logger.error(message);
        this.#events.fire({ event: 'notice', level: 'error', message });
      }
    }
    this.#events.fire({ event: 'shares' });
  }

  #onHeld(): void {
    this.#reads.renew();
    this.#publishCatalogues();
  }

  #onPeersChanged(): void {
    this.#hub.seek();
    void this.peers().then((peers) => this.#events.fire({ event: 'peers', peers }));
    this.#events.fire({ event: 'networks' });
    this.#events.fire({ event: 'shares' });
  }

  #onCataloguesChanged(): void {
    this.#hub.seek();
    this.#hub.enforceAccess();
    // Whom what we hold is for may have changed.
    this.#publishCatalogues();
  }

  #onRevoked(network: NetworkId, devices: readonly DeviceId[]): void {
    for (const device of devices) {
      this.#hub.disconnectDevice(network, device);
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
    this.#hub.drop(network, infohash);
    try {
      if (this.#options.shares.find(network, infohash)) await this.#options.shares.check({ network, infohash });
      else await this.#downloads.lookAgain(network, infohash);
    } catch (error) {
      this.#options.logger.warn(`A changed share could not be checked: ${errorMessage(error)}`);
    }
  }
}

function unanswered({ name }: ShareInfo): PeerwireError {
  return new PeerwireError('no-sources', `Nobody who has “${name}” answers; try again when a source is online.`);
}

/** The name without space around it. Throws `usage` when nothing is left, or more than `most` bytes: others refuse that. */
function checkName(what: 'device' | 'network', name: string, most: number): string {
  const trimmed = name.trim();
  if (trimmed === '' || Buffer.byteLength(trimmed) > most)
    throw new PeerwireError('usage', `A ${what} name has 1 to ${most} bytes.`);
  return trimmed;
}
