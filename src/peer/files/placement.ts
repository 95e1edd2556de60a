import type { Info } from '../../bittorrent/metainfo.ts';
import { PeerwireError } from '../../common/errors.ts';
import type { ConflictPolicy } from '../api.ts';
import type { HashPool } from '../hash-pool.ts';

export interface PlaceOptions {
  readonly info: Info;
  /** File indexes to place. */
  readonly files: readonly number[];
  /** Where the complete, verified file lies: a path inside the staging directory. Empty files need not exist there. */
  readonly stagedPath: (fileIndex: number) => string;
  /** Folder that receives the share under its own name. Created if missing; may itself be a link that the user chose. */
  readonly destination: string;
  readonly policy: ConflictPolicy;
  /** The user confirmed the files that `isRisky` names; otherwise they are refused with 'usage'. */
  readonly allowRisky: boolean;
  /** Compares files that are there already. */
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
}

export interface PlacedFile {
  readonly fileIndex: number;
  /** Absolute path of the result; for `skipped` the file that was left as it is. */
  readonly path: string;
  readonly outcome: 'placed' | 'same' | 'skipped' | 'overwritten' | 'kept-both';
}

/** Makes a new private (0700) directory on the file system of `destination`, which is created if missing. */
export async function stagingDir(destination: string): Promise<string> {
  throw new PeerwireError('internal', `stagingDir is not written yet (${destination})`);
}

/** True while `path` is a staging directory that only this user can reach: what a resumed transfer asks. */
export async function isStagingDir(path: string): Promise<boolean> {
  throw new PeerwireError('internal', `isStagingDir is not written yet (${path})`);
}

/** Deletes a staging directory and all in it; refuses anything else. */
export async function removeStaging(path: string): Promise<void> {
  throw new PeerwireError('internal', `removeStaging is not written yet (${path})`);
}

/** Path components of a file below the destination: `[name]` or `[share name, …path]`. */
export function targetPath(info: Info, fileIndex: number): readonly string[] {
  const file = info.files[fileIndex];
  if (!file) throw new PeerwireError('internal', `No file ${fileIndex} in this version.`);
  return info.single ? file.path : [info.name, ...file.path];
}

/**
 * Moves verified files into place. A second run after a crash finishes the first. Rejects with 'exists' (policy `fail`,
 * nothing was placed), 'unsafe-path' (a link is in the way), 'usage' (risky), 'disk-full', 'permission', 'cancelled', 'io'.
 */
export async function place(options: PlaceOptions): Promise<PlacedFile[]> {
  throw new PeerwireError('internal', `place is not written yet (${options.destination})`);
}
