import { constants } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, PeerwireError, toPeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';

/** Pieces in the cache at most: small files are small pieces, each a file of the file system. */
const MOST_PIECES = 8192;

export interface PieceCacheOptions {
  /** Private directory, made when the first piece comes, removed by `close`. */
  readonly dir: string;
  /** Bytes of all pieces together. A larger piece is taken alone. */
  readonly capacity: number;
}

/** A piece of a version. `version` is any text that names it. */
export interface CachedPiece {
  readonly version: string;
  readonly piece: number;
}

interface Entry extends CachedPiece {
  readonly path: string;
  readonly length: number;
}

/**
 * Verified pieces that were fetched to be read, not to be kept: one file each, of all versions together, the least recently
 * used out first. Nothing survives a restart.
 *
 * Invariant: `#entries` holds exactly the pieces whose bytes are completely written, in order of last use.
 */
export class PieceCache {
  readonly #options: PieceCacheOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #writes = new Set<Promise<void>>();
  readonly #removals = new Set<Promise<void>>();
  readonly #evicted = new Emitter<CachedPiece>();
  /** The piece is not here any more. */
  readonly onEvicted: Event<CachedPiece> = this.#evicted.event;
  /** Bytes here or being written. */
  #size = 0;
  #files = 0;
  readonly #ready: Promise<void>;
  #closed = false;

  constructor(options: PieceCacheOptions) {
    this.#options = options;
    // What a killed run left.
    this.#ready = rm(options.dir, { recursive: true, force: true });
    this.#ready.catch(() => undefined); // Whoever writes hears of it.
  }

  get size(): number {
    return this.#size;
  }

  has(version: string, piece: number): boolean {
    return this.#entries.has(keyOf(version, piece));
  }

  /** Pieces of a version. */
  pieces(version: string): number[] {
    return [...this.#entries.values()].filter((entry) => entry.version === version).map(({ piece }) => piece);
  }

  /** Fills the views from `offset` of a piece. Rejects with `not-found` when it is not here (any more) or damaged. */
  async read(version: string, piece: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    const key = keyOf(version, piece);
    const entry = this.#entries.get(key);
    if (!entry) throw new PeerwireError('not-found', 'The piece is not in the read cache any more.');
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const wanted = views.reduce((sum, view) => sum + view.length, 0);
    try {
      const handle = await open(entry.path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
      try {
        const { bytesRead } = await handle.readv(views, offset);
        if (bytesRead !== wanted) throw new PeerwireError('not-found', 'A piece of the read cache is too short.');
      } finally {
        await handle.close();
      }
    } catch (error) {
      // Somebody tidied up behind us, or it was evicted meanwhile: it can be fetched again.
      if (this.#entries.get(key) === entry) this.#evict(entry);
      if (errorCode(error) === 'not-found') {
        throw new PeerwireError('not-found', 'A piece of the read cache is gone.', { cause: error });
      }
      throw toPeerwireError(error, 'Reading the read cache');
    }
  }

  /** Keeps a verified piece. Rejects with `disk-full`, `permission`, `io`, `closed`. */
  async write(version: string, piece: number, data: Uint8Array): Promise<void> {
    if (this.#closed) throw new PeerwireError('closed', 'The read cache is closed.');
    if (this.has(version, piece)) return;
    const writing = this.#write(version, piece, data);
    this.#writes.add(writing);
    try {
      await writing;
    } finally {
      this.#writes.delete(writing);
    }
  }

  /** Forgets pieces of a version. */
  forget(version: string, accept: (piece: number) => boolean = () => true): void {
    for (const entry of this.#entries.values())
      if (entry.version === version && accept(entry.piece)) this.#evict(entry);
  }

  /** Removes everything. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const entry of this.#entries.values()) this.#evict(entry);
    await Promise.allSettled(this.#writes);
    await Promise.allSettled(this.#removals);
    await rm(this.#options.dir, { recursive: true, force: true });
  }

  async #write(version: string, piece: number, data: Uint8Array): Promise<void> {
    this.#makeRoom(data.length);
    this.#size += data.length;
    const path = join(this.#options.dir, `${this.#files++}.piece`);
    try {
      await this.#store(path, data).catch(async (error: unknown) => {
        // The disk may be full of what we can do without.
        if (errorCode(error) !== 'disk-full' || this.#entries.size === 0) throw error;
        for (const entry of this.#entries.values()) this.#evict(entry);
        await Promise.allSettled(this.#removals);
        await this.#store(path, data);
      });
    } catch (error) {
      this.#size -= data.length;
      await rm(path, { force: true }).catch(() => undefined);
      throw toPeerwireError(error, 'Writing the read cache');
    }
    const entry: Entry = { version, piece, path, length: data.length };
    const key = keyOf(version, piece);
    // Another write of the same piece may have been quicker; and a closed cache keeps nothing.
    const before = this.#entries.get(key);
    this.#entries.set(key, entry);
    if (before) this.#remove(before);
    if (this.#closed) this.#evict(entry);
  }

  async #store(path: string, data: Uint8Array): Promise<void> {
    await this.#ready;
    try {
      await writeFile(path, data, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      if (errorCode(error) === 'disk-full') await rm(path, { force: true });
      if (errorCode(error) !== 'not-found') throw error;
      await mkdir(this.#options.dir, { recursive: true, mode: 0o700 });
      await writeFile(path, data, { flag: 'wx', mode: 0o600 });
    }
  }

  #makeRoom(bytes: number): void {
    for (const entry of this.#entries.values()) {
      if (this.#size + bytes <= this.#options.capacity && this.#entries.size < MOST_PIECES) return;
      this.#evict(entry);
    }
  }

  #evict(entry: Entry): void {
    this.#entries.delete(keyOf(entry.version, entry.piece));
    this.#remove(entry);
    this.#evicted.fire(entry);
  }

  #remove(entry: Entry): void {
    this.#size -= entry.length;
    // What cannot be removed now goes with the directory.
    const removal = rm(entry.path, { force: true })
      .catch(() => undefined)
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}

function keyOf(version: string, piece: number): string {
  return `${version}/${piece}`;
}
