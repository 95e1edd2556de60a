import type { Info, PieceLayers } from '../../bittorrent/metainfo.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';

export interface PlannedFile {
  readonly fileIndex: number;
  /** `/`-separated, relative to the share. */
  readonly path: string;
  readonly size: number;
  readonly state: 'missing' | 'same' | 'different';
  /** Absolute path where it belongs. */
  readonly target: string;
  /** For `missing` and `different`: a local file with exactly this content, to be copied instead of fetched. */
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

/** Roots of local files by path, size, times and inode, so that planning again costs no hashing. Share one between calls. */
export class RootCache {}

export interface PlanOptions {
  /** Only this `/`-separated path of a folder share. */
  readonly file?: string;
  readonly pool: HashPool;
  readonly cache?: RootCache;
  readonly signal?: AbortSignal;
}

/** Compares a version with what a destination holds. Changes nothing. Rejects with 'not-found' (no such `file`), 'cancelled', 'io'. */
export async function planFiles(
  info: Info,
  layers: PieceLayers,
  destination: string,
  options: PlanOptions,
): Promise<FilesPlan> {
  throw new PeerwireError(
    'internal',
    `planFiles is not written yet (${info.name}, ${layers.size}, ${destination}, ${String(options)})`,
  );
}
