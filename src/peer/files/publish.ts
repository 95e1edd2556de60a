import type { Info, PieceLayers } from '../../bittorrent/metainfo.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';
import type { WalkedFile } from './walk.ts';

export interface VersionSource {
  readonly absolute: string;
  readonly size: number;
  readonly mtimeMs: number;
}

export interface BuiltVersion {
  readonly info: Info;
  readonly layers: PieceLayers;
  /** By file index of `info`. */
  readonly sources: readonly VersionSource[];
}

export interface BuildOptions {
  /** A `WalkResult` fits. */
  readonly files: readonly WalkedFile[];
  readonly name: string;
  readonly single: boolean;
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
  /** Bytes hashed so far, and bytes in all. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** Hashes files into a version. Rejects with 'stale' when a file changes meanwhile, 'permission', 'cancelled', 'usage' (no files). */
export async function buildVersion(options: BuildOptions): Promise<BuiltVersion> {
  throw new PeerwireError('internal', `buildVersion is not written yet (${options.name})`);
}
