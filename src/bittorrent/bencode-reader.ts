import { asBuffer } from '../common/as-buffer.ts';
import { PeerwireError } from '../common/errors.ts';
import type { Steps } from '../common/turns.ts';
import type { BDict, BValue } from './bencode.ts';

export interface BencodeLimits {
  /** Lists and dictionaries inside one another. */
  readonly depth?: number;
  /** Integers, strings (keys too), lists and dictionaries in all: bounds memory by more than the length does. */
  readonly tokens?: number;
}

const DEFAULT_DEPTH = 32;
const DEFAULT_TOKENS = 1_000_000;

function bad(problem: string, at: number): PeerwireError {
  return new PeerwireError('bad-encoding', `Malformed bencoding at byte ${at}: ${problem}.`);
}

function tooDeep(at: number): PeerwireError {
  return bad('nested deeper than allowed', at);
}

/** Tokens of a step: a fraction of a millisecond. */
const STEP = 2000;

const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const MINUS = 0x2d;
const DICT = 0x64;
const END = 0x65;
const INTEGER = 0x69;
const LIST = 0x6c;

type Container =
  | { readonly kind: 'list'; readonly items: BValue[] }
  | { readonly kind: 'dict'; readonly fields: BDict; key: string | undefined; last: string | undefined };

/** Where a reader stood. */
interface BencodePlace {
  readonly at: number;
  readonly depth: number;
  readonly tokensLeft: number;
}

/** Reads from the start of bytes on: whole values, or of long dictionaries one field after another. Throws 'bad-encoding'. */
export class BencodeReader {
  readonly bytes: Buffer;
  /** Lists and dictionaries that may still be opened inside one another. */
  #depth: number;
  #tokensLeft: number;
  at = 0;

  constructor(bytes: Uint8Array, limits: BencodeLimits = {}) {
    this.bytes = asBuffer(bytes);
    this.#depth = limits.depth ?? DEFAULT_DEPTH;
    this.#tokensLeft = limits.tokens ?? DEFAULT_TOKENS;
  }

  get place(): BencodePlace {
    return { at: this.at, depth: this.#depth, tokensLeft: this.#tokensLeft };
  }

  /** Reads again from there. */
  goBack({ at, depth, tokensLeft }: BencodePlace): void {
    this.at = at;
    this.#depth = depth;
    this.#tokensLeft = tokensLeft;
  }

  /** What follows was recognized by its bytes: it ends there, and has so many tokens. */
  skip(end: number, tokens: number): void {
    this.#tokensLeft -= tokens - 1;
    this.#token();
    this.at = end;
  }

  /** Opens the dictionary that is next. Its fields follow: `key` and a value each, until `closeDict`. */
  openDict(): void {
    if (this.#peek() !== DICT) throw bad('expected a dictionary', this.at);
    if (this.#depth <= 0) throw tooDeep(this.at);
    this.#token();
    this.#depth--;
    this.at++;
  }

  /** True when the dictionary has no more fields; it is closed then. */
  closeDict(): boolean {
    if (this.#peek() !== END) return false;
    this.#depth++;
    this.at++;
    return true;
  }

  /** All bytes were read. */
  end(): void {
    if (this.at !== this.bytes.length) throw bad('bytes follow the value', this.at);
  }

  value(): BValue {
    const stack: Container[] = [];
    for (;;) {
      const value = this.#advance(stack, Number.POSITIVE_INFINITY);
      if (value !== undefined) return value;
    }
  }

  *steps(): Steps<BValue> {
    const stack: Container[] = [];
    for (;;) {
      const value = this.#advance(stack, STEP);
      if (value !== undefined) return value;
      yield;
    }
  }

  /** The value whose open containers are in the stack; undefined after so many tokens. Iterative, so that no input can exhaust the stack. */
  #advance(stack: Container[], tokens: number): BValue | undefined {
    for (let left = tokens; left > 0; left--) {
      const parent = stack.at(-1);
      let value: BValue;
      if (parent && this.#peek() === END) {
        if (parent.kind === 'dict' && parent.key !== undefined) throw bad('a key without a value', this.at);
        this.at++;
        stack.pop();
        value = parent.kind === 'list' ? parent.items : parent.fields;
      } else if (parent?.kind === 'dict' && parent.key === undefined) {
        parent.key = this.key(parent.last);
        continue;
      } else {
        const opened = this.#open();
        if (opened) {
          if (stack.length >= this.#depth) throw tooDeep(this.at);
          stack.push(opened);
          continue;
        }
        value = this.#peek() === INTEGER ? this.#integer() : this.#string();
      }
      const owner = stack.at(-1);
      if (!owner) return value;
      if (owner.kind === 'list') {
        owner.items.push(value);
      } else if (owner.key !== undefined) {
        owner.fields.set(owner.key, value);
        owner.last = owner.key;
        owner.key = undefined;
      }
    }
    return undefined;
  }

  #peek(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw bad('it ends too early', this.at);
    return byte;
  }

  #token(): void {
    if (--this.#tokensLeft < 0) throw bad('too many values', this.at);
  }

  #open(): Container | undefined {
    const byte = this.#peek();
    if (byte !== LIST && byte !== DICT) return undefined;
    this.#token();
    this.at++;
    return byte === LIST
      ? { kind: 'list', items: [] }
      : { kind: 'dict', fields: new Map(), key: undefined, last: undefined };
  }

  /** The key that is next, after `last` in the same dictionary. */
  key(last: string | undefined): string {
    const start = this.at;
    const end = this.#stringEnd();
    const key = this.bytes.toString('latin1', this.at, end);
    this.at = end;
    if (last !== undefined && key <= last) throw bad('keys out of order', start);
    return key;
  }

  #string(): Buffer {
    const end = this.#stringEnd();
    const text = this.bytes.subarray(this.at, end);
    this.at = end;
    return text;
  }

  /** Reads the length of a string; where the string ends. */
  #stringEnd(): number {
    this.#token();
    const start = this.at;
    const length = this.#digits(COLON);
    if (length > this.bytes.length - this.at) throw bad('a string is longer than the input', start);
    return this.at + length;
  }

  #integer(): number {
    this.#token();
    const start = this.at++;
    const negative = this.#peek() === MINUS;
    if (negative) this.at++;
    const size = this.#digits(END);
    if (negative && size === 0) throw bad('negative zero', start);
    if (!Number.isSafeInteger(size)) throw bad('an integer out of range', start);
    return negative ? -size : size;
  }

  /** A canonical unsigned number and the byte that ends it. Inexact beyond the safe range, which callers refuse. */
  #digits(terminator: number): number {
    const start = this.at;
    let number = 0;
    for (;;) {
      const byte = this.#peek();
      if (byte === terminator && this.at > start) break;
      if (byte < ZERO || byte > NINE) throw bad('expected a number, string, list or dictionary', this.at);
      number = number * 10 + (byte - ZERO);
      this.at++;
    }
    if (this.at - start > 1 && this.bytes[start] === ZERO) throw bad('a leading zero', start);
    this.at++;
    return number;
  }
}
