import { Bitfield } from '../bittorrent/bitfield.ts';
import type { FileStamp } from '../bittorrent/file-stamp.ts';
import { fileAt, type Info, pieceAt } from '../bittorrent/metainfo.ts';
import { type ErrorCode, PeerwireError } from '../common/errors.ts';
import type { RecheckResult } from './api.ts';
import { type DownloadRecord, piecesOf } from './download-record.ts';
import { isStagingDir } from './files/placement.ts';
import { filesToFetch, planFiles } from './files/plan.ts';
import type { RootCache } from './files/root-cache.ts';
import { stagedFile } from './files/staged-file.ts';
import type { HashPool } from './hash-pool.ts';
import { PieceJournal } from './piece-journal.ts';
import { StagedPieces } from './staged-pieces.ts';
import type { Version } from './version-store.ts';

export interface RecheckOptions {
  readonly pool: HashPool;
  readonly signal: AbortSignal;
  /** Called with the bytes looked at since the last call. */
  readonly onProgress?: (bytes: number) => void;
}

/** Why a file that cannot be read is not taken for a changed one: it may be readable again tomorrow. */
const PASSING: readonly ErrorCode[] = ['permission', 'io'];

/** A file in place: what it looks like if it is intact (any change since is sure to show), or why it is not seeded. */
export type CopyState = FileStamp | 'changed' | 'unreadable';

/** Hashes files in place, by file index. Rejects with 'cancelled', 'closed'. */
export async function examineCopies(
  info: Info,
  paths: ReadonlyMap<number, string>,
  { pool, signal, onProgress }: RecheckOptions,
): Promise<Map<number, CopyState>> {
  const files = [...paths].map(([index, path]) => ({ index, path, size: fileAt(info, index).length }));
  const hashes = await pool.hashFiles(files, {
    pieceLength: info.pieceLength,
    settle: true,
    signal,
    ...(onProgress && { onProgress }),
  });
  const found = new Map<number, CopyState>();
  for (const [position, { index }] of files.entries()) {
    const hash = hashes[position];
    const { root } = fileAt(info, index);
    if (!hash || hash instanceof PeerwireError) {
      found.set(index, hash && PASSING.includes(hash.code) ? 'unreadable' : 'changed');
    } else {
      const right = hash.root && root ? hash.root.equals(root) : hash.root === root;
      found.set(index, right ? hash.stamp : 'changed');
    }
  }
  return found;
}

/**
 * Takes what `examineCopies` found of a finished download into its record: what is intact is seeded (again), the rest is not.
 * True when what is seeded is not what it was.
 */
export function recordCopies(record: DownloadRecord, found: ReadonlyMap<number, CopyState>): boolean {
  let differs = false;
  for (const [index, result] of found) {
    const { [index]: placed } = record.placed;
    const path = placed?.path ?? record.changed?.[index];
    if (path === undefined || result === 'unreadable') continue;
    if (result === 'changed') {
      if (placed) differs = true;
      delete record.placed[index];
      record.changed = { ...record.changed, [index]: path };
    } else {
      if (placed?.stamp !== result) differs = true;
      record.placed[index] = { path, stamp: result };
      if (record.changed) delete record.changed[index];
    }
  }
  return differs;
}

/** All files that a finished download put in place, whether they were as received when last looked at or not. */
export function placedPaths({ placed, changed = {} }: DownloadRecord): Map<number, string> {
  const paths = new Map<number, string>();
  for (const [index, path] of Object.entries(changed)) paths.set(Number(index), path);
  for (const [index, { path }] of Object.entries(placed)) paths.set(Number(index), path);
  return paths;
}

/** Rechecks a finished download. `differs`: what is seeded is not what it was. Rejects with 'cancelled', 'closed'. */
export async function recheckPlaced(
  record: DownloadRecord,
  { info }: Version,
  options: RecheckOptions,
): Promise<{ readonly result: RecheckResult; readonly differs: boolean }> {
  const found = await examineCopies(info, placedPaths(record), options);
  const changed: number[] = [];
  for (const [index, result] of found) {
    if (result !== 'changed' && result !== 'unreadable') continue;
    found.set(index, 'changed');
    changed.push(index);
  }
  const differs = recordCopies(record, found);
  return { result: { files: found.size, changed: changed.map((index) => pathOf(info, index)) }, differs };
}

/**
 * Rechecks what is staged of a download that does not run: trusts no stamp, forgets the pieces that are damaged. `done`: bytes
 * that need not be fetched. Rejects with 'cancelled', 'closed', and where the destination or the journal cannot be read.
 */
export async function recheckStaged(
  record: DownloadRecord,
  { info, layers }: Version,
  { cache, journalPath, ...options }: RecheckOptions & { readonly cache: RootCache; readonly journalPath: string },
): Promise<{ readonly result: RecheckResult; readonly done: number }> {
  const { pool, signal, onProgress = () => undefined } = options;
  const plan = await planFiles(info, record.destination, {
    ...(record.file === undefined ? {} : { file: record.file }),
    pool,
    cache,
    signal,
  });
  const toFetch = filesToFetch(plan, record.policy).map(({ fileIndex }) => fileIndex);
  const have = new Bitfield(info.pieceCount);
  const damaged: number[] = [];
  let recorded: number[] = [];
  const { staging } = record;
  if (staging !== undefined && (await isStagingDir(staging))) {
    const stagedPath = (index: number): string => stagedFile(staging, fileAt(info, index));
    const journal = await PieceJournal.open(journalPath, info.pieceCount);
    try {
      const before = new Set(
        toFetch.flatMap((index) => piecesOf(fileAt(info, index))).filter((piece) => journal.has(piece)),
      );
      recorded = toFetch.filter((index) => piecesOf(fileAt(info, index)).some((piece) => before.has(piece)));
      const pieces = new StagedPieces({ info, layers, stagedPath, have, journal, pool, signal, onProgress });
      await pieces.recheck(recorded);
      for (const index of recorded) {
        if (piecesOf(fileAt(info, index)).some((piece) => before.has(piece) && !have.has(piece))) damaged.push(index);
      }
      await pieces.seal(recorded);
    } finally {
      await journal.close();
    }
  }
  let missing = 0;
  for (const index of toFetch) {
    for (const piece of piecesOf(fileAt(info, index))) if (!have.has(piece)) missing += pieceAt(info, piece).length;
  }
  const size = plan.files.reduce((sum, file) => sum + file.size, 0);
  record.size = size;
  return {
    result: { files: recorded.length, changed: damaged.map((index) => pathOf(info, index)) },
    done: size - missing,
  };
}

function pathOf(info: Info, index: number): string {
  return fileAt(info, index).path.join('/');
}
