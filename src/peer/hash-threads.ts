import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { FilePart, PartsResult } from '../bittorrent/file-parts.ts';
import type { PieceToWrite } from '../bittorrent/piece-verifier.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import type { FinishResult, StagedFile } from './files/finish-staged.ts';
import type { RangeResult, RangeTask } from './files/hash-range.ts';
import type { SmallFilesResult, SmallFilesTask } from './files/hash-small.ts';
import { packParts } from './files/packed-parts.ts';
import { unpackRanges } from './files/packed-ranges.ts';
import { type PackedFiles, SEPARATOR, unpackWalk } from './files/packed-walk.ts';
import type { WalkedFile, WalkOptions, WalkResult } from './files/walk.ts';
import type { HashRequest, HashResponse, PieceOutcome } from './hash-messages.ts';

/** File messages at one worker: one under way, one waiting, so that it is never idle between two. */
const FILE_DEPTH = 2;
/** A worker that has less to do gets the next piece, though another may be idle: to wake it costs more than to wait. */
const FEW_PIECES = 3;
/** Pieces that wait at a worker before another is started: that costs some 90 ms of processor time. */
const PIECE_DEPTH = 8;
/** The same of batches of small files, which wait for the disk and for the thread that hands them out as much as for a worker. */
const PARTS_DEPTH = 32;
/** Milliseconds without work after which the workers end. */
const IDLE_TIME = 30_000;
const MOST_WORKERS = 8;
/** MB for short-lived objects in a worker. It makes little but short strings: V8 would let them pile up to 48 MB, and with a quarter of this a walk collects them all the time. */
const YOUNG_GENERATION = 12;

export interface HashThreadsOptions {
  /** Entry of the worker: src/peer/hash-worker.ts, or dist/hash-worker.cjs. */
  readonly workerUrl: URL | string;
  /** Workers at most; default: as many as there are cores, at most 8. */
  readonly size?: number;
  readonly clock?: Clock;
}

interface PoolWorker {
  readonly worker: Worker;
  readonly pending: Map<number, PendingRequest>;
  /** Messages about files among `pending`. */
  files: number;
  ready: boolean;
}

interface Settle {
  resolve(response: HashResponse): void;
  reject(error: PeerwireError): void;
}

interface PendingRequest extends Settle {
  readonly file: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress?: WalkOptions['onProgress'] | undefined;
  readonly onFound?: ((files: PackedFiles) => void) | undefined;
}

/** Files to hash, which wait for their turn. */
interface QueuedFiles extends Settle {
  readonly makeRequest: (id: number) => HashRequest;
  readonly signal: AbortSignal | undefined;
}

/**
 * The worker threads behind HashPool, started when needed and ended after 30 s without work. Pieces in shared memory (a
 * download waits for them) go to a worker at once; files are dealt out a little at a time, so that pieces never wait for long.
 */
export class HashThreads implements Disposable {
  readonly #workerUrl: URL | string;
  readonly #size: number;
  readonly #clock: Clock;
  #workers: PoolWorker[] = [];
  #queue = new Set<QueuedFiles>();
  #lastId = 0;
  #idle: Disposable | undefined;
  #disposed = false;

  constructor(options: HashThreadsOptions) {
    this.#workerUrl = options.workerUrl;
    this.#size = Math.max(1, options.size ?? Math.min(availableParallelism(), MOST_WORKERS));
    this.#clock = options.clock ?? systemClock;
  }

  /** Workers running now. */
  get running(): number {
    return this.#workers.length;
  }

  /** A worker is up: what it gets it does at once. */
  get ready(): boolean {
    return this.#workers.some(({ ready }) => ready);
  }

