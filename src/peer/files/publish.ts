import type { FileStamp } from '../../bittorrent/file-stamp.ts';
import { compareTreePaths } from '../../bittorrent/file-tree.ts';
import { choosePieceLength, createInfoInTurns, type Info, type PieceLayers } from '../../bittorrent/metainfo.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { EarlyFiles, HashPool } from '../hash-pool.ts';
import type { FileHash } from './hash-in-ranges.ts';
import { changedError } from './hash-range.ts';
import type { WalkedFile } from './walk.ts';

export interface VersionSource {
  readonly absolute: string;
  readonly size: number;
  readonly stamp: FileStamp;
}

export interface BuiltVersion {
  readonly info: Info;
  readonly layers: PieceLayers;
  /** By file index of `info`: what the files looked like when they were hashed. */
  readonly sources: readonly VersionSource[];
}

export interface BuildOptions {
  /** Those of a `WalkResult`. */
  readonly files: readonly WalkedFile[];
  /** Those of them that are being hashed already, the very same objects; others are not looked at. */
  readonly early?: readonly EarlyFiles[];
  /** Of the share; a file is shared under it, whatever it is called on disk. */
  readonly name: string;
  readonly single: boolean;
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
  /** Bytes hashed so far, and bytes in all. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/**
 * Hashes files into a version. Rejects with 'stale' when a file is not, or is no longer, what the walk saw; 'permission',
 * 'unsafe-path' (the name), 'usage' (no files), 'cancelled', 'io'.
 */
export async function buildVersion(options: BuildOptions): Promise<BuiltVersion> {
  const { name, single, pool, early = [], signal, onProgress } = options;
  if (options.files.length === 0) {
    throw new PeerwireError('usage', `There is nothing to share in “${name}”: it has no files, or all are left out.`);
  }
  // In the torrent's order, so that positions are file indexes.
  const files = [...options.files].sort((a, b) => compareTreePaths(a.path, b.path));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const pieceLength = choosePieceLength(total);

  let done = 0;
  const report = (bytes: number): void => {
    done += bytes;
    onProgress?.({ done, total });
  };
  const results = new Map<WalkedFile, FileHash | PeerwireError | undefined>();
  const hashingEarly = early.map(async (batch) => {
    const hashes = await batch.hashes;
    let bytes = 0;
    for (const [position, file] of batch.files.entries()) {
      results.set(file, hashes[position]);
      bytes += file.size;
    }
    report(bytes);
  });
  for (const batch of early) for (const file of batch.files) results.set(file, undefined);
  const others = files.filter((file) => !results.has(file));
  const hashingOthers = pool.hashFiles(
    others.map(({ absolute, size, stamp }) => ({ path: absolute, size, stamp })),
    { pieceLength, settle: true, onProgress: report, ...(signal && { signal }) },
  );
  const [hashesOfOthers] = await Promise.all([hashingOthers, ...hashingEarly]);
  for (const [position, file] of others.entries()) results.set(file, hashesOfOthers[position]);
  const hashes = files.map((file) => unchanged(file, results.get(file)));
  // Whatever was hashed first had the most time to change. Looked at while this thread makes the metadata.
  const looking = pool.changed(files, signal);
  // Heard below.
  looking.catch(() => undefined);
  const layers = new Map<string, Buffer>();
  for (const { root, pieceLayer } of hashes)
    if (root && pieceLayer.length > 0) layers.set(root.toString('hex'), pieceLayer);
  const info = await createInfoInTurns({
    name,
    pieceLength,
    single,
    files: files.map(({ path, size }, index) => ({
      path: single ? [name] : path,
      length: size,
      root: hashes[index]?.root,
    })),
  });
  const [changed] = await looking;
  if (changed !== undefined) throw changedError(files[changed]?.absolute ?? name);
  if (signal?.aborted) throw new PeerwireError('cancelled', 'Hashing was cancelled.');
  return { info, layers, sources: files };
}

function unchanged(file: WalkedFile, result: FileHash | PeerwireError | undefined): FileHash {
  if (!result) throw new PeerwireError('internal', 'Hashing gave no result.');
  if (result instanceof PeerwireError) {
    // It was there when the folder was read.
    if (result.code === 'not-found' || result.code === 'unsupported') throw changedError(file.absolute);
    throw result;
  }
  if (result.stamp !== file.stamp) throw changedError(file.absolute);
  return result;
}
