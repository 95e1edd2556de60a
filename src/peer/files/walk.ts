import { PeerwireError } from '../../common/errors.ts';

export interface WalkedFile {
  readonly absolute: string;
  /** Relative to the walked folder; for a single file its name. Every component passes `checkComponent`. */
  readonly path: readonly string[];
  readonly size: number;
  readonly mtimeMs: number;
}

export interface WalkResult {
  /** Real path of what was walked. */
  readonly root: string;
  /** Name of the file or folder. */
  readonly name: string;
  /** True when a file was named, not a folder. */
  readonly single: boolean;
  /** In the order of their paths. */
  readonly files: readonly WalkedFile[];
  readonly size: number;
  /** Entries left out by ignore rules; a folder counts as one. */
  readonly ignored: number;
  /** `/`-separated relative paths left out because their names look like secrets. */
  readonly secrets: readonly string[];
  /** Left out for other reasons: links, special files, unreadable, names that other systems refuse. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

export interface WalkOptions {
  readonly includeSecrets?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly files: number; readonly size: number }) => void;
}

/** Lists what sharing `path` would send. Rejects with 'not-found', 'permission', 'cancelled' or 'io'. */
export async function walk(path: string, options: WalkOptions = {}): Promise<WalkResult> {
  throw new PeerwireError('internal', `walk is not written yet (${path}, ${String(options)})`);
}
