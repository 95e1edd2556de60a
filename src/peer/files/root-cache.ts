import type { FileStamp } from '../../bittorrent/file-stamp.ts';
import type { FileHash } from './hash-in-ranges.ts';

const MOST_ENTRIES = 50_000;

/** Merkle roots of local files by path and stamp, so that comparing them again costs no hashing. Share one between calls. */
export class RootCache {
  readonly #entries = new Map<string, { readonly stamp: FileStamp; readonly root: Buffer | undefined }>();

  /** The root, if the file still looks the same. */
  get(path: string, stamp: FileStamp): { readonly stamp: FileStamp; readonly root: Buffer | undefined } | undefined {
    const entry = this.#entries.get(path);
    if (!entry || entry.stamp !== stamp) return undefined;
    // Re-insertion keeps the map in order of last use.
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    return entry;
  }

  /** A file that has only just changed is not kept: it could have changed again unseen. */
  set(path: string, { stamp, root, settled }: Pick<FileHash, 'stamp' | 'root' | 'settled'>): void {
    this.#entries.delete(path);
    if (!settled) return;
    this.#entries.set(path, { stamp, root });
    if (this.#entries.size <= MOST_ENTRIES) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
