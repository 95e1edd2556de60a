import { type BigIntStats, closeSync, constants, fstatSync, openSync, read, readSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type FileStamp, stampOf, timeUntilSettled } from '../../bittorrent/file-stamp.ts';
import { BLOCK_SIZE } from '../../bittorrent/merkle.ts';
import { CAREFUL } from '../../bittorrent/open-flags.ts';
import { type ErrorCode, PeerwireError, systemCode } from '../../common/errors.ts';
import { PieceHasher } from './block-hashes.ts';
import { fileError } from './file-error.ts';

/** Bytes of a read. Two such buffers: the next read runs while this one is hashed. */
const READ_SIZE = 1 << 20;

export interface RangeTask {
  readonly path: string;
  /** Bytes that the whole file must have. */
  readonly size: number;
  /** Byte offset of the first piece; a multiple of the piece length. */
  readonly start: number;
  /** Bytes to hash: whole pieces, or up to the end of the file. */
  readonly length: number;
  /** Waits until any later change is sure to show in the stamp: for content that is published. */
  readonly settle: boolean;
  /** Bytes that the file has when it is complete, if it is not: they give the tree its shape. */
  readonly fullSize?: number;
}

export type RangeResult =
  | {
      readonly ok: true;
      /** Concatenated piece hashes; for a whole file of at most one piece its root, for an empty file nothing. */
      readonly hashes: Uint8Array;
      /** Of the whole file. */
      readonly stamp: FileStamp;
      /** Any change since is sure to show in the stamp. */
      readonly settled: boolean;
    }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

// One of each per thread, made when needed: reused by all files.
let memory: readonly [ReadBuffer, ReadBuffer] | undefined;
let hasher: { readonly pieceLength: number; readonly pieces: PieceHasher } | undefined;
const readAsync = promisify(read);

/**
 * Hashes part of a regular file, or all of it; one range at a time. Never follows a link, never blocks on a pipe, never
 * rejects. Ranges of up to 1 MiB are done when the call returns.
 */
export async function hashRange(task: RangeTask, pieceLength: number): Promise<RangeResult> {
  const { path, size, start, length } = task;
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | CAREFUL);
    const before = fstatSync(fd, { bigint: true });
    if (!before.isFile()) throw new PeerwireError('unsupported', `${path} is not a regular file.`);
    if (Number(before.size) !== size) throw changedError(path);
    const stamp = stampOf(before);
    const settled = await settle(before, task);
    const pieces = hasherFor(pieceLength);
    const complete =
      length <= READ_SIZE ? readSmall(fd, start, length, pieces) : await readAhead(fd, start, length, pieces);
    const hashes = pieces.finish(task.fullSize ?? size);
    if (!complete || stampOf(fstatSync(fd, { bigint: true })) !== stamp) throw changedError(path);
    return { ok: true, hashes, stamp, settled };
  } catch (error) {
    // It may hold half a file.
    hasher = undefined;
    const { code, message } = readProblem(error, path);
    return { ok: false, code, message };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

async function settle(stats: BigIntStats, task: RangeTask): Promise<boolean> {
  const left = timeUntilSettled(stats, Date.now());
  if (left === 0) return true;
  // What changes meanwhile has another stamp after the reading.
  // Timers may be a millisecond early.
  if (task.settle) await setTimeout(left + 1);
  return task.settle;
}

/** False when the file ended early. */
function readSmall(fd: number, start: number, length: number, pieces: PieceHasher): boolean {
  const [buffer] = buffers();
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer.bytes, filled, length - filled, start + filled);
    if (count === 0) return false;
    filled += count;
  }
  addBlocks(buffer, length, pieces);
  return true;
}

async function readAhead(fd: number, start: number, length: number, pieces: PieceHasher): Promise<boolean> {
  const fillNext = (turn: 0 | 1, done: number): Promise<boolean> =>
    fill(fd, buffers()[turn], start + done, Math.min(READ_SIZE, length - done));
  let turn: 0 | 1 = 0;
  let reading = fillNext(turn, 0);
  for (let done = 0; done < length; ) {
    if (!(await reading)) return false;
    const count = Math.min(READ_SIZE, length - done);
    const filled = buffers()[turn];
    done += count;
    turn = turn === 0 ? 1 : 0;
    if (done < length) reading = fillNext(turn, done);
    // While the next read runs in a thread of its own.
    addBlocks(filled, count, pieces);
  }
  return true;
}

async function fill(fd: number, buffer: ReadBuffer, position: number, length: number): Promise<boolean> {
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await readAsync(fd, buffer.bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) return false;
    filled += bytesRead;
  }
  return true;
}

interface ReadBuffer {
  readonly bytes: Uint8Array;
  readonly blocks: readonly Uint8Array[];
}

function buffers(): readonly [ReadBuffer, ReadBuffer] {
  memory ??= [makeBuffer(), makeBuffer()];
  return memory;
}

function makeBuffer(): ReadBuffer {
  const bytes = new Uint8Array(READ_SIZE);
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < READ_SIZE; at += BLOCK_SIZE) blocks.push(bytes.subarray(at, at + BLOCK_SIZE));
  return { bytes, blocks };
}

function addBlocks(buffer: ReadBuffer, length: number, pieces: PieceHasher): void {
  let left = length;
  for (const block of buffer.blocks) {
    if (left <= 0) return;
    pieces.addBlock(left >= BLOCK_SIZE ? block : block.subarray(0, left));
    left -= BLOCK_SIZE;
  }
}

function hasherFor(pieceLength: number): PieceHasher {
  if (hasher?.pieceLength !== pieceLength) hasher = { pieceLength, pieces: new PieceHasher(pieceLength) };
  return hasher.pieces;
}

export function changedError(path: string): PeerwireError {
  return new PeerwireError('stale', `${path} changed while it was being read; try again when it is at rest.`);
}

/** What opening or reading a file threw, as an error of ours. */
export function readProblem(error: unknown, path: string): PeerwireError {
  // O_NOFOLLOW reports a link as ELOOP (FreeBSD: EMLINK).
  if (['ELOOP', 'EMLINK'].includes(systemCode(error) ?? '')) {
    return new PeerwireError('unsupported', `${path} is a link, and links are not followed.`, { cause: error });
  }
  return fileError(error, 'read', path);
}
