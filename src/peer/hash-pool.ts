import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { pieceLayerRoot } from '../bittorrent/merkle.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import { leafHashes } from './files/block-hashes.ts';
import { changedError, type FileStamp, hashRange, type RangeResult, type RangeTask } from './files/hash-range.ts';
import type { HashRequest, HashResponse } from './hash-messages.ts';

/** Big files are cut into ranges of this many bytes (or one piece, if that is more), so that all workers share one file. */
const RANGE_SIZE = 32 << 20;
/** Small files go to a worker together, up to this many files or bytes in one message. */
const BATCH_FILES = 64;
const BATCH_SIZE = 4 << 20;
/** Up to this many files of this many bytes together are hashed on this thread: within a millisecond, where a worker starts in 50. */
const HERE_FILES = 4;
const HERE_SIZE = 256 << 10;
/** File messages at one worker: one under way, one waiting, so that it is never idle between two. */
const FILE_DEPTH = 2;
/** Milliseconds without work after which the workers end. */
const IDLE_TIME = 30_000;
const MOST_WORKERS = 8;

export interface HashPoolOptions {
  /** Entry of the worker: src/peer/hash-worker.ts, or dist/hash-worker.js. */
  readonly workerUrl: URL | string;
  /** Workers at most; default: as many as there are cores, at most 8. */
  readonly size?: number;
  readonly clock?: Clock;
}

export interface FileHash {
  /** Merkle root of the file; undefined for an empty file. */
  readonly root: Buffer | undefined;
  /** Concatenated hashes of the pieces; empty for a file of one piece or less. */
  readonly pieceLayer: Buffer;
  readonly size: number;
  readonly mtimeMs: number;
  readonly stamp: FileStamp;
}

export interface HashFileOptions {
  /** Bytes; a power of two >= 16 KiB. */
  readonly pieceLength: number;
  /** Called with the bytes hashed since the last call. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface FileToHash {
  readonly path: string;
  /** Bytes that it must have, or it counts as changed. */
  readonly size: number;
}

interface PoolWorker {
  readonly worker: Worker;
  readonly pending: Map<number, PendingRequest>;
  /** Messages about files among `pending`. */
  files: number;
  ready: boolean;
}

interface PendingRequest {
  readonly file: boolean;
  readonly signal: AbortSignal | undefined;
  resolve(response: HashResponse): void;
  reject(error: PeerwireError): void;
}

interface QueuedRanges {
  readonly ranges: readonly RangeTask[];
  readonly pieceLength: number;
  readonly signal: AbortSignal | undefined;
  resolve(results: readonly RangeResult[]): void;
  reject(error: PeerwireError): void;
}

/**
 * Hashes in worker threads, started when needed and ended after 30 s without work. Pieces in shared memory (a download
 * waits for them) go to a worker at once; files are dealt out a little at a time, so that pieces never wait for long.
 */
export class HashPool implements Disposable {
  readonly #workerUrl: URL | string;
  readonly #size: number;
  readonly #clock: Clock;
  #workers: PoolWorker[] = [];
  #queue = new Set<QueuedRanges>();
  #lastId = 0;
  #idle: Disposable | undefined;
  #disposed = false;

  constructor(options: HashPoolOptions) {
    this.#workerUrl = options.workerUrl;
    this.#size = Math.max(1, options.size ?? Math.min(availableParallelism(), MOST_WORKERS));
    this.#clock = options.clock ?? systemClock;
  }

  /** Workers running now. */
  get workers(): number {
    return this.#workers.length;
  }

  /**
   * Never follows a link. Rejects with 'stale' when the file changes meanwhile or has not this size, 'not-found', 'permission',
   * 'unsupported' (not a regular file), 'cancelled', 'closed', 'io'.
   */
  async hashFile(file: FileToHash, options: HashFileOptions): Promise<FileHash> {
    const [result] = await this.hashFiles([file], options);
    if (!result) throw new PeerwireError('internal', 'Hashing gave no result.');
    if (result instanceof PeerwireError) throw result;
    return result;
  }

