import type { FileBatcher, FilePart, PartsResult } from '../bittorrent/file-parts.ts';
import { type FileStamp, readStamp } from '../bittorrent/file-stamp.ts';
import { HASH_SIZE } from '../bittorrent/merkle.ts';
import type { PieceToWrite } from '../bittorrent/piece-verifier.ts';
import { SharedMemory } from '../bittorrent/shared-memory.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import { leafHashes } from './files/block-hashes.ts';
import { EarlyHashes } from './files/early-hashes.ts';
import type { FinishResult, StagedFile } from './files/finish-staged.ts';
import {
  BATCH_FILES,
  type FileHash,
  type FileToHash,
  type HashFileOptions,
  hashInRanges,
  hashPiecesInRanges,
  NO_LAYER,
  type RangeToHash,
} from './files/hash-in-ranges.ts';
import { hashRange, type RangeResult, type RangeTask } from './files/hash-range.ts';
import { packSmallFiles, SMALLEST, type SmallFilesTask } from './files/hash-small.ts';
import { type PackedFiles, unpackFiles } from './files/packed-walk.ts';
import { type WalkedFile, type WalkOptions, type WalkResult, walkFew } from './files/walk.ts';
import { forEachBatch } from './files/work-limit.ts';
import { HashThreads, type HashThreadsOptions } from './hash-threads.ts';

/** Up to this many files of this many bytes together are hashed on this thread: within a millisecond, where a worker starts in 50. */
const HERE_FILES = 4;
const HERE_SIZE = 256 << 10;
/** The same of pieces while no worker is up: each in some 3 ms, and so many bytes before one is started. */
const HERE_PIECE = 4 << 20;
const HERE_PIECES = 8 << 20;

/** So many files are walked or looked at without a worker, which may have to be started. */
const FEW_FILES = 64;
/** A worker looks at so many files for one message, for so many messages at once: more would only keep pieces waiting. */
const STAMPS_BATCH = 1024;
const BATCHES_AT_ONCE = 2;

/** Hashes files and pieces, in worker threads unless it is very little; small files are read and written there, too. */
export class HashPool implements Disposable, FileBatcher {
  /** For what the workers are given to read, hash and write. */
  readonly memory = new SharedMemory();
  readonly #threads: HashThreads;
  #disposed = false;
  /** Bytes of pieces hashed on this thread since a worker was last asked for. */
  #here = 0;

  constructor(options: HashThreadsOptions) {
    this.#threads = new HashThreads(options);
  }

  /** Starts a worker, unless there is one, for what will be asked soon. */
  warmUp(): void {
    this.#threads.warmUp();
  }

  /** Workers running now. */
  get workers(): number {
    return this.#threads.running;
  }

