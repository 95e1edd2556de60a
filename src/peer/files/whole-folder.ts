import { lstatSync, renameSync } from 'node:fs';
import { lstat, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { FileStamp } from '../../bittorrent/file-stamp.ts';
import type { Info } from '../../bittorrent/metainfo.ts';
import { PeerwireError, systemCode } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';
import { fileError } from './file-error.ts';
import { placedFileMode } from './file-mode.ts';
import type { StagedFile } from './gather.ts';
import { Pacer } from './pacer.ts';
import type { SafeFolder } from './safe-folder.ts';
import { forEachLimit } from './work-limit.ts';

/** Where in the staging directory a share is put together. */
const WHOLE = 'whole';
/** Files moved in one message to a worker: a few milliseconds, after each of which it can be cancelled. */
const BATCH_FILES = 256;
const BATCHES_AT_ONCE = 2;
/** What `rename` answers when something has the name after all, or a folder cannot be moved here. */
const IN_THE_WAY = new Set(['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR', 'EPERM', 'EBUSY', 'EXDEV']);

export interface WholeFolderOptions {
  readonly info: Info;
  readonly staging: string;
  readonly stagedPath: (fileIndex: number) => string;
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
}

/**
 * Puts a whole folder share together in its staging directory and gives it its name in the destination by one rename:
 * nobody ever sees half of it, and 20,000 files cost no more than a move each. Stamps of the files by index; undefined
 * when something has the name, or the folder cannot be moved: then all is as it was before, as it is when this rejects.
 */
export async function placeWholeFolder(
  options: WholeFolderOptions,
  root: SafeFolder,
): Promise<readonly FileStamp[] | undefined> {
  const { info, staging } = options;
  try {
    const stamps = await assemble(options);
    if (takeName(join(staging, WHOLE), root, info.name)) return stamps;
    await putBack(options);
    return undefined;
  } catch (error) {
    await putBack(options);
    throw error;
  }
}

/** Moves the files of an interrupted `placeWholeFolder` back to where they were staged; nothing to do is fine. */
export async function putBack(options: Pick<WholeFolderOptions, 'info' | 'staging' | 'stagedPath'>): Promise<void> {
  const { info, staging, stagedPath } = options;
  const whole = join(staging, WHOLE);
  try {
    if (!(await exists(whole))) return;
    const pacer = new Pacer();
    for (const [index, { path }] of info.files.entries()) {
      await pacer.pause();
      try {
        renameSync(join(whole, ...path), stagedPath(index));
      } catch (error) {
        if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ENOTDIR') throw error;
      }
    }
    await rm(whole, { recursive: true, force: true });
  } catch (error) {
    throw fileError(error, 'write', whole);
  }
}

async function assemble({ info, staging, stagedPath, pool, signal }: WholeFolderOptions): Promise<FileStamp[]> {
  const mode = placedFileMode();
  const stamps: FileStamp[] = [];
  const whole = join(staging, WHOLE);
  const starts = Array.from({ length: Math.ceil(info.files.length / BATCH_FILES) }, (_, batch) => batch * BATCH_FILES);
  await forEachLimit(starts, BATCHES_AT_ONCE, async (start) => {
    if (signal?.aborted) throw new PeerwireError('cancelled', 'Placing the files was cancelled.');
    const batch = info.files.slice(start, start + BATCH_FILES).map(
      ({ path, length }, position): StagedFile => ({
        from: stagedPath(start + position),
        to: `${whole}${sep}${path.join(sep)}`,
        size: length,
      }),
    );
    const result = await pool.gather(batch, mode);
    if (!result.ok) throw new PeerwireError(result.code, result.message);
    for (const [position, stamp] of result.stamps.entries()) stamps[start + position] = stamp;
  });
  return stamps;
}

/** False when something has the name. `rename` itself would replace an empty folder, but nothing else. */
function takeName(whole: string, root: SafeFolder, name: string): boolean {
  try {
    if (lstatSync(root.entry(name), { throwIfNoEntry: false })) return false;
    renameSync(whole, root.entry(name));
    return true;
  } catch (error) {
    if (IN_THE_WAY.has(systemCode(error) ?? '')) return false;
    throw fileError(error, 'place', join(root.path, name));
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
