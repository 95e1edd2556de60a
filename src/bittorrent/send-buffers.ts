/** Buffers kept for further batches. */
const MOST_SPARE = 8;

/** Memory that uploads read into, used again and again: one for all swarms, since few batches are under way at once. */
export class SendBuffers {
  readonly #size: number;
  readonly #spare: Buffer[] = [];

  /** `size`: bytes of a full batch. */
  constructor(size: number) {
    this.#size = size;
  }

  /** At least `length` bytes; never much more, since those are what the sender's bounds count. */
  take(length: number): Buffer {
    if (length > this.#size || length < this.#size / 2) return Buffer.allocUnsafe(length);
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  /** Nobody may use it any more. */
  give(buffer: Buffer): void {
    if (buffer.length === this.#size && this.#spare.length < MOST_SPARE) this.#spare.push(buffer);
  }
}
