import { dirname } from 'node:path';
import { Bitfield } from '../bittorrent/bitfield.ts';
import { type FileLocation, FileStorage } from '../bittorrent/file-storage.ts';
import { fileAt, type Info, pieceAt } from '../bittorrent/metainfo.ts';
import type { Storage } from '../bittorrent/storage.ts';
import { onAbort } from '../common/abort.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { Logger } from '../common/log.ts';
import type { RecheckResult, TransferInfo, TransferState } from './api.ts';
import { DownloadAccounts } from './download-accounts.ts';
import { type DownloadRecord, isUnchanged, type PlacedCopy, piecesOf, publishedAt } from './download-record.ts';
import { isStagingDir, place, removeStaging, stagingDir } from './files/placement.ts';
import { type FilesPlan, filesToFetch, planFiles } from './files/plan.ts';
import type { RecentPlan } from './files/recent-plan.ts';
import type { RootCache } from './files/root-cache.ts';
import { stagedFile } from './files/staged-file.ts';
import { syncFolder } from './files/sync.ts';
import { GatedStorage } from './gated-storage.ts';
import type { HashPool } from './hash-pool.ts';
import { PieceJournal } from './piece-journal.ts';
import { adoptPieces } from './reads/adopt-pieces.ts';
import type { CachedVersion } from './reads/cached-version.ts';
import { OverlaidStorage } from './reads/overlay.ts';
import { recheckPlaced, recheckStaged } from './recheck.ts';
import { StagedPieces } from './staged-pieces.ts';
import type { SwarmHub } from './swarm-hub.ts';
import { DEFAULT_SETTINGS } from './transfer-settings.ts';
import { bootId } from './unsynced.ts';
import type { Version, VersionStore } from './version-store.ts';

export interface DownloadOptions {
  readonly record: DownloadRecord;
  readonly journalPath: string;
  readonly hub: SwarmHub;
  readonly versions: VersionStore;
  readonly pool: HashPool;
  readonly cache: RootCache;
  /** What was planned just before the download was asked for. */
  readonly recentPlan: RecentPlan;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly deviceName: (device: string) => string;
  /** Stores the record; resolves when it is on disk. */
  readonly persist: () => Promise<void>;
  /** What reads have fetched of the version: taken over, and where they go on putting what is not downloaded. */
  readonly cached: (info: Info) => CachedVersion;
  /** Where other finished downloads of the version put its files: they are served meanwhile, too. */
  readonly placedElsewhere: () => ReadonlyMap<number, PlacedCopy>;
}

