import { BLOCK_SIZE } from './merkle.ts';
import { SpareMemory } from './spare-memory.ts';

/** Bytes kept for further batches: what is read for one device at a time. */
const MOST_SPARE = 8 * 1024 * 1024;
/** Sizes of buffers between one power of two and the next: a batch leaves at most a fifth of its buffer unused. */
const STEPS = 4;

/**
 * Memory that uploads read into, used again and again: one for all swarms, since few batches are under way at once. Left to
 * the garbage collector, some 50 MB of it lie around at full speed. Shared, so that another thread can read many small files
 * straight into it.
 */
export class SendBuffers {
  readonly #room: number;
  readonly #spare = new SpareMemory<Buffer>();

  /** `room`: bytes that a batch has beyond its content, at most. */
  constructor(room: number) {
    this.#room = room;
  }

  /** At least `length` bytes; never much more, since those are what the sender's bounds count. */
  take(length: number): Buffer {
    if (length <= BLOCK_SIZE) return Buffer.allocUnsafe(length);
    const size = this.#roundUp(length);
    return this.#spare.take(size) ?? Buffer.from(new SharedArrayBuffer(size));
  }

  /** Nobody may use it any more. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    if (size <= BLOCK_SIZE || size > MOST_SPARE) return;
    this.#spare.give(size, buffer);
    this.#spare.shrink(MOST_SPARE);
  }

  /** Lets everything go that nobody uses. */
  trim(): void {
    this.#spare.shrink(0);
  }

  /** Few sizes, so that buffers are found again. */
  #roundUp(length: number): number {
    const content = length - this.#room;
    const step = 2 ** Math.floor(Math.log2(Math.max(content, BLOCK_SIZE))) / STEPS;
    return Math.ceil(content / step) * step + this.#room;
  }
}
