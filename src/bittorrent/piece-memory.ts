import { rangeSize, type SharedMemory, type SharedRange } from './shared-memory.ts';

/**
 * Memory for a piece, reserved when the piece is asked for and lent when its first byte arrives. So the few ranges into which
 * pieces arrive just now are used again and again and stay in the processor's cache, however much was asked for ahead.
 */
export class PieceMemory implements SharedRange {
  readonly size: number;
  readonly #memory: SharedMemory;
  readonly #length: number;
  #lent: SharedRange | undefined;
  #given = false;

  /** `length` in bytes. */
  constructor(memory: SharedMemory, length: number) {
    this.#memory = memory;
    this.#length = length;
    this.size = rangeSize(length);
  }

  get shared(): SharedArrayBuffer {
    return this.#range.shared;
  }

  get offset(): number {
    return this.#range.offset;
  }

  get bytes(): Buffer {
    return this.#range.bytes;
  }

  /** Nobody may use it any more: who tries gets a RangeError. False when it was given back before. */
  giveBack(): boolean {
    if (this.#given) return false;
    this.#given = true;
    if (this.#lent) this.#memory.give(this.#lent);
    return true;
  }

  get #range(): SharedRange {
    if (this.#given) throw new RangeError('The memory was given back.');
    this.#lent ??= this.#memory.take(this.#length);
    return this.#lent;
  }
}