  /** Many files, answered in order; one that fails yields its error (see `hashFile`) and does not stop the others. */
  async hashFiles(files: readonly FileToHash[], options: HashFileOptions): Promise<(FileHash | PeerwireError)[]> {
    const { pieceLength, onProgress, signal } = options;
    const results: (FileHash | PeerwireError)[] = [];
    const total = files.reduce((sum, { size }) => sum + size, 0);
    const here = files.length <= HERE_FILES && total <= HERE_SIZE && !this.#disposed && !signal?.aborted;
    if (here) {
      for (const file of files) {
        const range = await hashRange({ ...file, start: 0, length: file.size }, pieceLength);
        results.push(joinRanges(file, [range], pieceLength));
        onProgress?.(file.size);
      }
      return results;
    }
    const done: Promise<void>[] = [];
    const rangeSize = Math.max(RANGE_SIZE, pieceLength);
    let batch: { index: number; file: FileToHash }[] = [];
    let batchSize = 0;

    const sendBatch = (): void => {
      if (batch.length === 0) return;
      const members = batch;
      batch = [];
      batchSize = 0;
      const ranges = members.map(({ file }) => ({ ...file, start: 0, length: file.size }));
      const finish = (answers: readonly RangeResult[]): void => {
        for (const [position, { index, file }] of members.entries()) {
          results[index] = joinRanges(file, answers.slice(position, position + 1), pieceLength);
          onProgress?.(file.size);
        }
      };
      done.push(this.#enqueue(ranges, pieceLength, signal).then(finish));
    };

    for (const [index, file] of files.entries()) {
      if (file.size > rangeSize) {
        const report = (bytes: number): void => onProgress?.(bytes);
        const hash = this.#hashBigFile(file, rangeSize, pieceLength, signal, report);
        const keep = (result: FileHash | PeerwireError): void => {
          results[index] = result;
        };
        done.push(hash.then(keep));
        continue;
      }
      batch.push({ index, file });
      batchSize += file.size;
      if (batch.length >= BATCH_FILES || batchSize >= BATCH_SIZE) sendBatch();
    }
    sendBatch();
    await Promise.all(done);
    return results;
  }

  /**
   * SHA-256 of each 16 KiB block (the last may be short) of `data[offset, offset + length)`, concatenated. Goes before the
   * hashing of files. Rejects with 'closed' or 'internal' (a worker died).
   */
  hashBlocks(data: SharedArrayBuffer, offset: number, length: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#disposed) return reject(closed());
      const request: HashRequest = { type: 'blocks', id: ++this.#lastId, data, offset, length };
      const onResponse = (response: HashResponse): void => {
        if (response.type !== 'blocks') return;
        const { leaves } = response;
        resolve(Buffer.from(leaves.buffer, leaves.byteOffset, leaves.byteLength));
      };
      this.#send(this.#freeWorker(), request, { file: false, signal: undefined, reject, resolve: onResponse });
    });
  }

  /** `hashBlocks` on this thread: for pieces up to some 64 KiB cheaper than the hop to a worker and back (30 µs). */
  hashBlocksSync(data: Uint8Array): Buffer {
    return leafHashes(data);
  }

  /** Ends the workers; what is under way rejects with 'closed'. */
  dispose(): void {
    this.#disposed = true;
    for (const queued of this.#queue) queued.reject(closed());
    this.#queue.clear();
    this.#endWorkers(closed());
  }

  async #hashBigFile(
    file: FileToHash,
    rangeSize: number,
    pieceLength: number,
    signal: AbortSignal | undefined,
    report: (bytes: number) => void,
  ): Promise<FileHash | PeerwireError> {
    const parts: Promise<RangeResult[]>[] = [];
    for (let start = 0; start < file.size; start += rangeSize) {
      const length = Math.min(rangeSize, file.size - start);
      const part = this.#enqueue([{ ...file, start, length }], pieceLength, signal);
      parts.push(
        part.then((results) => {
          report(length);
          return [...results];
        }),
      );
    }
    const ranges = (await Promise.all(parts)).flat();
    return joinRanges(file, ranges, pieceLength);
  }

  #enqueue(ranges: readonly RangeTask[], pieceLength: number, signal?: AbortSignal): Promise<readonly RangeResult[]> {
    return new Promise((resolve, reject) => {
      if (this.#disposed) return reject(closed());
      if (signal?.aborted) return reject(cancelled());
      const queued: QueuedRanges = { ranges, pieceLength, signal, resolve, reject };
      this.#queue.add(queued);
      signal?.addEventListener('abort', this.#dropAborted, { once: true });
      this.#pump();
    });
  }

  // One function for all requests: a signal holds it once however many requests listen.
  readonly #dropAborted = (): void => {
    for (const queued of this.#queue) {
      if (!queued.signal?.aborted) continue;
      this.#queue.delete(queued);
      queued.reject(cancelled());
    }
    // What a worker is busy with goes on there (it is little), but nobody waits for it.
    for (const { pending } of this.#workers) {
      for (const request of pending.values()) if (request.signal?.aborted) request.reject(cancelled());
    }
  };

  #pump(): void {
    for (const queued of this.#queue) {
      const target = this.#workerForFiles();
      if (!target) return;
      this.#queue.delete(queued);
      const { ranges, pieceLength, signal, reject } = queued;
      const request: HashRequest = { type: 'ranges', id: ++this.#lastId, pieceLength, ranges };
      const resolve = (response: HashResponse): void => {
        if (response.type === 'ranges') queued.resolve(response.results);
      };
      this.#send(target, request, { file: true, signal, reject, resolve });
    }
  }

