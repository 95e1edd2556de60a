import { Bitfield } from '../../bittorrent/bitfield.ts';
import { pieceAt } from '../../bittorrent/metainfo.ts';
import type { Storage, VerifiedFile, WholeRead, WriteOutcome } from '../../bittorrent/storage.ts';
import type { SwarmContent } from '../../bittorrent/swarm.ts';
import { allOf } from '../../common/all-of.ts';
import type { Disposable } from '../../common/disposable.ts';
import type { Version } from '../version-store.ts';
import type { CachedVersion } from './cached-version.ts';

/**
 * Storage of a version of which some files have a place of their own; pieces of the others live in the read cache, so that
 * everything of a version can be read in its one swarm.
 */
export class OverlaidStorage implements Storage {
  readonly #own: Storage;
  readonly #isOwn: (fileIndex: number) => boolean;
  readonly #cached: CachedVersion;
  readonly #subscription: Disposable;

  /** Pieces of the cache enter `have`, and leave it when the cache drops them. `isOwn`: the file has its own place now. */
  constructor(own: Storage, isOwn: (fileIndex: number) => boolean, cached: CachedVersion, have: Bitfield) {
    this.#own = own;
    this.#isOwn = isOwn;
    this.#cached = cached;
    const isCached = (piece: number): boolean => !isOwn(pieceAt(cached.info, piece).fileIndex);
    for (const piece of cached.pieces()) if (isCached(piece)) have.add(piece);
    this.#subscription = cached.onEvicted((piece) => {
      if (isCached(piece)) have.delete(piece);
    });
  }

  async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    await this.#storage(fileIndex).read(fileIndex, offset, views);
  }

  async readAll(reads: readonly WholeRead[]): Promise<void> {
    const own: WholeRead[] = [];
    const others: WholeRead[] = [];
    for (const read of reads) (this.#isOwn(read.fileIndex) ? own : others).push(read);
    if (others.length === 0) await this.#own.readAll(own);
    else await allOf([this.#own.readAll(own), this.#cached.readAll(others)]);
  }

  async write(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    await this.#storage(fileIndex).write(fileIndex, offset, data);
  }

  writeVerified(files: readonly VerifiedFile[]): Promise<readonly WriteOutcome[]> | undefined {
    // The cache keeps no files; a mixture is written one by one.
    return files.every(({ fileIndex }) => this.#isOwn(fileIndex)) ? this.#own.writeVerified?.(files) : undefined;
  }

  writeBy<T>(fileIndex: number, action: (descriptor: number) => Promise<T>): Promise<T> | undefined {
    return this.#storage(fileIndex).writeBy?.(fileIndex, action);
  }

  async close(): Promise<void> {
    this.#subscription.dispose();
    await this.#own.close();
  }

  #storage(fileIndex: number): Storage {
    return this.#isOwn(fileIndex) ? this.#own : this.#cached;
  }
}

/** What finished downloads left in place (`base`, whole files), and the read cache for everything else. */
export function overlay(
  { info, layers }: Version,
  base: SwarmContent | undefined,
  cached: CachedVersion,
): SwarmContent {
  const have = new Bitfield(info.pieceCount);
  const placed = new Set<number>();
  for (const piece of base?.have ?? []) {
    have.add(piece);
    placed.add(pieceAt(info, piece).fileIndex);
  }
  const storage = new OverlaidStorage(base?.storage() ?? cached, (index) => placed.has(index), cached, have);
  return { info, layers, have, storage: () => storage };
}
