import { lstatSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { FileStamp } from '../../bittorrent/file-stamp.ts';
import { fileAt, type Info } from '../../bittorrent/metainfo.ts';
import { PeerwireError, systemCode } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';
import { fileError } from './file-error.ts';
import { placedFileMode } from './file-mode.ts';
import type { SafeFolder } from './safe-folder.ts';
import { stagedFile, stagedRoot } from './staged-file.ts';
import { forEachBatch } from './work-limit.ts';

/** Files finished in one message to a worker: a few milliseconds, after each of which it can be cancelled. */
const BATCH_FILES = 256;
const BATCHES_AT_ONCE = 2;
/** What `rename` answers when something has the name after all, or a folder cannot be moved here. */
const IN_THE_WAY = new Set(['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR', 'EPERM', 'EBUSY', 'EXDEV']);

export interface WholeFolderOptions {
  readonly info: Info;
  readonly staging: string;
  /** See `PlaceOptions`. */
  readonly stampOf?: (fileIndex: number) => FileStamp | undefined;
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
}

/**
 * Gives a whole folder share, staged in the shape that it has, its name in the destination by one rename: nobody ever sees
 * half of it, and 20,000 files cost no more than a look each. Stamps of the files by index; undefined when something has the
 * name, or the folder cannot be moved: then all is staged as it was before, as it is when this rejects.
 */
export async function placeWholeFolder(
  options: WholeFolderOptions,
  root: SafeFolder,
): Promise<readonly FileStamp[] | undefined> {
  const stamps = await finish(options);
  return takeName(stagedRoot(options.staging), root, options.info.name) ? stamps : undefined;
}

async function finish({ info, staging, stampOf, pool, signal }: WholeFolderOptions): Promise<FileStamp[]> {
  const mode = placedFileMode();
  const stamps: FileStamp[] = [];
  const unknown: number[] = [];
  for (const index of info.files.keys()) {
    const stamp = stampOf?.(index);
    if (stamp === undefined) unknown.push(index);
    else stamps[index] = stamp;
  }
  await forEachBatch(unknown, BATCH_FILES, BATCHES_AT_ONCE, async (indexes) => {
    if (signal?.aborted) throw new PeerwireError('cancelled', 'Placing the files was cancelled.');
    const batch = indexes.map((index) => {
      const file = fileAt(info, index);
      return { path: stagedFile(staging, file), size: file.length };
    });
    const result = await pool.finishStaged(batch, mode);
    if (!result.ok) throw new PeerwireError(result.code, result.message);
    for (const [position, index] of indexes.entries()) {
      const stamp = result.stamps[position];
      if (stamp !== undefined) stamps[index] = stamp;
    }
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