  #workerForFiles(): PoolWorker | undefined {
    const free = this.#workers.find(({ files }) => files === 0);
    if (free) return free;
    if (this.#workers.length < this.#size) return this.#startWorker();
    return this.#workers.find(({ files }) => files < FILE_DEPTH);
  }

  /** The least busy worker; another is started when all that run are busy. */
  #freeWorker(): PoolWorker {
    let best: PoolWorker | undefined;
    for (const entry of this.#workers) {
      // A worker that is still starting would make the piece wait for some 50 ms.
      if (!best || (entry.ready && !best.ready)) best = entry;
      else if (entry.ready === best.ready && entry.pending.size < best.pending.size) best = entry;
    }
    if (best && best.pending.size === 0) return best;
    const starting = this.#workers.some(({ ready }) => !ready);
    if (this.#workers.length < this.#size && !starting) {
      const started = this.#startWorker();
      return best ?? started;
    }
    return best ?? this.#startWorker();
  }

  #send(target: PoolWorker, request: HashRequest, pending: PendingRequest): void {
    this.#idle?.dispose();
    this.#idle = undefined;
    if (target.pending.size === 0) target.worker.ref();
    target.pending.set(request.id, pending);
    if (pending.file) target.files++;
    target.worker.postMessage(request);
  }

  #startWorker(): PoolWorker {
    const worker = new Worker(this.#workerUrl, { name: 'peerwire-hash', execArgv: [] });
    // Only work keeps the process alive, not a worker that waits for it.
    worker.unref();
    const entry: PoolWorker = { worker, pending: new Map(), files: 0, ready: false };
    this.#workers.push(entry);
    worker.on('online', () => {
      entry.ready = true;
    });
    worker.on('message', (response: HashResponse) => this.#onResponse(entry, response));
    worker.on('error', (error) => this.#onGone(entry, error));
    worker.on('exit', (code) => this.#onGone(entry, new Error(`exit code ${code}`)));
    return entry;
  }

  #onResponse(entry: PoolWorker, response: HashResponse): void {
    const request = entry.pending.get(response.id);
    if (!request) return;
    entry.pending.delete(response.id);
    if (request.file) entry.files--;
    if (entry.pending.size === 0) entry.worker.unref();
    request.resolve(response);
    this.#pump();
    if (this.#workers.every(({ pending }) => pending.size === 0)) this.#startIdleTimer();
  }

  #onGone(entry: PoolWorker, cause: unknown): void {
    const position = this.#workers.indexOf(entry);
    if (position < 0) return;
    this.#workers.splice(position, 1);
    const error = new PeerwireError('internal', 'A hashing thread ended unexpectedly; try again.', { cause });
    for (const request of entry.pending.values()) request.reject(error);
    entry.pending.clear();
    if (!this.#disposed) this.#pump();
  }

  #startIdleTimer(): void {
    this.#idle?.dispose();
    this.#idle = this.#clock.setTimeout(() => this.#endWorkers(closed()), IDLE_TIME);
  }

  #endWorkers(error: PeerwireError): void {
    this.#idle?.dispose();
    this.#idle = undefined;
    for (const { worker, pending } of this.#workers.splice(0)) {
      for (const request of pending.values()) request.reject(error);
      pending.clear();
      // Ends a thread of ours that holds nothing; there is nobody to tell if that fails.
      void worker.terminate().catch(() => undefined);
    }
  }
}

function joinRanges(file: FileToHash, ranges: readonly RangeResult[], pieceLength: number): FileHash | PeerwireError {
  const hashes: Uint8Array[] = [];
  let stamp: FileStamp | undefined;
  for (const range of ranges) {
    if (!range.ok) return new PeerwireError(range.code, range.message);
    if (stamp && stamp.mtimeMs !== range.stamp.mtimeMs) return changedError(file.path);
    stamp = range.stamp;
    hashes.push(range.hashes);
  }
  if (!stamp) return new PeerwireError('internal', `${file.path}: nothing was hashed.`);
  const joined = Buffer.concat(hashes);
  const { size, mtimeMs } = stamp;
  if (size === 0) return { root: undefined, pieceLayer: joined, size, mtimeMs, stamp };
  if (size <= pieceLength) return { root: joined, pieceLayer: Buffer.alloc(0), size, mtimeMs, stamp };
  return { root: pieceLayerRoot(joined, pieceLength), pieceLayer: joined, size, mtimeMs, stamp };
}

function closed(): PeerwireError {
  return new PeerwireError('closed', 'Hashing was stopped.');
}

function cancelled(): PeerwireError {
  return new PeerwireError('cancelled', 'Hashing was cancelled.');
}
