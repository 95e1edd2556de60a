import { BLOCK_SIZE } from './merkle.ts';
import { SpareMemory } from './spare-memory.ts';

/** Bytes that are asked of V8 at once: the longest piece that we publish. */
const SLAB_SIZE = 4 * 1024 * 1024;
/** The same in the smallest ranges, and as a power of two of them. */
const SLAB_BLOCKS = SLAB_SIZE / BLOCK_SIZE;
const SLAB_ORDER = Math.log2(SLAB_BLOCKS);
/** Bytes of larger ranges that are kept: of content that others published there may be such pieces. */
const MOST_LARGE = 16 * 1024 * 1024;

/** Enough for one busy download, and uploads beside it. */
const MOST_KEPT = 48 * 1024 * 1024;

/** Lent until it is given back. */
export interface SharedRange {
  readonly shared: SharedArrayBuffer;
  /** In bytes, as all here. */
  readonly offset: number;
  /** A power of two. */
  readonly size: number;
  /**
   * As many as were asked for. A Buffer, because its `copy` is a plain memory copy also into shared memory; `TypedArray.set` there
   * copies atomically, several times slower.
   */
  readonly bytes: Buffer;
}

/**
 * Memory that threads share, lent again and again. V8 does not count shared memory when it decides whether to collect garbage:
 * what is merely dropped may stay for hours (33 MB for each download, measured). So it is taken in slabs, which are parted in
 * halves as needed and joined again (a buddy allocator).
 */
export class SharedMemory {
  /** By their number; a range's position is counted in blocks over all slabs. */
  readonly #slabs = new Map<number, SharedArrayBuffer>();
  /** Positions of what is free, by order: ranges of 2^order blocks. */
  readonly #free: readonly Set<number>[] = Array.from({ length: SLAB_ORDER + 1 }, () => new Set<number>());
  readonly #numbers = new WeakMap<SharedArrayBuffer, number>();
  readonly #large = new SpareMemory<SharedArrayBuffer>();
  readonly #most: number;
  /** Bytes lent of slabs. */
  #lent = 0;

  /** `most`: bytes of slabs that are kept when little is lent of them: not at once, lest some come and go all the time. */
  constructor(most = MOST_KEPT) {
    this.#most = most;
  }

  /** Bytes of all slabs: of those lent and those that are free. */
  get bytes(): number {
    return this.#slabs.size * SLAB_SIZE;
  }

  /** At least `length` bytes; of what they contain nothing is known. */
  take(length: number): SharedRange {
    const order = orderOf(length);
    const size = BLOCK_SIZE * 2 ** order;
    if (order > SLAB_ORDER) {
      const large = this.#large.take(size) ?? new SharedArrayBuffer(size);
      return { shared: large, offset: 0, size, bytes: Buffer.from(large, 0, length) };
    }
    const position = this.#part(order);
    this.#lent += size;
    const shared = this.#slabs.get(Math.floor(position / SLAB_BLOCKS));
    if (!shared) throw new RangeError('There is no such slab.');
    const offset = (position % SLAB_BLOCKS) * BLOCK_SIZE;
    return { shared, offset, size, bytes: Buffer.from(shared, offset, length) };
  }

  /** Nobody may use it any more. Once for each. */
  give({ shared, offset, size }: SharedRange): void {
    const number = this.#numbers.get(shared);
    if (number === undefined) {
      this.#large.give(size, shared);
      this.#large.shrink(MOST_LARGE);
      return;
    }
    let position = number * SLAB_BLOCKS + offset / BLOCK_SIZE;
    let order = orderOf(size);
    for (; order < SLAB_ORDER; order++) {
      const buddy = position ^ (2 ** order);
      if (!this.#free[order]?.delete(buddy)) break;
      position = Math.min(position, buddy);
    }
    this.#free[order]?.add(position);
    this.#lent -= size;
    if (this.#lent <= this.#most / 2) this.#shrink();
  }

  #shrink(): void {
    const whole = this.#free[SLAB_ORDER];
    for (const position of whole ?? []) {
      if (this.bytes <= this.#most) return;
      whole?.delete(position);
      this.#slabs.delete(position / SLAB_BLOCKS);
    }
  }

  /** Takes a range out of what is free, of the first place that there is: then whole slabs stay, or become, free. */
  #part(order: number): number {
    let from = order;
    while (from <= SLAB_ORDER && this.#free[from]?.size === 0) from++;
    if (from > SLAB_ORDER) {
      from = SLAB_ORDER;
      this.#addSlab();
    }
    const position = Math.min(...(this.#free[from] ?? []));
    this.#free[from]?.delete(position);
    for (let half = from - 1; half >= order; half--) this.#free[half]?.add(position + 2 ** half);
    return position;
  }

  #addSlab(): void {
    let number = 0;
    while (this.#slabs.has(number)) number++;
    const shared = new SharedArrayBuffer(SLAB_SIZE);
    this.#slabs.set(number, shared);
    this.#numbers.set(shared, number);
    this.#free[SLAB_ORDER]?.add(number * SLAB_BLOCKS);
  }
}

/** Bytes of the range that `take` lends for so many: a power of two, one block at least. */
export function rangeSize(length: number): number {
  return BLOCK_SIZE * 2 ** orderOf(length);
}

function orderOf(length: number): number {
  return Math.max(0, Math.ceil(Math.log2(length / BLOCK_SIZE)));
}
