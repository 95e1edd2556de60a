import { constants } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CAREFUL } from '../../bittorrent/open-flags.ts';
import { errorCode, PeerwireError, toPeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';

/** Pieces in the cache at most: small files are small pieces, each a file of the file system. */
const MOST_PIECES = 8192;
/** Bytes that may wait in memory for being written. */
const MOST_UNWRITTEN = 16 * 1024 * 1024;
/** After a failure nothing is taken for so long, in ms: whoever reads must hear of it. */
const FAILED_FOR = 2_000;

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
  /** Until the file is written: whoever waits for a piece reads it from here. */
  data: Uint8Array | undefined;
}

/**
 * Verified pieces that were fetched to be read, not to be kept: one file each, of all versions together, the least recently
 * used out first. Nothing survives a restart.
 *
 * Invariant: `#entries` holds exactly the pieces whose bytes are complete, in memory or in their file, in order of last use.
 */
export class PieceCache {
  readonly #options: PieceCacheOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #writes = new Set<Promise<void>>();
  readonly #removals = new Set<Promise<void>>();
  readonly #evicted = new Emitter<CachedPiece>();
  /** The piece is not here any more. */
  readonly onEvicted: Event<CachedPiece> = this.#evicted.event;
  #size = 0;
  #unwritten = 0;
  #files = 0;
  #failure: { readonly error: PeerwireError; readonly at: number } | undefined;
  readonly #ready: Promise<void>;
  #closed = false;

  constructor(options: PieceCacheOptions) {
    this.#options = options;
    // What a killed run left.
    this.#ready = rm(options.dir, { recursive: true, force: true });
    this.#ready.catch(() => undefined); // Whoever writes hears of it.
  }

  /** Bytes of all pieces. */
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
    if (entry.data) return copy(entry.data, offset, views);
    const wanted = views.reduce((sum, view) => sum + view.length, 0);
    try {
      const handle = await open(entry.path, constants.O_RDONLY | CAREFUL);
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

  /**
   * Keeps a copy of a verified piece. It can be read when this resolves; its file may be written later. Rejects with `closed`
   * or, when such files could not be written lately, `disk-full`, `permission`, `io`.
   */
  async write(version: string, piece: number, data: Uint8Array): Promise<void> {
    while (this.#unwritten > 0 && this.#unwritten + data.length > MOST_UNWRITTEN) await Promise.race(this.#writes);
    if (this.#closed) throw new PeerwireError('closed', 'The read cache is closed.');
    if (this.#failure && performance.now() - this.#failure.at < FAILED_FOR) throw this.#failure.error;
    this.#failure = undefined;
    if (this.has(version, piece)) return;
    this.#makeRoom(data.length);
    const path = join(this.#options.dir, `${this.#files++}.piece`);
    // Not `slice`, which of a Buffer is a view.
    const entry: Entry = { version, piece, path, length: data.length, data: new Uint8Array(data) };
    this.#entries.set(keyOf(version, piece), entry);
    this.#size += data.length;
    this.#unwritten += data.length;
    const writing = this.#write(entry, entry.data ?? data).finally(() => {
      this.#unwritten -= entry.length;
      this.#writes.delete(writing);
    });
    this.#writes.add(writing);
  }

  /** Forgets pieces of a version. */
  forget(version: string, accept: (piece: number) => boolean = () => true): void {
    for (const entry of this.#entries.values())
      if (entry.version === version && accept(entry.piece)) this.#evict(entry);
  }

  /** Resolves when all files are written, and removed, as they should be by now. */
  async flush(): Promise<void> {
    await Promise.all(this.#writes);
    await Promise.all(this.#removals);
  }

  /** Removes everything. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const entry of this.#entries.values()) this.#evict(entry);
    await this.flush();
    await rm(this.#options.dir, { recursive: true, force: true });
  }

  /** Never rejects. */
  async #write(entry: Entry, data: Uint8Array): Promise<void> {
    try {
      await this.#store(entry.path, data).catch(async (error: unknown) => {
        // The disk may be full of what we can do without.
        if (errorCode(error) !== 'disk-full') throw error;
        for (const other of this.#entries.values()) if (!other.data) this.#evict(other);
        await Promise.allSettled(this.#removals);
        await this.#store(entry.path, data);
      });
    } catch (error) {
      this.#failure = { error: toPeerwireError(error, 'Writing the read cache'), at: performance.now() };
      if (this.#entries.get(keyOf(entry.version, entry.piece)) === entry) this.#evict(entry);
    }
    entry.data = undefined;
    // It was evicted before it was there.
    if (this.#entries.get(keyOf(entry.version, entry.piece)) !== entry)
      await rm(entry.path, { force: true }).catch(() => undefined);
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

function copy(data: Uint8Array, offset: number, views: readonly Uint8Array[]): void {
  let at = offset;
  for (const view of views) {
    view.set(data.subarray(at, at + view.length));
    at += view.length;
  }
}

function keyOf(version: string, piece: number): string {
  return `${version}/${piece}`;
}
