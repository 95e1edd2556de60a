import { BLOCK_SIZE } from './merkle.ts';
import { SpareMemory } from './spare-memory.ts';

/** Bytes kept for further batches: what is read for one device at a time. */
const MOST_SPARE = 8 * 1024 * 1024;
/** Sizes of buffers between one power of two and the next: a batch leaves at most a fifth of its buffer unused. */
const STEPS = 4;

/**
 * Memory that uploads read into, used again and again: one for all swarms, since few batches are under way at once. Left to
 * the garbage collector, some 50 MB of it lie around at full speed.
 */
export class SendBuffers {
  readonly #room: number;
  readonly #spare = new SpareMemory<Buffer>();
  readonly #shared = new SpareMemory<Buffer>();

  /** `room`: bytes that a batch has beyond its content, at most. */
  constructor(room: number) {
    this.#room = room;
  }

  /**
   * At least `length` bytes; never much more, since those are what the sender's bounds count. `shared`: another thread may
   * read many small files straight into it. Other memory is not, since V8 does not count shared memory as garbage that piles up.
   */
  take(length: number, shared = false): Buffer {
    if (length <= BLOCK_SIZE) return Buffer.allocUnsafe(length);
    const size = this.#roundUp(length);
    if (shared) return this.#shared.take(size) ?? Buffer.from(new SharedArrayBuffer(size));
    return this.#spare.take(size) ?? Buffer.allocUnsafeSlow(size);
  }

  /** Nobody may use it any more. */
  give(buffer: Buffer): void {
    const size = buffer.length;
    if (size <= BLOCK_SIZE || size > MOST_SPARE) return;
    const shared = buffer.buffer instanceof SharedArrayBuffer;
    const [kind, other] = shared ? [this.#shared, this.#spare] : [this.#spare, this.#shared];
    kind.give(size, buffer);
    kind.shrink(MOST_SPARE);
    other.shrink(MOST_SPARE - kind.bytes);
  }

  /** Lets everything go that nobody uses. */
  trim(): void {
    this.#spare.shrink(0);
    this.#shared.shrink(0);
  }

  /** Few sizes, so that buffers are found again. */
  #roundUp(length: number): number {
    const content = length - this.#room;
    const step = 2 ** Math.floor(Math.log2(Math.max(content, BLOCK_SIZE))) / STEPS;
    return Math.ceil(content / step) * step + this.#room;
  }
}