/** One download from the first byte of metadata to the files in place. Pausing and failing keep what was verified. */
export class Download implements Disposable {
  readonly record: DownloadRecord;
  readonly #options: DownloadOptions;
  readonly #changed = new Emitter<void>();
  readonly #held = new Emitter<void>();
  readonly onChanged: Event<void> = this.#changed.event;
  /** What we can serve to others changed. */
  readonly onHeld: Event<void> = this.#held.event;
  #phase: 'metadata' | 'checking' | 'downloading' | 'placing' | undefined;
  #abort = new AbortController();
  #run: Promise<void> | undefined;
  #rechecking = false;
  /** What the state becomes when the run that is being stopped has ended. */
  #stopTo: 'paused' | 'running' | undefined;
  #discarded = false;
  readonly #accounts: DownloadAccounts;
  #have: Bitfield | undefined;
  /** Verified bytes that are there, of those wanted. */
  #done = 0;
  #startedAt = 0;

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.record = options.record;
    this.#accounts = new DownloadAccounts(options.record, options.deviceName);
  }

  get running(): boolean {
    return this.#run !== undefined;
  }

  /** Verified pieces that can be served now; undefined before the download of content began. */
  get have(): Bitfield | undefined {
    return this.#have;
  }

  /** Looks at what is on disk; see `recheckTransfer`. */
  get rechecking(): boolean {
    return this.#rechecking;
  }

  start(): void {
    if (this.#run || this.#discarded) return;
    this.record.state = 'running';
    delete this.record.error;
    this.#startedAt = this.#options.clock.now();
    void this.#begin((signal) => this.#work(signal).catch((error: unknown) => this.#fail(toPeerwireError(error))));
  }

  /** As `recheckTransfer` of the API says. `start` waits for its end. */
  async recheck(operation?: AbortSignal): Promise<RecheckResult> {
    if (this.#run || this.#discarded || this.record.state === 'running')
      throw new PeerwireError('busy', 'This transfer is still running; pause it first.');
    this.#rechecking = true;
    this.#phase = 'checking';
    const before = this.#done;
    this.#done = 0;
    let result: RecheckResult | undefined;
    let failure: unknown;
    await this.#begin(async (signal) => {
      try {
        result = await this.#recheck(operation ? AbortSignal.any([signal, operation]) : signal);
      } catch (error) {
        this.#done = before;
        failure = error;
      } finally {
        this.#rechecking = false;
      }
    });
    if (!result) throw toPeerwireError(failure);
    return result;
  }

  #begin(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#abort = new AbortController();
    this.#accounts.begin();
    const { signal } = this.#abort;
    // Begun in a microtask: what it reports at once must find it running already.
    const run = Promise.resolve()
      .then(() => work(signal))
      .finally(() => {
        if (this.#stopTo && this.record.state === 'running') this.record.state = this.#stopTo;
        this.#stopTo = undefined;
        this.#run = undefined;
        this.#phase = undefined;
        this.#changed.fire();
      });
    this.#run = run;
    this.#changed.fire();
    return run;
  }

  async #recheck(signal: AbortSignal): Promise<RecheckResult> {
    const { record } = this;
    const { pool, cache, versions, journalPath, hub, persist } = this.#options;
    const onProgress = (bytes: number): void => {
      this.#done += bytes;
      this.#changed.fire();
    };
    const version = await versions.load(record.infohash);
    // Before it is known, nothing is fetched.
    if (!version) return { files: 0, changed: [] };
    if (record.state !== 'done') {
      const options = { pool, cache, journalPath, signal, onProgress };
      const { result, done } = await recheckStaged(record, version, options);
      this.#done = done;
      return result;
    }
    const { result, differs } = await recheckPlaced(record, version, { pool, signal, onProgress });
    if (differs) {
      // Who is served by what was there connects again.
      hub.drop(record.network, record.infohash);
      await persist();
      this.#held.fire();
    }
    return result;
  }

  /** Stops; what is verified stays for `start`. Resolves when nothing is touched any more. */
  async stop(state: 'paused' | 'running' = 'paused'): Promise<void> {
    if (this.#run) {
      // Said before the run ends: whoever hears of its end must not take it for one that should go on.
      this.#stopTo = state;
      this.#abort.abort(new PeerwireError('cancelled', 'The transfer was stopped.'));
      await this.#run;
      return;
    }
    if (this.record.state === 'running') this.record.state = state;
    this.#changed.fire();
  }

  /** Deletes everything that is not in its final place. */
  async discard(): Promise<void> {
    this.#discarded = true;
    await this.stop();
    if (this.record.staging !== undefined) await removeStaging(this.record.staging).catch(() => undefined);
    await PieceJournal.remove(this.#options.journalPath).catch(() => undefined);
  }

  dispose(): void {
    this.#abort.abort(new PeerwireError('closed', 'The peer is closing.'));
  }

  /** Brings the record up to date, for storing it while the download runs. */
  checkpoint(): void {
    if (this.#running()) this.#accounts.store();
  }

  info(): TransferInfo {
    const { record } = this;
    const { fetched, rate, sources } = this.#running() ? this.#accounts.now() : this.#accounts.stored();
    const whole = record.state === 'done' && !this.#rechecking;
    const done = whole ? record.size : Math.min(this.#done, record.size);
    const left = this.record.size - done;
    return {
      id: record.id,
      direction: 'download',
      share: record.share,
      infohash: record.infohash,
      network: record.network,
      name: record.name,
      state: this.state,
      size: this.record.size,
      done,
      fetched,
      rate: Math.round(rate),
      ...(rate > 0 && left > 0 ? { eta: Math.round((left / rate) * 1000) } : {}),
      sources,
      ...(record.path === undefined ? {} : { path: record.path }),
      ...(record.elapsed === undefined ? {} : { elapsed: record.elapsed }),
      ...(record.settings ?? DEFAULT_SETTINGS),
      seeding: record.state === 'done' && Object.keys(record.placed).length > 0,
      ...(this.#rechecking ? { rechecking: true } : {}),
      ...(record.error === undefined ? {} : { error: record.error }),
    };
  }

  #running(): boolean {
    return this.#run !== undefined && !this.#rechecking && this.record.state === 'running';
  }

  get state(): TransferState {
    const { state } = this.record;
    if (this.#rechecking) return 'checking';
    if (state !== 'running') return state;
    if (this.#phase === 'placing' || this.#phase === 'checking') return this.#phase;
    if ((this.#accounts.swarm?.connectedSources.size ?? 0) === 0) return 'waiting';
    return this.#phase ?? 'waiting';
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { record } = this;
    const { hub, pool } = this.#options;
    let journal: PieceJournal | undefined;
    let storage: FileStorage | undefined;
    let pieces: StagedPieces | undefined;
    const fetching = new Set<number>();
    try {
      this.#enter('metadata');
      const version = await hub.fetchVersion(record.network, record.infohash, signal);
      const { info } = version;
      this.#enter('checking');
      const plan = await this.#plan(info, signal);
      this.#checkPlan(plan);
      if (record.file === undefined && record.listedSize !== undefined && info.size !== record.listedSize) {
        throw new PeerwireError(
          'bad-metainfo',
          `“${record.name}” is not of the size that its owner announced; nothing was downloaded.`,
        );
      }
      const toFetch = filesToFetch(plan, record.policy);
      this.record.size = plan.files.reduce((sum, file) => sum + file.size, 0);

      const staging = await this.#stagingDir(toFetch.length > 0);
      const stagedPath = (index: number): string => stagedFile(staging ?? '', fileAt(info, index));
      const locations = new Map<number, FileLocation>();
      for (const file of plan.files)
        if (file.stamp !== undefined)
          locations.set(file.fileIndex, publishedAt({ path: file.target, stamp: file.stamp }));
      for (const { fileIndex } of toFetch) fetching.add(fileIndex);
      for (const [index, copy] of this.#options.placedElsewhere()) {
        if (locations.has(index) || fetching.has(index) || !(await isUnchanged(copy))) continue;
        locations.set(index, publishedAt(copy));
      }
      const inPlace = new Set(plan.files.map((file) => file.fileIndex));
      journal = await PieceJournal.open(this.#options.journalPath, info.pieceCount);
      const have = new Bitfield(info.pieceCount);
      this.#have = have;
      for (const index of locations.keys()) for (const piece of piecesOf(fileAt(info, index))) have.add(piece);
      const { layers } = version;
      const onProgress = (bytes: number): void => {
        this.#done += bytes;
        this.#changed.fire();
      };
      this.#done = 0;
      pieces = new StagedPieces({ info, layers, stagedPath, have, journal, pool, signal, onProgress });
      await pieces.resume([...fetching]);
      for (const { fileIndex, copyFrom } of toFetch)
        if (copyFrom !== undefined) await pieces.reuse(fileIndex, copyFrom);
      const staged = (index: number): FileLocation => ({
        kind: 'staged',
        path: stagedPath(index),
        size: fileAt(info, index).length,
      });
      storage = new FileStorage((index) => locations.get(index) ?? staged(index), pool);
      const cached = this.#options.cached(info);
      await adoptPieces({ files: fetching, version, cached, pool, have, journal, storage, signal });
      // Before its records are counted as arrivals.
      await journal.flush();
      const missing = new Set(piecesLacking(info, toFetch, have));
      this.#done = this.record.size;
      for (const piece of missing) this.#done -= pieceAt(info, piece).length;
      const written = storage;
      const gate = new GatedStorage(written);

      if (missing.size > 0) {
        // What is not downloaded may be read meanwhile.
        const isOwn = (index: number): boolean => locations.has(index) || fetching.has(index);
        await this.#fetch(
          version,
          have,
          new OverlaidStorage(gate, isOwn, cached, have),
          missing,
          journal,
          pieces,
          signal,
        );
      }
      if (!piecesLacking(info, toFetch, have).next().done)
        throw new PeerwireError('internal', 'The download ended before it was complete.');
      this.#enter('placing');
      await journal.flush();
      const fileIndexes = toFetch.map((file) => file.fileIndex);
      const synced = await pieces.sync(fileIndexes);
      const placed = await gate.closedFor(fileIndexes, async () => {
        const results = await place({
          info,
          files: fileIndexes,
          stagedPath,
          // Windows is to be told of each where it came from.
          ...(process.platform === 'win32' ? {} : { stampOf: (index: number) => written.stampOf(index) }),
          ...(staging === undefined ? {} : { staging }),
          destination: record.destination,
          policy: record.policy,
          allowRisky: record.allowRisky,
          pool,
          signal,
        });
        // Before the gate opens again: from here on the files are read where they are now.
        for (const file of results) {
          if (file.stamp === undefined) {
            fetching.delete(file.fileIndex);
            for (const piece of piecesOf(fileAt(info, file.fileIndex))) have.delete(piece);
          } else locations.set(file.fileIndex, publishedAt({ path: file.path, stamp: file.stamp }));
        }
        return results;
      });
      // A folder is where it is, however many files it holds.
      const only = info.single || record.file !== undefined ? placed[0] : undefined;
      record.path = only?.path ?? plan.target;
      record.elapsed = Math.round(this.#options.clock.now() - this.#startedAt);
      record.placed = {};
      for (const [index, location] of locations) {
        if (location.kind !== 'published' || !inPlace.has(index)) continue;
        record.placed[index] = { path: location.path, stamp: location.stamp };
      }
      delete record.changed;
      record.partial = plan.files.some(({ fileIndex }) => record.placed[fileIndex] === undefined);
      if (synced.length > 0) await syncFolder(record.path === undefined ? record.destination : dirname(record.path));
      if (staging !== undefined) await removeStaging(staging);
      delete record.staging;
      await journal.delete();
      journal = undefined;
      await this.#markUnsynced(synced.length < fileIndexes.length);
      this.#accounts.store();
      // Last of all: whoever sees it done sees its final figures.
      record.state = 'done';
      // A swarm that was there already does not know of these files.
      if (!this.#accounts.swarm && fetching.size > 0) hub.drop(record.network, record.infohash);
      cached.forget(fetching);
    } finally {
      if (record.state !== 'done') {
        this.#accounts.store();
        // Others go on with what is verified when the download does; until then its files may go away.
        if (this.#accounts.swarm) hub.drop(record.network, record.infohash);
        await storage?.close();
        await pieces?.seal([...fetching]);
      }
      await journal?.close();
      this.#accounts.swarm = undefined;
      this.#have = undefined;
      this.#held.fire();
    }
  }

  async #fetch(
    version: Version,
    have: Bitfield,
    storage: Storage,
    missing: Set<number>,
    journal: PieceJournal,
    pieces: StagedPieces,
    signal: AbortSignal,
  ): Promise<void> {
    const { hub } = this.#options;
    const { network, infohash } = this.record;
    this.#enter('downloading');
    const content = { info: version.info, layers: version.layers, have, storage: () => storage };
    // A swarm that only fetched the metadata has its sources connected already; one that serves other files has not.
    if (hub.get(network, infohash)?.hasContent === true) hub.drop(network, infohash);
    const lease = hub.lease(network, infohash);
    const { swarm } = lease;
    swarm.provide(content);
    const owned = new DisposableList();
    try {
      this.#accounts.swarm = swarm;
      owned.add(
        journal.onWritten((written) => {
          for (const piece of written) this.#done += pieceAt(version.info, piece).length;
          this.#changed.fire();
        }),
      );
      owned.add(swarm.onSessions(() => this.#changed.fire()));
      await new Promise<void>((resolve, reject) => {
        owned.add(onAbort(signal, reject));
        if (signal.aborted) return;
        owned.add(
          swarm.onPiece((piece) => {
            // Others belong to somebody who reads.
            if (!missing.delete(piece)) return;
            journal.add(piece);
            if (missing.size === 0) resolve();
            else pieces.arrived(piece);
          }),
        );
        owned.add(swarm.onProblem((error) => reject(error)));
        // Its owner went away (a file it also served changed, for instance): the next run makes another.
        owned.add(swarm.onDisposed(() => reject(new PeerwireError('closed', 'The swarm was closed.'))));
        swarm.download([...missing]);
        owned.add(hub.keepSeeking(network, infohash));
        this.#held.fire();
      });
    } catch (error) {
      // Nothing flows from now on; what had arrived whole still finds its way to the journal.
      await swarm.halt();
      await journal.flush().catch(() => undefined);
      throw error;
    } finally {
      owned.dispose();
      lease.dispose();
    }
  }

  async #plan(info: Info, signal: AbortSignal): Promise<FilesPlan> {
    const { pool, cache, recentPlan } = this.#options;
    const { destination, file } = this.record;
    const recent = recentPlan.take({ info, destination, file });
    return (
      recent ?? (await planFiles(info, destination, { ...(file === undefined ? {} : { file }), pool, cache, signal }))
    );
  }

  #checkPlan(plan: FilesPlan): void {
    const { policy, allowRisky } = this.record;
    const different = plan.files.find((file) => file.state === 'different');
    if (different && policy === 'fail') {
      throw new PeerwireError(
        'exists',
        `“${different.target}” exists with other content; choose to skip, overwrite or keep both.`,
      );
    }
    if (plan.risky.length > 0 && !allowRisky) {
      throw new PeerwireError(
        'usage',
        `${plan.risky.length} files can run code when opened (${plan.risky[0]}…); allow them explicitly.`,
      );
    }
  }

  async #stagingDir(needed: boolean): Promise<string | undefined> {
    const { record } = this;
    if (record.staging !== undefined && (await isStagingDir(record.staging))) return record.staging;
    // Without its staging directory, what the journal says is gone.
    await PieceJournal.remove(this.#options.journalPath);
    delete record.staging;
    if (!needed) return undefined;
    record.staging = await stagingDir(record.destination);
    // Before the first byte: a kill must find its way back to what is staged.
    await this.#options.persist();
    return record.staging;
  }

  /** `some`: of the files that were placed, not all were synced. */
  async #markUnsynced(some: boolean): Promise<void> {
    const { record } = this;
    const boot = await bootId();
    // What was placed before the system was started was read again now.
    if (record.unsynced?.boot !== boot) delete record.unsynced;
    if (some && boot !== undefined) record.unsynced = { boot, at: this.#options.clock.wallTime() };
  }

  #enter(phase: 'metadata' | 'checking' | 'downloading' | 'placing'): void {
    this.#phase = phase;
    this.#changed.fire();
  }

  #fail(error: PeerwireError): void {
    const { record } = this;
    if (error.code === 'cancelled' || error.code === 'closed') return;
    // What time, space or a permission can mend keeps its place; what cannot work is a failure.
    record.state = ['disk-full', 'permission', 'io'].includes(error.code) ? 'paused' : 'failed';
    record.error = { code: error.code, message: error.message };
    this.#options.logger.warn(`A download stopped: ${error.message}`);
  }
}

/** Pieces of these files that are not here. */
function* piecesLacking(
  info: Info,
  files: readonly { readonly fileIndex: number }[],
  have: Bitfield,
): Generator<number> {
  for (const { fileIndex } of files) {
    const { firstPiece, pieceCount } = fileAt(info, fileIndex);
    for (let piece = firstPiece; piece < firstPiece + pieceCount; piece++) if (!have.has(piece)) yield piece;
  }
}
