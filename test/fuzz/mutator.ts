import { type BValue, decode, encode } from '../../src/bittorrent/bencode.ts';

/**
 * Seeded changes to sample inputs: bits, bytes, numbers, cuts, repeats and splices. Samples that are bencoded are changed
 * as values too, half of the time, since hardly any change of their bytes survives a strict decoder.
 */
export class Mutator {
  readonly #samples: readonly Buffer[];
  readonly #maxLength: number;
  #state: number;

  constructor(seed: number, samples: readonly Buffer[], maxLength: number) {
    this.#state = seed >>> 0;
    this.#samples = samples;
    this.#maxLength = maxLength;
  }

  next(): Buffer {
    const sample = this.#pick(this.#samples);
    const value = this.#below(2) === 0 ? bencoded(sample) : undefined;
    if (value !== undefined) {
      let changed = value;
      for (let changes = 1 + this.#below(3); changes > 0; changes--) changed = this.#mutateValue(changed);
      return encode(changed).subarray(0, this.#maxLength);
    }
    let input: Buffer = Buffer.from(sample);
    for (let changes = 1 + this.#below(4); changes > 0; changes--) input = this.#mutate(input);
    return input.subarray(0, this.#maxLength);
  }

  #mutate(input: Buffer): Buffer {
    const at = this.#below(input.length + 1);
    const end = at + this.#below(Math.min(16, input.length - at) + 1);
    const with_ = (middle: Uint8Array, from = at, to = end): Buffer =>
      Buffer.concat([input.subarray(0, from), middle, input.subarray(to)]);
    switch (this.#below(9)) {
      case 0:
        return input.length === 0
          ? input
          : with_(
              Buffer.of((input[at % input.length] ?? 0) ^ (1 << this.#below(8))),
              at % input.length,
              (at % input.length) + 1,
            );
      case 1:
        return with_(Buffer.of(this.#below(256)), at, at + 1);
      case 2:
        return with_(Buffer.from(Array.from({ length: 1 + this.#below(8) }, () => this.#below(256))), at, at);
      case 3:
        return with_(Buffer.alloc(0));
      case 4:
        return input.subarray(0, at);
      case 5: {
        const piece = input.subarray(at, end);
        const times = 1 + this.#below(this.#below(10) === 0 ? 2000 : 4);
        return with_(Buffer.concat(Array.from({ length: times }, () => piece)), at, at);
      }
      case 6: {
        const other = this.#pick(this.#samples);
        return with_(other.subarray(this.#below(other.length + 1)), at, input.length);
      }
      case 7:
        return with_(Buffer.from(this.#pick(TOKENS), 'latin1'), at, this.#below(2) === 0 ? at : end);
      default: {
        // Change a number that is written in digits.
        const text = input.toString('latin1');
        const numbers = [...text.matchAll(/\d+/g)];
        const found = numbers[this.#below(numbers.length)];
        if (!found) return input;
        return with_(Buffer.from(this.#pick(NUMBERS)), found.index, found.index + found[0].length);
      }
    }
  }

  /** Changes one place in a value: walks down at random and replaces, removes or adds there. */
  #mutateValue(value: BValue): BValue {
    if (Array.isArray(value) && value.length > 0 && this.#below(4) > 0) {
      const index = this.#below(value.length);
      const copy = [...value];
      const item = copy[index];
      if (this.#below(6) === 0 || item === undefined) copy.splice(index, 1);
      else copy[index] = this.#mutateValue(item);
      return copy;
    }
    if (value instanceof Map && value.size > 0 && this.#below(6) > 0) {
      const key = this.#pick([...value.keys()]);
      const copy = new Map(value);
      const item = copy.get(key);
      const action = this.#below(10);
      if (item === undefined || action === 0) copy.delete(key);
      else if (action === 1) copy.set(this.#mutate(Buffer.from(key, 'latin1')).toString('latin1'), item);
      else copy.set(key, this.#mutateValue(item));
      return copy;
    }
    if (Buffer.isBuffer(value) && this.#below(3) > 0) return this.#mutate(value);
    if (typeof value === 'number' && this.#below(3) > 0) return this.#pick(INTEGERS);
    return this.#pick(VALUES);
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  /** Uniform in [0, limit), by mulberry32. */
  #below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
}

function bencoded(sample: Buffer): BValue | undefined {
  try {
    return decode(sample);
  } catch {
    return undefined;
  }
}

const INTEGERS = [
  0,
  1,
  2,
  -1,
  3,
  255,
  256,
  16383,
  16384,
  16385,
  65536,
  2 ** 31,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
  -(2 ** 31),
];

const VALUES: readonly BValue[] = [
  0,
  Buffer.alloc(0),
  Buffer.alloc(32),
  Buffer.alloc(32, 7),
  [],
  [0],
  new Map(),
  new Map([['', new Map()]]),
  new Map([['a', new Map([['', new Map<string, BValue>([['length', 0]])]])]]),
];

const NUMBERS = [
  '0',
  '1',
  '-1',
  '00',
  '2',
  '16384',
  '16385',
  '65535',
  '65536',
  '2147483648',
  '4294967295',
  '9007199254740991',
  '9007199254740993',
  '99999999999999999999',
];

const TOKENS = [
  'd',
  'l',
  'e',
  'i',
  ':',
  'de',
  'le',
  'i0e',
  '0:',
  '1:a',
  'd0:',
  'lllllllllllllllll',
  'eeeeeeeeeeeeeee',
  '\0\0\0\0',
  '\0\0\0\x01',
  '\xff\xff\xff\xff',
  '\x7f\xff\xff\xff',
  '\x80\0\0\0',
  '\0\x10\0\0',
  '\0\0\x40\x01',
  '/',
  '\\',
  '..',
  '../',
  '\n',
  '.',
  ' ',
  ':',
  'CON',
  'com1.',
  '~1',
  '\xe2\x80\xae',
  '\xe2\x80\x8b',
  'e\xcc\x81',
  '\xc3\xa9',
  '\xc3\x9f',
  'ss',
  '\xe2\x84\xaa',
  '\xed\xa0\x80',
  '\xff',
];
