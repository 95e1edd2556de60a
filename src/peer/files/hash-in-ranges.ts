/** How files and pieces are dealt out to those who hash ranges of them, and what comes back is put together. */
import type { FileStamp } from '../../bittorrent/file-stamp.ts';
import { pieceLayerRoot } from '../../bittorrent/merkle.ts';
import { PeerwireError } from '../../common/errors.ts';
import { changedError, type RangeResult, type RangeTask } from './hash-range.ts';

/** Big files are cut into ranges of this many bytes (or one piece, if that is more), so that all workers share one file. */
const RANGE_SIZE = 32 << 20;
/** Small files and ranges of pieces go to a worker together, up to this many or so many bytes in one message. */
export const BATCH_FILES = 256;
const BATCH_SIZE = 4 << 20;
/** The piece layer of a file of one piece or less. */
export const NO_LAYER = Buffer.alloc(0);

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

/** Answers the ranges of one message, by position. */
export type HashRanges = (ranges: readonly RangeTask[], pieceLength: number) => Promise<readonly RangeResult[]>;

/** What one message to a worker asks: range i is of file `indexes[i]`. */
interface Batch {
  readonly ranges: RangeTask[];
  readonly indexes: number[];
  size: number;
}

/** Hashes whole files: small ones together, big ones in ranges. By position; one that fails yields its error. */
export async function hashInRanges(
  files: readonly FileToHash[],
  { pieceLength, settle = false, onProgress }: HashFileOptions,
  hashRanges: HashRanges,
): Promise<(FileHash | PeerwireError)[]> {
  // By file, in the order of their starts.
  const parts: RangeResult[][] = files.map(() => []);
  const rangeSize = Math.max(RANGE_SIZE, pieceLength);
  const hashBatch = async ({ ranges, indexes }: Batch): Promise<void> => {
    const results = await hashRanges(ranges, pieceLength);
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

/** Hashes of the pieces in each range, concatenated, in order; or why they could not be read. */
export async function hashPiecesInRanges(
  ranges: readonly RangeToHash[],
  { pieceLength, onProgress }: Pick<HashFileOptions, 'pieceLength' | 'onProgress'>,
  hashRanges: HashRanges,
): Promise<(Buffer | PeerwireError)[]> {
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
    const results = await hashRanges(batch.ranges, pieceLength);
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
  if (size <= pieceLength) return { root: joined, pieceLayer: NO_LAYER, size, stamp, settled };
  return { root: pieceLayerRoot(joined, pieceLength), pieceLayer: joined, size, stamp, settled };
}
