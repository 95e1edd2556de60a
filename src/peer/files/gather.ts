import { type BigIntStats, chmodSync, lstatSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type FileStamp, stampOf } from '../../bittorrent/file-stamp.ts';
import { escapeName } from '../../bittorrent/safe-path.ts';
import { type ErrorCode, PeerwireError, systemCode } from '../../common/errors.ts';
import { fileError } from './file-error.ts';
import { markFromNetwork } from './mark-from-network.ts';

/** A staged file and where it goes, both in the same private directory. Plain data: it crosses threads. */
export interface StagedFile {
  readonly from: string;
  readonly to: string;
  /** Bytes that it must have. An empty file need not exist. */
  readonly size: number;
}

export type GatherResult =
  /** What the files look like now, by position. */
  | { readonly ok: true; readonly stamps: readonly FileStamp[] }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

/** Mode of a placed folder, less what the umask takes away. */
const FOLDER_MODE = 0o755;

/**
 * Moves staged files to where they are in the share, by blocking calls, and gives them the mode that they shall have.
 * Whatever is at `to` is replaced: it is a private directory. Ends with the first that fails; never rejects.
 */
export async function gather(files: readonly StagedFile[], mode: number): Promise<GatherResult> {
  const stamps: FileStamp[] = [];
  let made = '';
  let at = '';
  try {
    for (const { from, to, size } of files) {
      at = to;
      const parent = dirname(to);
      if (parent !== made) mkdirSync(parent, { recursive: true, mode: FOLDER_MODE });
      made = parent;
      move(from, to, size);
      stamps.push(stampOf(await finish(to, size, mode)));
    }
    return { ok: true, stamps };
  } catch (error) {
    const { code, message } = fileError(error, 'place', at);
    return { ok: false, code, message };
  }
}

function move(from: string, to: string, size: number): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' || size > 0) throw fileError(error, 'read', from);
    // Nothing had to be downloaded for it.
    writeFileSync(to, '', { flag: 'wx' });
  }
}

/** Throws 'corrupt' unless the file is complete as far as a look can tell. */
async function finish(path: string, size: number, mode: number): Promise<BigIntStats> {
  const stats = lstatSync(path, { bigint: true });
  if (!stats.isFile() || stats.size !== BigInt(size)) {
    const name = escapeName(basename(path));
    throw new PeerwireError('corrupt', `The downloaded copy of “${name}” is damaged; download it again.`);
  }
  await markFromNetwork(path);
  if ((stats.mode & 0o7777n) === BigInt(mode)) return stats;
  chmodSync(path, mode);
  return lstatSync(path, { bigint: true });
}
