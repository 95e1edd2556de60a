import { type Info, pieceAt } from '../../bittorrent/metainfo.ts';
import type { Storage, WholeRead } from '../../bittorrent/storage.ts';
import { PeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { PieceCache } from './piece-cache.ts';

/** What the read cache holds of one version, as storage of a swarm: pieces are written whole, and may go at any time. */
export class CachedVersion implements Storage {
  readonly info: Info;
  readonly #cache: PieceCache;
  readonly #key: string;
  readonly #evicted = new Emitter<number>();
  readonly onEvicted: Event<number> = this.#evicted.event;

  /** `key`: the version's name in the cache. */
  constructor(cache: PieceCache, key: string, info: Info) {
    this.#cache = cache;
    this.#key = key;
    this.info = info;
    // For as long as the cache lives: there is one of these for each version that is read.
    cache.onEvicted(({ version, piece }) => {
      if (version === key) this.#evicted.fire(piece);
    });
  }

  pieces(): number[] {
    return this.#cache.pieces(this.#key);
  }

  has(piece: number): boolean {
    return this.#cache.has(this.#key, piece);
  }

  /** See `Storage`. Rejects with `not-found` when a piece is not here any more. */
  async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    const length = views.reduce((sum, view) => sum + view.length, 0);
    let skipped = 0;
    for (const part of partsOf(this.info, fileIndex, offset, length)) {
      await this.#cache.read(this.#key, part.piece, part.begin, slice(views, skipped, part.length));
      skipped += part.length;
    }
  }

  /** One after another: what is read from the cache is little. */
  async readAll(reads: readonly WholeRead[]): Promise<void> {
    for (const { fileIndex, view } of reads) await this.read(fileIndex, 0, [view]);
  }

  async write(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    let done = 0;
    for (const { piece, begin, length } of partsOf(this.info, fileIndex, offset, data.length)) {
      if (begin !== 0 || length !== pieceAt(this.info, piece).length)
        throw new PeerwireError('internal', 'The read cache keeps whole pieces.');
      await this.#cache.write(this.#key, piece, data.subarray(done, done + length));
      done += length;
    }
  }

  /** The pieces of these files are kept elsewhere now. */
  forget(files: ReadonlySet<number>): void {
    this.#cache.forget(this.#key, (piece) => files.has(pieceAt(this.info, piece).fileIndex));
  }

  /** The cache stays. */
  async close(): Promise<void> {}
}

interface Part {
  readonly piece: number;
  /** Bytes from the start of the piece. */
  readonly begin: number;
  readonly length: number;
}

/** A range of a file, piece by piece. */
export function* partsOf(info: Info, fileIndex: number, offset: number, length: number): Generator<Part> {
  const firstPiece = info.files[fileIndex]?.firstPiece ?? 0;
  const { pieceLength } = info;
  for (let at = offset; at < offset + length; ) {
    const index = Math.floor(at / pieceLength);
    const begin = at - index * pieceLength;
    const part = Math.min(pieceLength - begin, offset + length - at);
    yield { piece: firstPiece + index, begin, length: part };
    at += part;
  }
}

/** The part of scattered memory from `skip` on. */
function slice(views: readonly Uint8Array[], skip: number, length: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let before = 0;
  for (const view of views) {
    const from = Math.max(0, skip - before);
    const to = Math.min(view.length, skip + length - before);
    if (to > from) parts.push(view.subarray(from, to));
    before += view.length;
  }
  return parts;
}
