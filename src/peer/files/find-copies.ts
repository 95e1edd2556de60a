import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileStamp, stampOf } from '../../bittorrent/file-stamp.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';
import type { RootCache } from './root-cache.ts';
import { isStagingName } from './staging-name.ts';
import { forEachLimit } from './work-limit.ts';

const FILES_AT_ONCE = 16;
/** Entries looked at however little is wanted, and at most; in between one per KiB wanted: a search must pay. */
const LEAST_ENTRIES = 4000;
const MOST_ENTRIES = 50_000;
const BYTES_PER_ENTRY = 1024;
/** From this size (bytes) on, a file may be found under another name. */
const ANY_NAME_SIZE = 64 * 1024;
/** Files hashed in vain for one that is wanted. */
const MOST_CANDIDATES = 4;

export interface WantedFile {
  readonly fileIndex: number;
  readonly name: string;
  readonly size: number;
  readonly root: Buffer;
}

export interface FindOptions {
  /** Existing folders to search with all below, the likeliest first. */
  readonly folders: readonly string[];
  readonly pieceLength: number;
  readonly pool: HashPool;
  readonly cache: RootCache;
  readonly signal?: AbortSignal;
}

interface Candidate {
  readonly path: string;
  readonly size: number;
  readonly stamp: FileStamp;
}

/**
 * Finds files with exactly the content that is wanted: same name and size, or for bigger files same size, and then the
 * same merkle root. Follows no links. The search is bounded; what it misses is merely fetched. Absolute paths by file index.
 */
export async function findCopies(wanted: readonly WantedFile[], options: FindOptions): Promise<Map<number, string>> {
  const candidates = await collect(wanted, options);
  const paths = await matchRoots(candidates, options);
  const copies = new Map<number, string>();
  for (const { fileIndex, root } of wanted) {
    const path = paths.get(root.toString('hex'));
    if (path !== undefined) copies.set(fileIndex, path);
  }
  return copies;
}

/** Files that may have a wanted root (hex), breadth first: what lies near the top is likelier to be meant than what lies deep. */
async function collect(wanted: readonly WantedFile[], options: FindOptions): Promise<Map<string, Candidate[]>> {
  const names = new Set(wanted.map(({ name }) => name));
  const anyName = wanted.some(({ size }) => size >= ANY_NAME_SIZE);
  const bySize = new Map<number, WantedFile[]>();
  let bytes = 0;
  for (const file of wanted) {
    bytes += file.size;
    const others = bySize.get(file.size);
    if (others) others.push(file);
    else bySize.set(file.size, [file]);
  }
  let budget = Math.min(MOST_ENTRIES, LEAST_ENTRIES + bytes / BYTES_PER_ENTRY);
  const candidates = new Map<string, Candidate[]>();

  const consider = async (folder: string, name: string): Promise<void> => {
    const path = join(folder, name);
    const stats = await lstat(path, { bigint: true }).catch(() => undefined);
    if (!stats?.isFile()) return;
    const size = Number(stats.size);
    const matches = bySize.get(size)?.filter((file) => file.name === name || file.size >= ANY_NAME_SIZE) ?? [];
    for (const root of new Set(matches.map((file) => file.root.toString('hex')))) {
      const others = candidates.get(root) ?? [];
      candidates.set(root, others);
      others.push({ path, size, stamp: stampOf(stats) });
    }
  };

  // A set that grows while it is walked: every folder once.
  const folders = new Set(options.folders);
  for (const folder of folders) {
    if (budget <= 0) break;
    if (options.signal?.aborted) throw new PeerwireError('cancelled', 'Comparing files was cancelled.');
    // A folder that cannot be listed has nothing to offer.
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    budget -= entries.length;
    for (const entry of entries) {
      if (entry.isDirectory() && entry.name !== '.git' && !isStagingName(entry.name))
        folders.add(join(folder, entry.name));
    }
    const files = entries.filter((entry) => entry.isFile() && (anyName || names.has(entry.name)));
    await forEachLimit(files, FILES_AT_ONCE, async ({ name }) => await consider(folder, name));
  }
  return candidates;
}

/** Hashes one candidate of every root that is still wanted, then the next ones; the path of each root found. */
async function matchRoots(candidates: Map<string, Candidate[]>, options: FindOptions): Promise<Map<string, string>> {
  const { pool, pieceLength, signal, cache } = options;
  const paths = new Map<string, string>();
  for (let round = 0; round < MOST_CANDIDATES; round++) {
    const open = [...candidates].filter(([root]) => !paths.has(root)).flatMap(([, found]) => found[round] ?? []);
    if (open.length === 0) break;
    const untold = open.filter(({ path, stamp }) => !keep(path, cache.get(path, stamp)?.root));
    const files = untold.map(({ path, size }) => ({ path, size }));
    const hashes = await pool.hashFiles(files, { pieceLength, ...(signal && { signal }) });
    for (const [index, { path }] of untold.entries()) {
      const hash = hashes[index];
      if (!hash || hash instanceof PeerwireError) continue;
      cache.set(path, hash);
      keep(path, hash.root);
    }
  }
  return paths;

  function keep(path: string, root: Buffer | undefined): boolean {
    if (root) paths.set(root.toString('hex'), path);
    return root !== undefined;
  }
}
