import type { FileStamp } from './hash-range.ts';

const MOST_ENTRIES = 50_000;
/** A change within this many milliseconds of another may not show in the times of a file (FAT: 2 s). */
const RACY_TIME = 2000;

/** Merkle roots of local files by path and stamp, so that comparing them again costs no hashing. Share one between calls. */
export class RootCache {
  readonly #entries = new Map<string, { readonly stamp: FileStamp; readonly root: Buffer | undefined }>();

  /** The root, if the file still looks the same. */
  get(path: string, stamp: FileStamp): { readonly root: Buffer | undefined } | undefined {
    const entry = this.#entries.get(path);
    if (!entry || !sameStamp(entry.stamp, stamp)) return undefined;
    // Re-insertion keeps the map in order of last use.
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    return entry;
  }

  /** `now`: wall time, ms. A file that has only just changed is not kept: it could change again unseen. */
  set(path: string, stamp: FileStamp, root: Buffer | undefined, now: number): void {
    this.#entries.delete(path);
    if (now - Math.max(stamp.mtimeMs, stamp.ctimeMs) < RACY_TIME) return;
    this.#entries.set(path, { stamp, root });
    if (this.#entries.size <= MOST_ENTRIES) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.ino === b.ino;
}
