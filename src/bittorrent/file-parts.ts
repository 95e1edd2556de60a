import { closeSync, constants, fstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ErrorCode, PeerwireError, systemCode, toPeerwireError } from '../common/errors.ts';
import { checkStamp, type FileStamp, stampOf } from './file-stamp.ts';
import { sha256Text } from './merkle.ts';
import { CAREFUL } from './open-flags.ts';
import { readFullySync } from './read-fully.ts';
import type { SharedMemory } from './shared-memory.ts';
import { writeFullySync } from './write-fully.ts';

/** Part of a file on one side, of shared memory on the other; `at` is the position there. Plain data: it crosses threads. */
export interface FilePart {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly at: number;
  /** The file is not ours: after reading it must still look like this. */
  readonly stamp: FileStamp | undefined;
  /** SHA-256 as text of one character a byte: what does not have it is not written, and fails with 'corrupt'. */
  readonly hash: string | undefined;
}

/** What went wrong with the part at this position. */
export interface PartFailure {
  readonly position: number;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface PartsResult {
  readonly failures: readonly PartFailure[];
  /** By position: what a file looked like that was made and written whole. Undefined for others: they may have another mode. */
  readonly stamps: readonly (FileStamp | undefined)[];
}

/** Reads or writes parts of many files in one go, on another thread: at several small files a millisecond, a hop for each would cost most. */
export interface FileBatcher {
  /** Where `data` may come from. */
  readonly memory: SharedMemory;
  readParts(data: SharedArrayBuffer, parts: readonly FilePart[]): Promise<PartsResult>;
  writeParts(data: SharedArrayBuffer, parts: readonly FilePart[]): Promise<PartsResult>;
}

/** What files and folders will have in their place, which spares a call for each; the folder around them is private until then. */
const STAGED_MODE = 0o644;
export const STAGED_FOLDER_MODE = 0o755;

/** Opens, reads and closes one file after another, by blocking calls. Never follows a link at the last component. */
export function readParts(data: SharedArrayBuffer, parts: readonly FilePart[]): PartsResult {
  const bytes = new Uint8Array(data);
  const failures = attemptEach(parts, (part) => {
    try {
      readPart(bytes, part);
    } catch (error) {
      throw part.stamp === undefined ? error : goneStale(error);
    }
  });
  return { failures, stamps: [] };
}

/** The same for writing what is right; makes what is missing, files and folders. */
export function writeParts(data: SharedArrayBuffer, parts: readonly FilePart[]): PartsResult {
  const bytes = new Uint8Array(data);
  const stamps = new Array<FileStamp | undefined>(parts.length);
  const failures = attemptEach(parts, ({ path, offset, length, at, hash }, position) => {
    const content = bytes.subarray(at, at + length);
    if (hash !== undefined && sha256Text(content) !== hash) throw wrongContent();
    const { fd, made } = openForWriting(path, hash !== undefined);
    try {
      writeFullySync(fd, content, offset);
      if (made) stamps[position] = stampOf(fstatSync(fd, { bigint: true }));
    } finally {
      closeSync(fd);
    }
  });
  return { failures, stamps };
}

export function wrongContent(): PeerwireError {
  return new PeerwireError('corrupt', 'The content does not match the share.');
}

/** `stale` in place of errors that say that a published file is not there any more. */
export function goneStale(error: unknown): unknown {
  if (!['ENOENT', 'ELOOP', 'ENOTDIR'].includes(systemCode(error) ?? '')) return error;
  return new PeerwireError('stale', 'The file was moved or deleted after it was published.', { cause: error });
}

function readPart(bytes: Uint8Array, { path, offset, length, at, stamp }: FilePart): void {
  const fd = openSync(path, constants.O_RDONLY | CAREFUL);
  try {
    if (readFullySync(fd, bytes.subarray(at, at + length), offset) < length)
      throw new PeerwireError('stale', 'The file is shorter than what was published.');
    // After the read, so that a change during it is seen as well. Just opened by its path, it need not be looked up again.
    if (stamp !== undefined) checkStamp(fstatSync(fd, { bigint: true }), stamp);
  } finally {
    closeSync(fd);
  }
}

/** `whole`: all of the file is to be written, once. `made`: so it was, just now, with the mode that it shall have. */
function openForWriting(path: string, whole: boolean): { readonly fd: number; readonly made: boolean } {
  const flags = constants.O_WRONLY | constants.O_CREAT | CAREFUL;
  const first = whole ? flags | constants.O_EXCL : flags;
  try {
    return { fd: openSync(path, first, STAGED_MODE), made: whole };
  } catch (error) {
    const code = systemCode(error);
    if (whole && code === 'EEXIST') return { fd: openSync(path, flags, STAGED_MODE), made: false };
    if (code !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { recursive: true, mode: STAGED_FOLDER_MODE });
    return { fd: openSync(path, first, STAGED_MODE), made: whole };
  }
}

function attemptEach(parts: readonly FilePart[], action: (part: FilePart, position: number) => void): PartFailure[] {
  const failures: PartFailure[] = [];
  for (const [position, part] of parts.entries()) {
    try {
      action(part, position);
    } catch (error) {
      const { code, message } = toPeerwireError(error, 'Reading or writing a file');
      failures.push({ position, code, message });
    }
  }
  return failures;
}
