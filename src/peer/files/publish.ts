import type { FileStamp } from '../../bittorrent/file-stamp.ts';
import { choosePieceLength, createInfoInTurns, type Info, type PieceLayers } from '../../bittorrent/metainfo.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';
import type { EarlyHashes } from './early-hashes.ts';
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
  readonly early?: EarlyHashes;
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
  const { name, single, pool, early, signal, onProgress, files } = options;
  if (files.length === 0) {
    throw new PeerwireError('usage', `There is nothing to share in “${name}”: it has no files, or all are left out.`);
  }
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const pieceLength = choosePieceLength(total);

  let done = 0;
  const report = (bytes: number): void => {
    done += bytes;
    onProgress?.({ done, total });
  };
  const others = early ? early.without(files) : files;
  const hashingOthers = pool.hashFiles(
    others.map(({ absolute, size, stamp }) => ({ path: absolute, size, stamp })),
    { pieceLength, settle: true, onProgress: report, ...(signal && { signal }) },
  );
  const [hashesOfOthers] = await Promise.all([hashingOthers, early?.finish(report)]);
  const nextOther = hashesOfOthers.values();
  const hashes = files.map((file) => unchanged(file, early?.hashOf(file) ?? nextOther.next().value));
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
    checked: !single,
    files: files.map(({ path, size }, index) => ({
      path: single ? [name] : path,
      length: size,
      root: hashes[index]?.root,
    })),
  });
  const [changed] = await looking;
  if (changed !== undefined) throw changedError(files[changed]?.absolute ?? name);
  if (signal?.aborted) throw new PeerwireError('cancelled', 'Hashing was cancelled.');
  return { info, layers, sources: single ? files : inOrder(info, files) };
}

/** The files by file index. A walk gives them so. */
function inOrder(info: Info, files: readonly WalkedFile[]): readonly WalkedFile[] {
  if (info.files.every(({ path }, index) => path === files[index]?.path)) return files;
  const byPath = new Map(files.map((file) => [file.path, file]));
  return info.files.flatMap(({ path }) => byPath.get(path) ?? []);
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
