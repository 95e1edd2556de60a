import { realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { FileStamp } from '../../bittorrent/file-stamp.ts';
import { fileAt, type Info } from '../../bittorrent/metainfo.ts';
import { PeerwireError, systemCode } from '../../common/errors.ts';
import type { ConflictPolicy } from '../api.ts';
import type { HashPool } from '../hash-pool.ts';
import { fileError } from './file-error.ts';
import { findCopies, type WantedFile } from './find-copies.ts';
import { Pacer } from './pacer.ts';
import { RiskJudge } from './risky.ts';
import { RootCache } from './root-cache.ts';
import { SafeFolder } from './safe-folder.ts';
import { type Found, survey } from './survey.ts';
import { targetPath, targetTree } from './target-tree.ts';

/** Files of a step: a fraction of a millisecond. */
const STEP = 256;
const MISSING: Found = { state: 'missing' };

export interface PlannedFile {
  readonly fileIndex: number;
  /** `/`-separated, relative to the share. */
  readonly path: string;
  readonly size: number;
  /** `different` also when a link or a folder has the name: placing will say so. */
  readonly state: 'missing' | 'same' | 'different';
  /** Absolute path where it belongs. */
  readonly target: string;
  /** Of what is `same`: what it looked like when it was compared. */
  readonly stamp?: FileStamp;
  /** Of what is not `same`: a local file that had exactly this content just now, to be copied instead of fetched. */
  readonly copyFrom?: string;
}

export interface FilesPlan {
  /** Absolute path where the file or folder will be. */
  readonly target: string;
  readonly files: readonly PlannedFile[];
  readonly missing: number;
  readonly same: number;
  readonly different: number;
  /** Bytes that must cross the network: not the same, and not to be copied. */
  readonly fetchSize: number;
  /** Paths of files that are not the same yet and that `isRisky` names. */
  readonly risky: readonly string[];
}

/** The files that a download brings: the missing, and unless the policy is to skip them those that differ. */
export function filesToFetch({ files }: FilesPlan, policy: ConflictPolicy): PlannedFile[] {
  return files.filter(({ state }) => state === 'missing' || (state === 'different' && policy !== 'skip'));
}

export interface PlanOptions {
  /** Only this `/`-separated path of a folder share. */
  readonly file?: string;
  readonly pool: HashPool;
  readonly cache?: RootCache;
  readonly signal?: AbortSignal;
}

/**
 * Compares a version with what a destination (which need not exist) holds, and looks for its content elsewhere in there.
 * Changes nothing. Rejects with 'not-found' (no such `file`), 'exists' (the destination is a file), 'cancelled', 'permission', 'io'.
 */
export async function planFiles(info: Info, destination: string, options: PlanOptions): Promise<FilesPlan> {
  const { pool, signal, cache = new RootCache() } = options;
  const indexes = chosenFiles(info, options.file);
  const real = await existingFolder(destination);
  const found = real === undefined ? new Map<number, Found>() : await look(real);
  // Where nothing is there is nothing to copy from.
  const copies = real === undefined ? new Map<number, string>() : await search(real);

  const base = real ?? destination;
  const top = join(base, info.single ? '' : info.name, sep);
  const pacer = new Pacer();
  const judge = new RiskJudge();
  const risky: string[] = [];
  const files: PlannedFile[] = [];
  const count = { missing: 0, same: 0, different: 0 };
  let fetchSize = 0;
  for (const [position, fileIndex] of indexes.entries()) {
    if (position % STEP === 0) await pacer.pause();
    const { length, path: names } = fileAt(info, fileIndex);
    const path = names.join('/');
    const is = found.get(fileIndex) ?? MISSING;
    const state = is.state === 'obstacle' ? 'different' : is.state;
    const copyFrom = copies.get(fileIndex);
    count[state]++;
    if (state !== 'same' && copyFrom === undefined) fetchSize += length;
    // Put together by hand: `join` would normalize what is known to be safe, once for each of many files.
    const target = top + (sep === '/' ? path : path.replaceAll('/', sep));
    if (state !== 'same' && judge.isRisky(targetPath(info, fileIndex))) risky.push(path);
    const file = { fileIndex, path, size: length, state, target };
    if (is.state === 'same') files.push({ ...file, stamp: is.stamp });
    else files.push(copyFrom === undefined ? file : { ...file, copyFrom });
  }
  return { target: join(base, info.name), files, ...count, fetchSize, risky };

  async function look(folder: string): Promise<Map<number, Found>> {
    const root = await SafeFolder.root(folder);
    try {
      return await survey(targetTree(info, indexes), root, { info, pool, cache, ...(signal && { signal }) });
    } finally {
      await root.close();
    }
  }

  async function search(folder: string): Promise<Map<number, string>> {
    const wanted = indexes.flatMap((fileIndex) => wantedFile(info, fileIndex, found.get(fileIndex)) ?? []);
    if (wanted.length === 0) return new Map();
    // An earlier version of the share is the likeliest place.
    const folders = info.single ? [folder] : [join(folder, info.name), folder];
    return await findCopies(wanted, { folders, pieceLength: info.pieceLength, pool, cache, ...(signal && { signal }) });
  }
}

function chosenFiles(info: Info, file: string | undefined): number[] {
  const indexes = [...info.files.keys()];
  if (file === undefined) return indexes;
  const chosen = indexes.filter((index) => fileAt(info, index).path.join('/') === file);
  if (chosen.length === 0) throw new PeerwireError('not-found', `“${info.name}” has no file “${file}”.`);
  return chosen;
}

async function existingFolder(destination: string): Promise<string | undefined> {
  try {
    return await realpath(destination);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw fileError(error, 'read', destination);
  }
}

function wantedFile(info: Info, fileIndex: number, found: Found | undefined): WantedFile | undefined {
  const { path, length, root } = fileAt(info, fileIndex);
  if (found?.state === 'same' || !root) return undefined;
  return { fileIndex, name: path.at(-1) ?? '', size: length, root };
}
