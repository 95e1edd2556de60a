import type { FileBatcher, FilePart, PartsResult } from '../bittorrent/file-parts.ts';
import { type FileStamp, readStamp } from '../bittorrent/file-stamp.ts';
import { HASH_SIZE, pieceLayerRoot } from '../bittorrent/merkle.ts';
import type { PieceToWrite } from '../bittorrent/piece-verifier.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import { leafHashes } from './files/block-hashes.ts';
import type { FinishResult, StagedFile } from './files/finish-staged.ts';
import { changedError, hashRange, type RangeResult, type RangeTask } from './files/hash-range.ts';
import { packSmallFiles, SMALLEST, type SmallFilesTask } from './files/hash-small.ts';
import { type PackedFiles, unpackFiles } from './files/packed-walk.ts';
import { type WalkedFile, type WalkOptions, type WalkResult, walkFew } from './files/walk.ts';
import { forEachLimit } from './files/work-limit.ts';
import { HashThreads, type HashThreadsOptions } from './hash-threads.ts';

/** Big files are cut into ranges of this many bytes (or one piece, if that is more), so that all workers share one file. */
const RANGE_SIZE = 32 << 20;
/** Small files go to a worker together, up to this many files or bytes in one message. */
const BATCH_FILES = 256;
const BATCH_SIZE = 4 << 20;
/** Up to this many files of this many bytes together are hashed on this thread: within a millisecond, where a worker starts in 50. */
const HERE_FILES = 4;
const HERE_SIZE = 256 << 10;
/** The same of pieces while no worker is up: each in some 3 ms, and so many bytes before one is started. */
const HERE_PIECE = 4 << 20;
const HERE_PIECES = 8 << 20;

/** So many are looked at without a worker, which may have to be started. */
const FEW_FILES = 64;
const STAMPS_BATCH = 1024;
/** More would only keep pieces waiting: this is no less work on more cores. */
const BATCHES_AT_ONCE = 2;

export interface FileHash {
  /** Merkle root of the file; undefined for an empty file. */
  readonly root: Buffer | undefined;
  /** Concatenated hashes of the pieces; empty for a file of one piece or less. */
  readonly pieceLayer: Buffer;
  readonly size: number;
  readonly stamp: FileStamp;
  /** Any change since is sure to show in the stamp. */
  readonly settled: boolean;
}

export interface HashFileOptions {
  /** Bytes; a power of two >= 16 KiB. */
  readonly pieceLength: number;
  /** Waits, where needed, until the result is settled: 20 ms after a file changed, 2 s on file systems with coarse times. */
  readonly settle?: boolean;
  /** Called with the bytes hashed since the last call. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface FileToHash {
  readonly path: string;
  /** Bytes that it must have, or it counts as changed. */
  readonly size: number;
  /** What it must look like, if that is known. */
  readonly stamp?: FileStamp;
}

/** Small files that are hashed while a walk goes on to find others. */
export interface EarlyFiles {
  readonly files: readonly WalkedFile[];
  /** By position in `files`; may reject as `hashFiles` does, heard or not. */
  readonly hashes: Promise<readonly (FileHash | PeerwireError)[]>;
}

/** Whole pieces of a file that need not be complete. */
export interface RangeToHash {
  readonly path: string;
  /** Bytes that it has now, and when it is complete. */
  readonly size: number;
  readonly fullSize: number;
  /** Where the first piece begins, and bytes up to the end of the last one: best 32 MiB at most. */
  readonly start: number;
  readonly length: number;
}

/** What one message to a worker asks: range i is of file `indexes[i]`. */
interface Batch {
  readonly ranges: RangeTask[];
  readonly indexes: number[];
  size: number;
}

/** Hashes files and pieces, in worker threads unless it is very little; small files are read and written there, too. */
export class HashPool implements Disposable, FileBatcher {
  readonly #threads: HashThreads;
  #disposed = false;
  /** Bytes of pieces hashed on this thread since a worker was last asked for. */
  #here = 0;

  constructor(options: HashThreadsOptions) {
    this.#threads = new HashThreads(options);
  }

