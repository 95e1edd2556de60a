import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { Bitfield } from '../bittorrent/bitfield.ts';
import { type FileLocation, FileStorage } from '../bittorrent/file-storage.ts';
import type { Info } from '../bittorrent/metainfo.ts';
import type { SwarmContent } from '../bittorrent/swarm.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import { type DeviceId, type InfoHash, type NetworkId, type ShareId, versionKey } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import type { DownloadRequest, RecheckResult, TransferInfo } from './api.ts';
import { Download } from './download.ts';
import { type DownloadRecord, isUnchanged, type PlacedCopy, piecesOf, publishedAt } from './download-record.ts';
import type { RecentPlan } from './files/recent-plan.ts';
import type { RootCache } from './files/root-cache.ts';
import type { HashPool } from './hash-pool.ts';
import type { CachedVersion } from './reads/cached-version.ts';
import { examineCopies, recordCopies } from './recheck.ts';
import type { StateStore } from './state-store.ts';
import type { SwarmHub } from './swarm-hub.ts';
import { checkLimits, checkPriority, DEFAULT_SETTINGS, type TransferSettings } from './transfer-settings.ts';
import { bootId, fateOf, recheckDoubtful } from './unsynced.ts';
import type { VersionStore } from './version-store.ts';

const FILE = 'transfers.json';
/** Between two reports of one transfer's progress, in ms. */
const REPORT_INTERVAL = 250;
/** Stored at least this often while something is running, in ms; changes of state are stored at once. */
const SAVE_INTERVAL = 2_000;

export interface DownloadsOptions {
  readonly dir: string;
  readonly store: StateStore;
  readonly hub: SwarmHub;
  readonly versions: VersionStore;
  readonly pool: HashPool;
  readonly cache: RootCache;
  readonly recentPlan: RecentPlan;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly deviceName: (device: string) => string;
  /** What reads have fetched of a version. */
  readonly cached: (network: NetworkId, info: Info) => CachedVersion;
}

/** What a download holds of a version, for the catalogue. */
export interface Hold {
  readonly network: NetworkId;
  readonly infohash: InfoHash;
  readonly share: ShareId;
  readonly owner: DeviceId;
  readonly complete: boolean;
}

interface Row {
  readonly download: Download;
  readonly owner: DeviceId;
  readonly subscriptions: DisposableList;
  reported: number;
  timer: Disposable | undefined;
  lastState: string;
}

/** All downloads of this peer, running and past; they survive restarts, and the finished ones are seeded on. */
export class Downloads implements Disposable {
  readonly #options: DownloadsOptions;
  readonly #rows = new Map<string, Row>();
  readonly #disposables = new DisposableList();
  readonly #transfer = new Emitter<TransferInfo>();
  readonly #removed = new Emitter<string>();
  readonly #held = new Emitter<void>();
  /** Looking again at files of versions that were touched, by network and version. */
  readonly #looking = new Map<string, Promise<void>>();
  readonly #abort = new AbortController();
  #dirty = false;
  /** Nothing is stored before what is stored was read, nor started once closing has begun. */
  #loaded = false;
  #closing = false;
  readonly onTransfer: Event<TransferInfo> = this.#transfer.event;
  readonly onRemoved: Event<string> = this.#removed.event;
  /** What we hold for others changed. */
  readonly onHeld: Event<void> = this.#held.event;

  constructor(options: DownloadsOptions) {
    this.#options = options;
  }