  /**
   * In the order of the files; one that fails yields its error and does not stop the others: 'stale' when it changes meanwhile
   * or has not its size and stamp, 'not-found', 'permission', 'unsupported' (not a regular file: a link is never followed),
   * 'io'. Rejects with 'cancelled', 'closed' or 'internal' (a worker died).
   */
  async hashFiles(files: readonly FileToHash[], options: HashFileOptions): Promise<(FileHash | PeerwireError)[]> {
    const { signal } = options;
    const total = files.reduce((sum, { size }) => sum + size, 0);
    if (files.length <= HERE_FILES && total <= HERE_SIZE && !this.#disposed && !signal?.aborted)
      return await hashInRanges(files, options, hashHere);
    const small: SmallFile[] = [];
    const others: FileToHash[] = [];
    for (const file of files) {
      if (isSmall(file)) small.push(file);
      else others.push(file);
    }
    const [hashesOfSmall, hashesOfOthers] = await Promise.all([
      this.#hashSmall(small, options),
      hashInRanges(others, options, (ranges, pieceLength) => this.#threads.hashRanges(ranges, pieceLength, signal)),
    ]);
    if (others.length === 0) return hashesOfSmall;
    const nextSmall = hashesOfSmall.values();
    const nextOther = hashesOfOthers.values();
    return files.flatMap((file) => (isSmall(file) ? nextSmall : nextOther).next().value ?? []);
  }

  async #hashSmall(
    files: readonly SmallFile[],
    { settle = false, onProgress, signal }: HashFileOptions,
  ): Promise<(FileHash | PeerwireError)[]> {
    const found: (FileHash | PeerwireError)[] = [];
    await forEachBatch(files, BATCH_FILES, Number.POSITIVE_INFINITY, async (batch, first) => {
      const hashes = await this.#hashTask(batch, () => packSmallFiles(batch, settle), signal);
      for (const [position, hash] of hashes.entries()) found[first + position] = hash;
      onProgress?.(batch.reduce((sum, { size }) => sum + size, 0));
    });
    return found;
  }

  /** `files`: what the task says, in words of this thread; those that are not small are passed over. */
  async #hashTask(
    files: readonly Pick<SmallFile, 'size' | 'stamp'>[],
    makeTask: () => SmallFilesTask,
    signal: AbortSignal | undefined,
  ): Promise<(FileHash | PeerwireError)[]> {
    const { hashes, unsettled, failures } = await this.#threads.hashSmall(makeTask, signal);
    const doubtful = new Set(unsettled);
    const results = files.map(({ size, stamp }, position): FileHash | PeerwireError => {
      const at = hashes.byteOffset + position * HASH_SIZE;
      const root = size === 0 ? undefined : Buffer.from(hashes.buffer, at, HASH_SIZE);
      return { root, pieceLayer: NO_LAYER, size, stamp, settled: !doubtful.has(position) };
    });
    for (const { position, code, message } of failures) results[position] = new PeerwireError(code, message);
    return results;
  }

  /** Hashes of the pieces in each range, concatenated, in order; or why they could not be read. Rejects like `hashFiles`. */
  hashPieces(
    ranges: readonly RangeToHash[],
    options: Pick<HashFileOptions, 'pieceLength' | 'onProgress' | 'signal'>,
  ): Promise<(Buffer | PeerwireError)[]> {
    return hashPiecesInRanges(ranges, options, (batch, pieceLength) =>
      this.#threads.hashRanges(batch, pieceLength, options.signal),
    );
  }

  /**
   * SHA-256 of each 16 KiB block (the last may be short) of `data[offset, offset + length)`, concatenated. Goes before the
   * hashing of files; on this thread while no worker is up. Rejects with 'closed' or 'internal' (a worker died).
   */
  async hashBlocks(data: SharedArrayBuffer, offset: number, length: number): Promise<Buffer> {
    if (!this.#disposed && !this.#threads.ready && length <= HERE_PIECE) {
      this.#here += length;
      if (this.#here > HERE_PIECES) {
        this.#here = 0;
        this.#threads.warmUp();
      }
      return leafHashes(new Uint8Array(data, offset, length));
    }
    const leaves = await this.#threads.hashBlocks(data, offset, length);
    return Buffer.from(leaves.buffer, leaves.byteOffset, leaves.byteLength);
  }

  /** See `BlockHasher`. Rejects with the code of a failed write, 'closed' or 'internal' (a worker died). */
  async writeIfRight(piece: PieceToWrite): Promise<Buffer | undefined> {
    const outcome = await this.#threads.writePiece(piece);
    switch (outcome.type) {
      case 'written':
        return undefined;
      case 'wrong':
        return Buffer.from(outcome.leaves.buffer, outcome.leaves.byteOffset, outcome.leaves.byteLength);
      case 'failed':
        throw new PeerwireError(outcome.code, outcome.message);
    }
  }

  /** `hashBlocks` on this thread: for pieces up to some 64 KiB cheaper than the hop to a worker and back (30 µs). */
  hashBlocksSync(data: Uint8Array): Buffer {
    return leafHashes(data);
  }

  /** Like `readParts`, in a worker. Rejects with 'closed' or 'internal' (a worker died). */
  readParts(data: SharedArrayBuffer, parts: readonly FilePart[]): Promise<PartsResult> {
    return this.#threads.fileParts('read', data, parts);
  }