  /** Workers running now. */
  get workers(): number {
    return this.#threads.running;
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
    const { signal } = options;
    const total = files.reduce((sum, { size }) => sum + size, 0);
    if (files.length <= HERE_FILES && total <= HERE_SIZE && !this.#disposed && !signal?.aborted)
      return await this.#hashInRanges(files, options, (ranges) => hashHere(ranges, options.pieceLength));
    const small: SmallFile[] = [];
    const others: FileToHash[] = [];
    for (const file of files) {
      if (isSmall(file)) small.push(file);
      else others.push(file);
    }
    const [hashesOfSmall, hashesOfOthers] = await Promise.all([
      this.#hashSmall(small, options),
      this.#hashInRanges(others, options, (ranges) => this.#threads.hashRanges(ranges, options.pieceLength, signal)),
    ]);
    if (others.length === 0) return hashesOfSmall;
    const nextSmall = hashesOfSmall.values();
    const nextOther = hashesOfOthers.values();
    return files.flatMap((file) => (isSmall(file) ? nextSmall : nextOther).next().value ?? []);
  }

  async #hashInRanges(
    files: readonly FileToHash[],
    { pieceLength, settle = false, onProgress }: HashFileOptions,
    hashRanges: (ranges: readonly RangeTask[]) => Promise<readonly RangeResult[]>,
  ): Promise<(FileHash | PeerwireError)[]> {
    // By file, in the order of their starts.
    const parts: RangeResult[][] = files.map(() => []);
    const rangeSize = Math.max(RANGE_SIZE, pieceLength);
    const hashBatch = async ({ ranges, indexes }: Batch): Promise<void> => {
      const results = await hashRanges(ranges);
      for (const [position, { start, length }] of ranges.entries()) {
        const part = parts[indexes[position] ?? -1];
        const result = results[position];
        if (part && result) part[start / rangeSize] = result;
        onProgress?.(length);
      }
    };
    await Promise.all(divide(files, rangeSize, settle).map(hashBatch));
    return files.map((file, index) => joinRanges(file, parts[index] ?? [], pieceLength));
  }

