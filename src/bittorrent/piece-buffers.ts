import { Emitter, type Event } from '../common/event.ts';

/** Bytes beyond the budget for pieces that somebody waits for. */
const RESERVE = 4 * 1024 * 1024;

/** One piece's memory, shared with the hashing workers. `bytes` has exactly the piece's length. */
export interface PieceBuffer {
  readonly shared: SharedArrayBuffer;
  /** A Buffer, because its `copy` is a plain memory copy also into shared memory; `TypedArray.set` there copies atomically, several times slower. */
  readonly bytes: Buffer;
}

/**
 * Memory for pieces that are being received, hashed or written, under one budget. The budget is the back-pressure of the
 * receiving side: no buffer, no new requests. Swarms share it, and none can keep another from going on with one piece.
 */
export class PieceBuffers {
  readonly #budget: number;
  readonly #spare = new Map<number, SharedArrayBuffer[]>();
  readonly #onFree = new Emitter<void>();
  /** A buffer came back. */
  readonly onFree: Event<void> = this.#onFree.event;
  #used = 0;

  /** `budget` in bytes. */
  constructor(budget: number) {
    this.#budget = budget;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /**
   * `first`: the swarm holds none yet. That one is granted beyond the budget, however large. `urgent`: somebody waits for
   * the piece; for those there is a reserve beyond the budget, enough for one piece at least.
   */
  fits(length: number, kind: 'first' | 'urgent' | 'normal'): boolean {
    if (kind === 'first') return true;
    const size = roundUp(length);
    if (kind === 'urgent' && this.#used <= this.#budget) return true;
    return this.#used + size <= this.#budget + (kind === 'urgent' ? RESERVE : 0);
  }

  take(length: number, kind: 'first' | 'urgent' | 'normal'): PieceBuffer | undefined {
    if (!this.fits(length, kind)) return undefined;
    const size = roundUp(length);
    this.#used += size;
    const shared = this.#spare.get(size)?.pop() ?? new SharedArrayBuffer(size);
    return { shared, bytes: Buffer.from(shared, 0, length) };
  }

  give(buffer: PieceBuffer): void {
    const size = buffer.shared.byteLength;
    this.#used -= size;
    const spare = this.#spare.get(size) ?? [];
    this.#spare.set(size, spare);
    spare.push(buffer.shared);
    this.#onFree.fire();
  }

  /** Lets the memory go once nothing is in use. */
  trim(): void {
    if (this.#used === 0) this.#spare.clear();
  }
}

/** Few sizes, so that buffers are reused: powers of two from one block up. */
function roundUp(length: number): number {
  let size = 16_384;
  while (size < length) size *= 2;
  return size;
}