  writeParts(data: SharedArrayBuffer, parts: readonly FilePart[]): Promise<PartsResult> {
    return this.#threads.fileParts('write', data, parts);
  }

  /** Like `finishStaged` of files/finish-staged.ts, in a worker. Rejects with 'closed' or 'internal' (a worker died). */
  finishStaged(files: readonly StagedFile[], mode: number): Promise<FinishResult> {
    return this.#threads.finishStaged(files, mode);
  }

  /** Like `walk` of files/walk.ts, of many files in a worker. Rejects also with 'closed' or 'internal' (a worker died). */
  async walk(path: string, options: WalkOptions = {}): Promise<WalkResult> {
    return (await walkFew(path, FEW_FILES, options)) ?? (await this.#threads.walk(path, options, unpackFiles));
  }

  /**
   * The same of files that will be hashed next, by all workers, waiting until they are settled: that begins with the small
   * ones of many while the walk goes on. A file that changes meanwhile counts as changed, as with `hashFiles`.
   */
  async walkToHash(path: string, options: WalkOptions = {}): Promise<{ walked: WalkResult; early: EarlyHashes }> {
    const few = await walkFew(path, FEW_FILES, options);
    const early = new EarlyHashes();
    if (few) return { walked: few, early };
    const walking = this.#threads.walk(path, options, (packed) => {
      const files = unpackFiles(packed);
      if (files.some(isSmall)) early.add(files.filter(isSmall), this.#hashEarly(packed, files, options.signal));
      return files;
    });
    // The walk keeps one busy meanwhile.
    this.#threads.startAll();
    return { walked: await walking, early };
  }

  /** Hashes of the small ones, in their order. */
  async #hashEarly(
    packed: PackedFiles,
    files: readonly WalkedFile[],
    signal: AbortSignal | undefined,
  ): Promise<readonly (FileHash | PeerwireError)[]> {
    const all = await this.#hashTask(files, () => ({ ...packed, settle: true }), signal);
    return all.filter((_, position) => (files[position]?.size ?? 0) <= SMALLEST);
  }

  /** Positions of the files that look otherwise now, or cannot be seen. Rejects with 'cancelled', 'closed' or 'internal'. */
  async changed(
    files: readonly Pick<WalkedFile, 'absolute' | 'stamp'>[],
    signal?: AbortSignal,
  ): Promise<readonly number[]> {
    if (signal?.aborted) throw new PeerwireError('cancelled', 'Looking at files was cancelled.');
    if (files.length <= FEW_FILES) {
      const now = await Promise.all(files.map(({ absolute }) => stampNow(absolute)));
      return [...files.keys()].filter((position) => now[position] !== files[position]?.stamp);
    }
    const changed: number[] = [];
    await forEachBatch(files, STAMPS_BATCH, BATCHES_AT_ONCE, async (batch, first) => {
      if (signal?.aborted) throw new PeerwireError('cancelled', 'Looking at files was cancelled.');
      for (const position of await this.#threads.changed(batch)) changed.push(first + position);
    });
    return changed.sort((a, b) => a - b);
  }

  /** Ends the workers; what is under way rejects with 'closed'. */
  dispose(): void {
    this.#disposed = true;
    this.#threads.dispose();
  }
}

function stampNow(path: string): Promise<FileStamp | undefined> {
  return readStamp(path).catch(() => undefined);
}

type SmallFile = FileToHash & { readonly stamp: FileStamp };

function isSmall<T extends Pick<FileToHash, 'size' | 'stamp'>>(file: T): file is T & { readonly stamp: FileStamp } {
  return file.stamp !== undefined && file.size <= SMALLEST;
}

async function hashHere(ranges: readonly RangeTask[], pieceLength: number): Promise<RangeResult[]> {
  const results: RangeResult[] = [];
  for (const range of ranges) results.push(await hashRange(range, pieceLength));
  return results;
}
