import { PeerwireError } from '../common/errors.ts';

/** A set of piece indices below a fixed length, in the wire's bit order: the high bit of byte 0 is piece 0 (BEP 3). */
export class Bitfield {
  readonly length: number;
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(length: number) {
    this.length = length;
    this.#bits = new Uint8Array(Math.ceil(length / 8));
  }

  /** Reads a peer's bitfield; throws `protocol` when its size or its spare bits are wrong. */
  static fromBytes(bytes: Uint8Array, length: number): Bitfield {
    const field = new Bitfield(length);
    if (bytes.length !== field.#bits.length) {
      throw new PeerwireError(
        'protocol',
        `A bitfield of ${length} pieces has ${field.#bits.length} bytes, not ${bytes.length}.`,
      );
    }
    field.#bits.set(bytes);
    const spare = bytes.length * 8 - length;
    if (spare > 0 && ((bytes[bytes.length - 1] ?? 0) & ((1 << spare) - 1)) !== 0) {
      throw new PeerwireError('protocol', 'A spare bit of the bitfield is set.');
    }
    for (let index = 0; index < length; index++) if (field.has(index)) field.#count++;
    return field;
  }

  get count(): number {
    return this.#count;
  }

  get complete(): boolean {
    return this.#count === this.length;
  }

  has(index: number): boolean {
    return index < this.length && ((this.#bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
  }

  /** Returns true when the bit was not set before. */
  add(index: number): boolean {
    if (index < 0 || index >= this.length || this.has(index)) return false;
    this.#bits[index >> 3] = (this.#bits[index >> 3] ?? 0) | (0x80 >> (index & 7));
    this.#count++;
    return true;
  }

  delete(index: number): boolean {
    if (!this.has(index)) return false;
    this.#bits[index >> 3] = (this.#bits[index >> 3] ?? 0) & ~(0x80 >> (index & 7));
    this.#count--;
    return true;
  }

  fill(): this {
    for (let index = 0; index < this.length; index++) this.add(index);
    return this;
  }

  toBytes(): Buffer {
    return Buffer.from(this.#bits);
  }

  *[Symbol.iterator](): Generator<number> {
    for (let index = 0; index < this.length; index++) if (this.has(index)) yield index;
  }
}