  /** Starts a worker unless there is one. */
  warmUp(): void {
    if (this.#workers.length > 0 || this.#disposed) return;
    this.#startWorker();
    this.#startIdleTimer();
  }

  /** Starts those that do not run yet. */
  startAll(): void {
    if (this.#disposed) return;
    while (this.#workers.length < this.#size) this.#startWorker();
  }

  /** SHA-256 of each 16 KiB block of a part of shared memory. Goes before files. Rejects with 'closed' or 'internal' (a worker died). */
  async hashBlocks(data: SharedArrayBuffer, offset: number, length: number): Promise<Uint8Array> {
    return (await this.#ask('blocks', (id) => ({ type: 'blocks', id, data, offset, length }))).leaves;
  }

  /** Reads or writes parts of small files. Goes before files to hash. Rejects like `hashBlocks`. */
  async fileParts(type: 'read' | 'write', data: SharedArrayBuffer, parts: readonly FilePart[]): Promise<PartsResult> {
    const packed = packParts(parts);
    return (await this.#ask('parts', (id) => ({ type, id, data, parts: packed }))).result;
  }

  /** Hashes a piece in shared memory and writes it when it is right. Rejects like `hashBlocks`. */
  async writePiece(piece: PieceToWrite): Promise<PieceOutcome> {
    const expected = piece.expected.toString('hex');
    return (await this.#ask('piece', (id) => ({ ...piece, type: 'piece', id, expected }))).outcome;
  }

  /** See `finishStaged`. Rejects like `hashBlocks`. */
  async finishStaged(files: readonly StagedFile[], mode: number): Promise<FinishResult> {
    return (await this.#ask('finish', (id) => ({ type: 'finish', id, files, mode }))).result;
  }

  /** See `walk`. `unpack` gets the files as they are found, some at a time. Rejects like `walk`, and like `hashBlocks`. */
  async walk(
    path: string,
    options: Pick<WalkOptions, 'includeSecrets' | 'signal' | 'onProgress'>,
    unpack: (files: PackedFiles) => readonly WalkedFile[],
  ): Promise<WalkResult> {
    const { includeSecrets = false, signal, onProgress } = options;
    const found: WalkedFile[] = [];
    const onFound = (files: PackedFiles): void => void found.push(...unpack(files));
    const request = (id: number): HashRequest => ({ type: 'walk', id, path, includeSecrets });
    const { result } = await this.#ask('walk', request, { signal, onProgress, onFound });
    if ('code' in result) throw new PeerwireError(result.code, result.message);
    return unpackWalk(result, found);
  }

  /** Positions of those that look otherwise now, or cannot be seen. Rejects like `hashBlocks`. */
  async changed(files: readonly Pick<WalkedFile, 'absolute' | 'stamp'>[]): Promise<readonly number[]> {
    const paths = files.map(({ absolute }) => absolute).join(SEPARATOR);
    const stamps = files.map(({ stamp }) => stamp).join(SEPARATOR);
    return (await this.#ask('changed', (id) => ({ type: 'changed', id, paths, stamps }))).positions;
  }

  /** Hashes ranges of files one after another in one worker. Rejects with 'cancelled', 'closed' or 'internal' (a worker died). */
  async hashRanges(
    ranges: readonly RangeTask[],
    pieceLength: number,
    signal?: AbortSignal,
  ): Promise<readonly RangeResult[]> {
    return unpackRanges(
      (await this.#queueUp('ranges', (id) => ({ type: 'ranges', id, pieceLength, ranges }), signal)).results,
    );
  }

  /** The same for whole small files. `makeTask` is called when it is their turn. */
  hashSmall(makeTask: () => SmallFilesTask, signal?: AbortSignal): Promise<SmallFilesResult> {
    return this.#queueUp('small', (id) => ({ type: 'small', id, ...makeTask() }), signal);
  }

  /** Ends the workers; what is under way rejects with 'closed'. */
  dispose(): void {
    this.#disposed = true;
    for (const queued of this.#queue) queued.reject(closed());
    this.#queue.clear();
    this.#endWorkers();
  }

  // One function for all requests: a signal holds it once however many requests listen.
  readonly #dropAborted = (): void => {
    for (const queued of this.#queue) {
      if (!queued.signal?.aborted) continue;
      this.#queue.delete(queued);
      queued.reject(cancelled());
    }
    // What a worker is busy with goes on there (it is little), but nobody waits for it.
    for (const { pending, worker } of this.#workers) {
      for (const [id, request] of pending) {
        if (!request.signal?.aborted) continue;
        request.reject(cancelled());
        worker.postMessage({ type: 'cancel', id } satisfies HashRequest);
      }
    }
  };

  /** What the least busy worker answers. */
  #ask<T extends HashResponse['type']>(
    type: T,
    makeRequest: (id: number) => HashRequest,
    { signal, onProgress, onFound }: Partial<Pick<PendingRequest, 'signal' | 'onProgress' | 'onFound'>> = {},
  ): Promise<Answer<T>> {
    return this.#answer(type, signal, (settle) => {
      const request = makeRequest(++this.#lastId);
      // While it walks, files to hash had better go to others.
      const file = request.type === 'walk';
      const depth = type === 'parts' ? PARTS_DEPTH : PIECE_DEPTH;
      this.#send(this.#freeWorker(depth), request, { file, signal, onProgress, onFound, ...settle });
    });
  }

  /** What a worker answers when it is the turn of these files. */
  #queueUp<T extends HashResponse['type']>(
    type: T,
    makeRequest: (id: number) => HashRequest,
    signal: AbortSignal | undefined,
  ): Promise<Answer<T>> {
    return this.#answer(type, signal, (settle) => {
      this.#queue.add({ makeRequest, signal, ...settle });
      this.#pump();
    });
  }

  #answer<T extends HashResponse['type']>(
    type: T,
    signal: AbortSignal | undefined,
    begin: (settle: Settle) => void,
  ): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      if (this.#disposed) return reject(closed());
      if (signal?.aborted) return reject(cancelled());
      signal?.addEventListener('abort', this.#dropAborted, { once: true });
      const onResponse = (response: HashResponse): void => {
        if (isAnswer(response, type)) resolve(response);
      };
      begin({ resolve: onResponse, reject });
    });
  }

  #pump(): void {
    for (const queued of this.#queue) {
      const target = this.#workerForFiles();
      if (!target) return;
      this.#queue.delete(queued);
      const { makeRequest, signal, resolve, reject } = queued;
      this.#send(target, makeRequest(++this.#lastId), { file: true, signal, reject, resolve });
    }
  }

  #workerForFiles(): PoolWorker | undefined {
    const free = this.#workers.find(({ files }) => files === 0);
    if (free) return free;
    if (this.#workers.length < this.#size) return this.#startWorker();
    return this.#workers.find(({ files }) => files < FILE_DEPTH);
  }

  /** The first worker that has little to do, or the least busy one; another is started when pieces queue up at all that run. */
  #freeWorker(depth: number): PoolWorker {
    let best: PoolWorker | undefined;
    for (const entry of this.#workers) {
      if (entry.ready && entry.pending.size < FEW_PIECES) return entry;
      // A worker that is still starting would make the piece wait for some 50 ms.
      if (!best || (entry.ready && !best.ready)) best = entry;
      else if (entry.ready === best.ready && entry.pending.size < best.pending.size) best = entry;
    }
    if (best && best.pending.size < depth) return best;
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
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION };
    const worker = new Worker(this.#workerUrl, { name: 'peerwire-hash', execArgv: [], resourceLimits });
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
    if (response.type === 'progress') {
      if (!request.signal?.aborted) request.onProgress?.(response);
      return;
    }
    if (response.type === 'found') {
      if (!request.signal?.aborted) request.onFound?.(response.files);
      return;
    }
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
    this.#idle = this.#clock.setTimeout(() => this.#endWorkers(), IDLE_TIME);
  }

  #endWorkers(): void {
    this.#idle?.dispose();
    this.#idle = undefined;
    for (const { worker, pending } of this.#workers.splice(0)) {
      const requests = [...pending.values()];
      pending.clear();
      // Told only when it has ended: until then it may write to the descriptors and the memory that it was lent, and
      // whoever lent them would close and use them again. There is nobody to tell if ending a thread of ours fails.
      void worker
        .terminate()
        .catch(() => undefined)
        .then(() => {
          for (const request of requests) request.reject(closed());
        });
    }
  }
}

type Answer<T extends HashResponse['type']> = Extract<HashResponse, { type: T }>;

function isAnswer<T extends HashResponse['type']>(response: HashResponse, type: T): response is Answer<T> {
  return response.type === type;
}

function closed(): PeerwireError {
  return new PeerwireError('closed', 'Hashing was stopped.');
}

function cancelled(): PeerwireError {
  return new PeerwireError('cancelled', 'Hashing was cancelled.');
}
