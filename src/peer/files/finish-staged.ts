import { type BigIntStats, chmodSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { STAGED_FOLDER_MODE } from '../../bittorrent/file-parts.ts';
import { type FileStamp, stampOf } from '../../bittorrent/file-stamp.ts';
import { escapeName } from '../../bittorrent/safe-path.ts';
import { type ErrorCode, PeerwireError, systemCode } from '../../common/errors.ts';
import { fileError } from './file-error.ts';
import { markFromNetwork } from './mark-from-network.ts';

/** A staged file, in a private directory. Plain data: it crosses threads. */
export interface StagedFile {
  readonly path: string;
  /** Bytes that it must have. An empty file need not exist. */
  readonly size: number;
}

export type FinishResult =
  /** What the files look like now, by position. */
  | { readonly ok: true; readonly stamps: readonly FileStamp[] }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

/**
 * Makes staged files what they shall be in their place, by blocking calls: the empty ones, and the mode of all. Ends with the
 * first that is not complete; never rejects.
 */
export async function finishStaged(files: readonly StagedFile[], mode: number): Promise<FinishResult> {
  const stamps: FileStamp[] = [];
  let at = '';
  try {
    for (const { path, size } of files) {
      at = path;
      stamps.push(stampOf(await finishStagedFile(path, size, mode)));
    }
    return { ok: true, stamps };
  } catch (error) {
    const { code, message } = fileError(error, 'place', at);
    return { ok: false, code, message };
  }
}

/** The same of one, which looks as the result says then. Throws 'corrupt' unless it is complete as far as a look can tell. */
export async function finishStagedFile(path: string, size: number, mode: number): Promise<BigIntStats> {
  const stats = examine(path, size);
  if (!stats.isFile() || stats.size !== BigInt(size)) {
    const name = escapeName(basename(path));
    throw new PeerwireError('corrupt', `The downloaded copy of “${name}” is damaged; download it again.`);
  }
  if (process.platform === 'win32') await markFromNetwork(path);
  if ((stats.mode & 0o7777n) === BigInt(mode)) return stats;
  chmodSync(path, mode);
  return lstatSync(path, { bigint: true });
}

function examine(path: string, size: number): BigIntStats {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || size > 0) throw fileError(error, 'read', path);
    // Nothing had to be downloaded for it.
    mkdirSync(dirname(path), { recursive: true, mode: STAGED_FOLDER_MODE });
    writeFileSync(path, '', { flag: 'wx' });
    return lstatSync(path, { bigint: true });
  }
}