  /** Loads what is stored; `resume` goes on with what was running, otherwise it waits as paused. */
  async start(resume: boolean): Promise<void> {
    const stored = await this.#options.store.readJson(FILE, parseStored);
    for (const { owner, ...record } of stored ?? []) {
      if (!resume && record.state === 'running') record.state = 'paused';
      this.#add(record, owner);
    }
    this.#loaded = true;
    const doubting = this.#checkUnsynced().catch((error: unknown) => {
      if (!this.#abort.signal.aborted)
        this.#options.logger.warn(`Files that may be damaged could not be looked at: ${errorMessage(error)}`);
    });
    this.#looking.set('unsynced', doubting);
    this.#disposables.add(
      this.#options.clock.setInterval(() => {
        if (this.#dirty) void this.#save();
      }, SAVE_INTERVAL),
    );
    this.#startNext();
  }

  list(): TransferInfo[] {
    return [...this.#rows.values()].map(({ download }) => download.info());
  }

  async add(
    share: { share: ShareId; infohash: InfoHash; network: NetworkId; name: string; owner: DeviceId; size: number },
    request: DownloadRequest,
  ): Promise<TransferInfo> {
    const destination = resolve(request.destination);
    const settings = requestedSettings(request);
    const existing = [...this.#rows.values()].find(({ download: { record } }) =>
      isSame(record, share, destination, request.file),
    );
    if (existing) {
      // The same wish again is the wish to go on, or to look again whether it is still there.
      const { record } = existing.download;
      this.#configure(existing, settings);
      await endRecheck(existing);
      if (!existing.download.running) {
        Object.assign(record, {
          policy: request.onConflict,
          allowRisky: request.allowRisky === true,
          state: 'running',
          sources: {},
          fetched: 0,
        });
        delete record.elapsed;
        await this.#save();
        this.#startNext();
      }
      return existing.download.info();
    }
    const record: DownloadRecord = {
      id: randomBytes(8).toString('hex'),
      share: share.share,
      infohash: share.infohash,
      network: share.network,
      name: request.file?.split('/').at(-1) ?? share.name,
      destination,
      ...(request.file === undefined ? {} : { file: request.file }),
      policy: request.onConflict,
      allowRisky: request.allowRisky === true,
      state: 'running',
      fetched: 0,
      size: request.file === undefined ? share.size : 0,
      listedSize: share.size,
      settings: { ...DEFAULT_SETTINGS, ...settings },
      sources: {},
      placed: {},
    };
    const row = this.#add(record, share.owner);
    await this.#save();
    this.#startNext();
    return row.download.info();
  }

  async pause(id: string): Promise<void> {
    await this.#row(id).download.stop('paused');
    await this.#save();
    this.#startNext();
  }

  async resume(id: string): Promise<void> {
    const { download } = this.#row(id);
    if (download.record.state === 'done') throw new PeerwireError('usage', 'This transfer is done.');
    download.record.state = 'running';
    this.#startNext();
    await this.#save();
  }

  async pauseAll(): Promise<void> {
    const pausable = [...this.#rows.values()].filter(({ download }) => download.record.state === 'running');
    // All at once, and before the next could start in the place of one.
    for (const { download } of pausable) if (!download.running) download.record.state = 'paused';
    await Promise.all(pausable.map(({ download }) => download.stop('paused')));
    await this.#save();
  }

  async resumeAll(): Promise<void> {
    for (const { download } of this.#rows.values())
      if (download.record.state === 'paused') download.record.state = 'running';
    this.#startNext();
    await this.#save();
  }

  /** Limits or priority of a download, kept with it. */
  async configure(id: string, settings: Partial<TransferSettings>): Promise<void> {
    this.#configure(this.#row(id), settings);
    await this.#save();
  }

  /** The same by version; false when no download is about it. */
  async configureVersion(
    { network, infohash }: { readonly network: NetworkId; readonly infohash: InfoHash },
    settings: Partial<TransferSettings>,
  ): Promise<boolean> {
    const rows = [...this.#rows.values()].filter(
      ({ download: { record } }) => record.network === network && record.infohash === infohash,
    );
    for (const row of rows) this.#configure(row, settings);
    await this.#save();
    return rows.length > 0;
  }

  /** As `recheckTransfer` of the API says. */
  async recheck(id: string, signal: AbortSignal): Promise<RecheckResult> {
    return await this.#row(id).download.recheck(signal);
  }

  /** Stops, deletes what is staged and forgets; of a finished download ends the recheck only. */
  async cancel(id: string): Promise<void> {
    const row = this.#row(id);
    if (row.download.rechecking && row.download.record.state === 'done') await endRecheck(row);
    else await this.#discard(row);
  }

  async #discard(row: Row): Promise<void> {
    await row.download.discard();
    await this.#forget(row);
  }

  /** Forgets a row that has ended; a finished download is seeded no longer. */
  async remove(id: string): Promise<void> {
    const row = this.#row(id);
    await endRecheck(row);
    if (row.download.running) throw new PeerwireError('busy', 'This transfer is still running; cancel it first.');
    if (row.download.record.state !== 'done') await row.download.discard();
    await this.#forget(row);
  }

  async removeNetwork(network: NetworkId): Promise<void> {
    for (const row of [...this.#rows.values()]) if (row.download.record.network === network) await this.#discard(row);
  }

  holds(): Hold[] {
    const holds = new Map<string, Hold>();
    for (const { download, owner } of this.#rows.values()) {
      const { record } = download;
      const placed = Object.keys(record.placed).length > 0;
      if (!placed && download.have === undefined) continue;
      const whole = record.partial !== true && Object.keys(record.changed ?? {}).length === 0;
      const complete = record.state === 'done' && record.file === undefined && whole;
      const key = versionKey(record);
      if (holds.get(key)?.complete === true) continue;
      holds.set(key, { network: record.network, infohash: record.infohash, share: record.share, owner, complete });
    }
    return [...holds.values()];
  }

  /** The shares under which downloads have or fetch a version. `infohash` may be its first 20 bytes. */
  sharesOf(network: NetworkId, infohash: string): { owner: DeviceId; share: ShareId }[] {
    return [...this.#rows.values()].flatMap(({ download: { record }, owner }) =>
      record.network === network && record.infohash.startsWith(infohash) ? [{ owner, share: record.share }] : [],
    );
  }

  /** Owner and share of a version that some download is about. */
  find(network: NetworkId, infohash: string): { owner: DeviceId; share: ShareId; infohash: InfoHash } | undefined {
    for (const { download, owner } of this.#rows.values()) {
      const { record } = download;
      if (record.network === network && record.infohash.startsWith(infohash))
        return { owner, share: record.share, infohash: record.infohash };
    }
    return undefined;
  }

  /** What a swarm can serve of finished downloads: the files that are still as they were received. */
  async content(network: NetworkId, infohash: string): Promise<SwarmContent | undefined> {
    const full = this.find(network, infohash)?.infohash;
    const version = full && (await this.#options.versions.load(full));
    if (!version) return undefined;
    const { info, layers } = version;
    const have = new Bitfield(info.pieceCount);
    const locations = new Map<number, FileLocation>();
    let touched = false;
    for (const [index, copy] of this.#placed(network, version.info.infoHash)) {
      const file = info.files[index];
      if (!file) continue;
      if (!(await isUnchanged(copy))) {
        touched = true;
        continue;
      }
      locations.set(index, publishedAt(copy));
      for (const piece of piecesOf(file)) have.add(piece);
    }
    // Of no use to whoever asks now, but perhaps soon.
    if (touched) void this.lookAgain(network, version.info.infoHash);
    if (have.count === 0) return undefined;
    const storage = new FileStorage((index) => {
      const location = locations.get(index);
      if (!location) throw new PeerwireError('stale', 'This file is not here any more.');
      return location;
    }, this.#options.pool);
    return { info, layers, have, storage: () => storage };
  }

  /** Copies that finished downloads of a version left in place. */
  #placed(network: NetworkId, infohash: InfoHash, except?: DownloadRecord): Map<number, PlacedCopy> {
    const copies = new Map<number, PlacedCopy>();
    for (const { download } of this.#rows.values()) {
      const { record } = download;
      if (record === except || record.network !== network || record.infohash !== infohash) continue;
      for (const [index, copy] of Object.entries(record.placed)) copies.set(Number(index), copy);
    }
    return copies;
  }

  /**
   * Files that we seed do not look as they did, and are not served: those that were edited are forgotten; those that were only
   * touched (permissions, another name) are seeded on, once a worker has read them. Never rejects.
   */
  lookAgain(network: NetworkId, infohash: InfoHash): Promise<void> {
    const key = versionKey({ network, infohash });
    // What changes during it shows when somebody is to be served.
    let looking = this.#looking.get(key);
    if (!looking) {
      looking = this.#lookAgain(network, infohash)
        .catch((error: unknown) => {
          if (!this.#abort.signal.aborted)
            this.#options.logger.warn(`Files that changed could not be looked at: ${errorMessage(error)}`);
        })
        .finally(() => this.#looking.delete(key));
      this.#looking.set(key, looking);
    }
    return looking;
  }

  async #lookAgain(network: NetworkId, infohash: InfoHash): Promise<void> {
    const { hub, pool, versions } = this.#options;
    const version = await versions.load(infohash);
    if (!version) return;
    let differs = false;
    for (const row of this.#rows.values()) {
      const { record } = row.download;
      if (record.network !== network || record.infohash !== infohash) continue;
      const touched = new Map<number, string>();
      for (const [index, copy] of Object.entries(record.placed))
        if (!(await isUnchanged(copy))) touched.set(Number(index), copy.path);
      if (touched.size === 0) continue;
      const { signal } = this.#abort;
      if (!recordCopies(record, await examineCopies(version.info, touched, { pool, signal }))) continue;
      differs = true;
      this.#transfer.fire(row.download.info());
    }
    if (!differs) return;
    // One that was opened meanwhile does not know of files that are back.
    hub.drop(network, infohash);
    await this.#save();
    this.#held.fire();
  }

  /** Looks again at what was placed just before the system stopped: it may not have come to the disk. */
  async #checkUnsynced(): Promise<void> {
    const { hub, pool, versions, clock } = this.#options;
    const { signal } = this.#abort;
    const boot = await bootId();
    for (const { download } of this.#rows.values()) {
      const { record } = download;
      const fate = record.unsynced && fateOf(record.unsynced, boot, clock.wallTime());
      if (fate === 'written') delete record.unsynced;
      const version = fate === 'doubtful' && record.state === 'done' && (await versions.load(record.infohash));
      if (!version) continue;
      const { damaged, differs } = await recheckDoubtful(record, version, { pool, signal });
      if (damaged > 0 && record.state === 'done') {
        const message = `The computer stopped before ${damaged} of the files of “${record.name}” were on its disk; get them again.`;
        record.state = 'failed';
        record.error = { code: 'io', message };
      }
      // One that was opened meanwhile does not know of it.
      if (differs) hub.drop(record.network, record.infohash);
      await this.#save();
      this.#transfer.fire(download.info());
      this.#held.fire();
    }
  }

  /** Stops everything and stores where it was, so that the next start goes on. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#abort.abort(new PeerwireError('closed', 'The peer is closing.'));
    await Promise.all(this.#looking.values());
    await Promise.all([...this.#rows.values()].map(({ download }) => download.stop('running')));
    await this.#save();
    this.dispose();
  }

  dispose(): void {
    this.#abort.abort(new PeerwireError('closed', 'The peer is closing.'));
    this.#disposables.dispose();
    for (const row of this.#rows.values()) {
      row.timer?.dispose();
      row.subscriptions.dispose();
      row.download.dispose();
    }
  }

  #add(record: DownloadRecord, owner: DeviceId): Row {
    const { dir, cached, ...shared } = this.#options;
    const download = new Download({
      ...shared,
      cached: (info) => cached(record.network, info),
      record,
      journalPath: join(dir, 'journals', `${record.id}.have`),
      persist: () => this.#save(),
      placedElsewhere: () => this.#placed(record.network, record.infohash, record),
    });
    const row: Row = {
      download,
      owner,
      subscriptions: new DisposableList(),
      reported: 0,
      timer: undefined,
      lastState: '',
    };
    row.subscriptions.add(download.onChanged(() => this.#report(row)));
    row.subscriptions.add(download.onHeld(() => this.#held.fire()));
    this.#rows.set(record.id, row);
    if (record.settings) this.#options.hub.configure(record.network, record.infohash, record.settings);
    return row;
  }

  #configure(row: Row, settings: Partial<TransferSettings>): void {
    if (Object.keys(settings).length === 0) return;
    const { record } = row.download;
    record.settings = { ...DEFAULT_SETTINGS, ...record.settings, ...settings };
    this.#options.hub.configure(record.network, record.infohash, record.settings);
    this.#transfer.fire(row.download.info());
  }

  #row(id: string): Row {
    const row = this.#rows.get(id);
    if (!row) throw new PeerwireError('not-found', 'There is no such transfer.');
    return row;
  }

  /** One download of a version at a time: they share its swarm. */
  #startNext(): void {
    if (this.#closing) return;
    const busy = new Set<string>();
    const rows = [...this.#rows.values()].map(({ download }) => download);
    for (const { running, record } of rows) if (running) busy.add(versionKey(record));
    for (const download of rows) {
      const key = versionKey(download.record);
      if (download.running || download.record.state !== 'running' || busy.has(key)) continue;
      busy.add(key);
      const { network, infohash, settings } = download.record;
      this.#options.hub.configure(network, infohash, settings);
      download.start();
    }
  }

  #report(row: Row): void {
    const now = this.#options.clock.now();
    const { state, running } = row.download;
    const changed = state !== row.lastState;
    row.lastState = state;
    this.#dirty = true;
    const wait = row.reported + REPORT_INTERVAL - now;
    if (wait <= 0 || changed) {
      row.timer?.dispose();
      row.timer = undefined;
      row.reported = now;
      this.#transfer.fire(row.download.info());
      // After telling it: what finished downloads hold may take a while to write down.
      if (changed) void this.#save();
    } else if (!row.timer) {
      row.timer = this.#options.clock.setTimeout(() => {
        row.timer = undefined;
        this.#report(row);
      }, wait);
    }
    if (!running) this.#startNext();
  }

  async #forget(row: Row): Promise<void> {
    const { id, network, infohash } = row.download.record;
    row.timer?.dispose();
    row.subscriptions.dispose();
    this.#rows.delete(id);
    if (!this.find(network, infohash)) {
      this.#options.hub.drop(network, infohash);
      this.#options.hub.configure(network, infohash, undefined);
    }
    await this.#save();
    this.#removed.fire(id);
    this.#held.fire();
    this.#startNext();
  }

  async #save(): Promise<void> {
    if (!this.#loaded) return;
    this.#dirty = false;
    for (const { download } of this.#rows.values()) download.checkpoint();
    const transfers = [...this.#rows.values()].map(({ download, owner }) => ({ ...download.record, owner }));
    await this.#options.store.writeJson(FILE, { transfers }).catch((error: unknown) => {
      this.#options.logger.error(`Transfers could not be stored: ${String(error)}`);
    });
  }
}

async function endRecheck({ download }: Row): Promise<void> {
  if (download.rechecking) await download.stop();
}

function requestedSettings({ limits, priority }: DownloadRequest): Partial<TransferSettings> {
  return {
    ...(limits === undefined ? {} : { limits: checkLimits(limits) }),
    ...(priority === undefined ? {} : { priority: checkPriority(priority) }),
  };
}

type StoredTransfer = DownloadRecord & { readonly owner: DeviceId };

/** Our own file, written atomically: its shape is trusted when its outline fits. */
function parseStored(value: unknown): StoredTransfer[] {
  const { transfers } = value as { transfers?: StoredTransfer[] };
  if (!Array.isArray(transfers) || !transfers.every((transfer) => typeof transfer.id === 'string')) {
    throw new PeerwireError('bad-encoding', 'The list of transfers is damaged.');
  }
  return transfers;
}

function isSame(
  record: DownloadRecord,
  share: { readonly infohash: InfoHash; readonly network: NetworkId },
  destination: string,
  file: string | undefined,
): boolean {
  const sameVersion = record.infohash === share.infohash && record.network === share.network;
  return sameVersion && record.destination === destination && record.file === file;
}
