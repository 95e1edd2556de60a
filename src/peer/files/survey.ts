import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileStamp, stampOf } from '../../bittorrent/file-stamp.ts';
import { fileAt, type Info } from '../../bittorrent/metainfo.ts';
import { foldName } from '../../bittorrent/safe-path.ts';
import { PeerwireError, systemCode } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';
import { fileError } from './file-error.ts';
import type { RootCache } from './root-cache.ts';
import { obstacle, type SafeFolder } from './safe-folder.ts';
import { filesBelow, type TargetFile, type TargetFolder, visitTargets } from './target-tree.ts';
import { forEachLimit } from './work-limit.ts';

const FILES_AT_ONCE = 16;
/** From this many files on, listing the folder is cheaper than asking for each. */
const LIST_FROM = 32;

/** What is in a file's place. */
export type Found =
  | { readonly state: 'missing' }
  /** `stamp`: of the content that was compared; any change since is sure to show in it. */
  | { readonly state: 'same'; readonly stamp: FileStamp }
  | { readonly state: 'different' }
  /** A link ('unsafe-path') or something that is not a file ('exists'); with `above` in the place of a folder above it. */
  | { readonly state: 'obstacle'; readonly problem: PeerwireError; readonly above: boolean };

export interface SurveyOptions {
  readonly info: Info;
  readonly pool: HashPool;
  readonly cache?: RootCache;
  readonly signal?: AbortSignal;
}

/** Looks at the place of every file of a tree; changes nothing. By file index. */
export async function survey(
  tree: TargetFolder,
  root: SafeFolder,
  options: SurveyOptions,
): Promise<Map<number, Found>> {
  const found = new Map<number, Found>();
  await visitTargets(tree, root, {
    create: false,
    visit: async (folder, files) => {
      for (const [fileIndex, state] of await surveyFolder(folder, files, options)) found.set(fileIndex, state);
    },
    absent: (folder, problem) => {
      const state: Found = problem ? { state: 'obstacle', problem, above: true } : { state: 'missing' };
      for (const { fileIndex } of filesBelow(folder)) found.set(fileIndex, state);
    },
  });
  return found;
}

/** The same for some files of one folder. */
export async function surveyFolder(
  folder: SafeFolder,
  files: readonly TargetFile[],
  options: SurveyOptions,
): Promise<Map<number, Found>> {
  const { info, pool, cache, signal } = options;
  const found = new Map<number, Found>();
  const names = files.length >= LIST_FROM ? await listNames(folder) : undefined;
  const unclear: { readonly file: TargetFile; readonly stats: BigIntStats }[] = [];
  await forEachLimit(files, FILES_AT_ONCE, async (file) => {
    if (signal?.aborted) throw new PeerwireError('cancelled', 'Comparing files was cancelled.');
    const { fileIndex, name } = file;
    const stats = !names || names.has(foldName(name)) ? await examine(folder, name) : undefined;
    const { length, root } = fileAt(info, fileIndex);
    if (!stats) found.set(fileIndex, { state: 'missing' });
    else if (!stats.isFile()) {
      found.set(fileIndex, { state: 'obstacle', problem: obstacle(join(folder.path, name), stats), above: false });
    } else if (Number(stats.size) !== length) found.set(fileIndex, { state: 'different' });
    else if (length === 0) found.set(fileIndex, { state: 'same', stamp: stampOf(stats) });
    else {
      const known = cache?.get(join(folder.path, name), stampOf(stats));
      if (known) found.set(fileIndex, verdict(known.root, root, known.stamp));
      else unclear.push({ file, stats });
    }
  });
  if (unclear.length === 0) return found;

  const toHash: { path: string; size: number }[] = [];
  for (const { file, stats } of unclear) toHash.push({ path: folder.entry(file.name), size: Number(stats.size) });
  const hashes = await pool.hashFiles(toHash, {
    pieceLength: info.pieceLength,
    settle: true,
    ...(signal && { signal }),
  });
  for (const [position, { file }] of unclear.entries()) {
    const hash = hashes[position];
    // What cannot be read, or changes while it is read, is not what the share has.
    if (!hash || hash instanceof PeerwireError) found.set(file.fileIndex, { state: 'different' });
    else {
      cache?.set(join(folder.path, file.name), hash);
      found.set(file.fileIndex, verdict(hash.root, fileAt(info, file.fileIndex).root, hash.stamp));
    }
  }
  return found;
}

function verdict(local: Buffer | undefined, wanted: Buffer | undefined, stamp: FileStamp): Found {
  const same = local && wanted ? local.equals(wanted) : local === wanted;
  return same ? { state: 'same', stamp } : { state: 'different' };
}

async function listNames(folder: SafeFolder): Promise<Set<string> | undefined> {
  try {
    return await folder.foldedNames();
  } catch (error) {
    if (error instanceof PeerwireError) throw error;
    // A folder may be entered and yet not be listed; then each name is asked for.
    return undefined;
  }
}

async function examine(folder: SafeFolder, name: string): Promise<BigIntStats | undefined> {
  const entry = folder.entry(name);
  try {
    return await lstat(entry, { bigint: true });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw fileError(error, 'read', join(folder.path, name));
  }
}