  async #hashSmall(
    files: readonly SmallFile[],
    { settle = false, onProgress, signal }: HashFileOptions,
  ): Promise<(FileHash | PeerwireError)[]> {
    const found: (FileHash | PeerwireError)[] = [];
    const hashBatch = async (first: number): Promise<void> => {
      const batch = files.slice(first, first + BATCH_FILES);
      const hashes = await this.#hashTask(batch, () => packSmallFiles(batch, settle), signal);
      for (const [position, hash] of hashes.entries()) found[first + position] = hash;
      onProgress?.(batch.reduce((sum, { size }) => sum + size, 0));
    };
    const starts = Array.from({ length: Math.ceil(files.length / BATCH_FILES) }, (_, batch) => batch * BATCH_FILES);
    await Promise.all(starts.map(hashBatch));
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
      return { root, pieceLayer: NOTHING, size, stamp, settled: !doubtful.has(position) };
    });
    for (const { position, code, message } of failures) results[position] = new PeerwireError(code, message);
    return results;
  }

  /** Hashes of the pieces in each range, concatenated, in order; or why they could not be read. Rejects like `hashFiles`. */
  async hashPieces(
    ranges: readonly RangeToHash[],
    options: Pick<HashFileOptions, 'pieceLength' | 'onProgress' | 'signal'>,
  ): Promise<(Buffer | PeerwireError)[]> {
    const { pieceLength, onProgress, signal } = options;
    const found: (Buffer | PeerwireError)[] = [];
    const batches: { readonly first: number; readonly ranges: RangeTask[]; size: number }[] = [];
    for (const [index, range] of ranges.entries()) {
      let batch = batches.at(-1);
      if (!batch || batch.ranges.length >= BATCH_FILES || batch.size + range.length > BATCH_SIZE) {
        batch = { first: index, ranges: [], size: 0 };
        batches.push(batch);
      }
      batch.ranges.push({ ...range, settle: false });
      batch.size += range.length;
    }
    const hashBatch = async (batch: (typeof batches)[number]): Promise<void> => {
      const results = await this.#threads.hashRanges(batch.ranges, pieceLength, signal);
      for (const [position, result] of results.entries()) {
        found[batch.first + position] = result.ok
          ? Buffer.from(result.hashes)
          : new PeerwireError(result.code, result.message);
      }
      onProgress?.(batch.size);
    };
    await Promise.all(batches.map(hashBatch));
    return found;
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
  async walkToHash(
    path: string,
    options: WalkOptions = {},
  ): Promise<{ walked: WalkResult; early: readonly EarlyFiles[] }> {
    const few = await walkFew(path, FEW_FILES, options);
    if (few) return { walked: few, early: [] };
    const early: EarlyFiles[] = [];
    const walking = this.#threads.walk(path, options, (packed) => {
      const files = unpackFiles(packed);
      early.push(this.#hashEarly(packed, files, options.signal));
      return files;
    });
    // The walk keeps one busy meanwhile.
    this.#threads.startAll();
    return { walked: await walking, early };
  }

  #hashEarly(packed: PackedFiles, files: readonly WalkedFile[], signal: AbortSignal | undefined): EarlyFiles {
    const small = files.filter(isSmall);
    const hashes =
      small.length === 0
        ? Promise.resolve([])
        : this.#hashTask(files, () => ({ ...packed, settle: true }), signal).then((all) =>
            small.length === files.length ? all : all.filter((_, position) => (files[position]?.size ?? 0) <= SMALLEST),
          );
    // The walk may fail before anybody listens.
    hashes.catch(() => undefined);
    return { files: small, hashes };
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
    const starts = Array.from({ length: Math.ceil(files.length / STAMPS_BATCH) }, (_, batch) => batch * STAMPS_BATCH);
    const changed: number[] = [];
    await forEachLimit(starts, BATCHES_AT_ONCE, async (start) => {
      if (signal?.aborted) throw new PeerwireError('cancelled', 'Looking at files was cancelled.');
      const positions = await this.#threads.changed(files.slice(start, start + STAMPS_BATCH));
      for (const position of positions) changed.push(start + position);
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

/** Small files together, big ones in ranges. */
function divide(files: readonly FileToHash[], rangeSize: number, settle: boolean): Batch[] {
  const batches: Batch[] = [];
  let small: Batch | undefined;
  for (const [index, { path, size }] of files.entries()) {
    if (size > rangeSize) {
      for (let start = 0; start < size; start += rangeSize) {
        const length = Math.min(rangeSize, size - start);
        batches.push({ ranges: [{ path, size, start, length, settle }], indexes: [index], size: length });
      }
      continue;
    }
    if (!small || small.ranges.length >= BATCH_FILES || small.size >= BATCH_SIZE) {
      small = { ranges: [], indexes: [], size: 0 };
      batches.push(small);
    }
    small.ranges.push({ path, size, start: 0, length: size, settle });
    small.indexes.push(index);
    small.size += size;
  }
  return batches;
}

async function hashHere(ranges: readonly RangeTask[], pieceLength: number): Promise<RangeResult[]> {
  const results: RangeResult[] = [];
  for (const range of ranges) results.push(await hashRange(range, pieceLength));
  return results;
}

const NOTHING = Buffer.alloc(0);

function join(hashes: readonly Uint8Array[]): Buffer {
  const [only] = hashes;
  if (!only || hashes.length > 1) return Buffer.concat(hashes);
  return Buffer.from(only.buffer, only.byteOffset, only.length);
}

function joinRanges(file: FileToHash, ranges: readonly RangeResult[], pieceLength: number): FileHash | PeerwireError {
  const hashes: Uint8Array[] = [];
  let stamp: FileStamp | undefined;
  let settled = true;
  for (const range of ranges) {
    if (!range.ok) return new PeerwireError(range.code, range.message);
    if (stamp !== undefined && stamp !== range.stamp) return changedError(file.path);
    stamp = range.stamp;
    settled &&= range.settled;
    hashes.push(range.hashes);
  }
  if (stamp === undefined) return new PeerwireError('internal', `${file.path}: nothing was hashed.`);
  if (file.stamp !== undefined && stamp !== file.stamp) return changedError(file.path);
  const joined = join(hashes);
  const { size } = file;
  if (size === 0) return { root: undefined, pieceLayer: joined, size, stamp, settled };
  if (size <= pieceLength) return { root: joined, pieceLayer: NOTHING, size, stamp, settled };
  return { root: pieceLayerRoot(joined, pieceLength), pieceLayer: joined, size, stamp, settled };
}
