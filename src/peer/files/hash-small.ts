import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type FileStamp, stampOf, timeUntilSettled } from '../../bittorrent/file-stamp.ts';
import { BLOCK_SIZE, HASH_SIZE, sha256Text } from '../../bittorrent/merkle.ts';
import { CAREFUL } from '../../bittorrent/open-flags.ts';
import { readFullySync } from '../../bittorrent/read-fully.ts';
import type { PeerwireError } from '../../common/errors.ts';
import { changedError, hashRange, type RangeResult, readProblem } from './hash-range.ts';
import { absoluteOf, type PackedFiles, SEPARATOR } from './packed-walk.ts';

/** Files of up to this many bytes (one block): the root is the hash of the content. */
export const SMALLEST = BLOCK_SIZE;

/** Whole small files, to be hashed one after another, with the sizes and stamps that each must have. Others are passed over. */
export interface SmallFilesTask extends PackedFiles {
  /** See `RangeTask`. */
  readonly settle: boolean;
}

export interface SmallFilesResult {
  /** Of all files, one after another; zeros for those that failed or are not small, and for empty ones. */
  readonly hashes: Uint8Array;
  /** By position; those not settled, see `RangeResult`. */
  readonly unsettled: readonly number[];
  readonly failures: readonly (Extract<RangeResult, { ok: false }> & { readonly position: number })[];
}

/** Made when needed. */
let memory: Buffer | undefined;

export function packSmallFiles(
  files: readonly { readonly path: string; readonly size: number; readonly stamp: FileStamp }[],
  settle: boolean,
): SmallFilesTask {
  return {
    prefix: '',
    paths: files.map(({ path }) => path).join(SEPARATOR),
    absolutes: new Map(),
    sizes: Float64Array.from(files, ({ size }) => size),
    stamps: files.map(({ stamp }) => stamp).join(SEPARATOR),
    settle,
  };
}

/**
 * Hashes files that must look as they did when they were listed, in three calls each besides the reading. Never follows a
 * link, never blocks on a pipe, never rejects.
 */
export async function hashSmall(task: SmallFilesTask): Promise<SmallFilesResult> {
  const { prefix, paths, absolutes, sizes, stamps, settle } = task;
  const hashes = Buffer.alloc(sizes.length * HASH_SIZE);
  const expected = stamps.split(SEPARATOR);
  const unsettled: number[] = [];
  const failures: SmallFilesResult['failures'][number][] = [];
  const later: number[] = [];
  const all = paths.split(SEPARATOR);
  const absolute = (position: number): string => absolutes.get(position) ?? absoluteOf(prefix, all[position] ?? '');
  const began = Date.now();
  for (let position = 0; position < sizes.length; position++) {
    const size = sizes[position] ?? 0;
    if (size > SMALLEST) continue;
    const path = absolute(position);
    try {
      const { hash, settled } = hashFile(path, size, expected[position] ?? '', began);
      if (settled || !settle) hashes.write(hash, position * HASH_SIZE, 'latin1');
      else later.push(position);
      if (!settled && !settle) unsettled.push(position);
    } catch (error) {
      const { code, message } = readProblem(error, path);
      failures.push({ ok: false, position, code, message });
    }
  }
  for (const position of later) {
    const path = absolute(position);
    const size = sizes[position] ?? 0;
    // Waits as long as it takes.
    const result = await hashRange({ path, size, start: 0, length: size, settle }, BLOCK_SIZE);
    if (!result.ok) failures.push({ ...result, position });
    else if (result.stamp !== expected[position]) failures.push({ ok: false, position, ...changed(path) });
    else hashes.set(result.hashes, position * HASH_SIZE);
  }
  return { hashes, unsettled, failures };
}

function hashFile(path: string, size: number, stamp: string, now: number): { hash: string; settled: boolean } {
  memory ??= Buffer.allocUnsafeSlow(SMALLEST);
  const fd = openSync(path, constants.O_RDONLY | CAREFUL);
  try {
    const content = memory.subarray(0, size);
    if (readFullySync(fd, content, 0) < size) throw changedError(path);
    // After the reading, so that a change during it is seen as well.
    const stats = fstatSync(fd, { bigint: true });
    if (stampOf(stats) !== stamp) throw changedError(path);
    const hash = size === 0 ? '' : sha256Text(content);
    return { hash, settled: timeUntilSettled(stats, now) === 0 };
  } finally {
    closeSync(fd);
  }
}

function changed(path: string): Pick<PeerwireError, 'code' | 'message'> {
  const { code, message } = changedError(path);
  return { code, message };
}
