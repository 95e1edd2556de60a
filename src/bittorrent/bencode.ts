/**
 * Bencoding (BEP 3), read strictly: one value has one encoding. Keys sorted and unique, integers and lengths without
 * leading zeros, nothing after the value. So `encode(decode(x))` is `x`, and nobody can give one thing two hashes.
 */
import { isUtf8 } from 'node:buffer';
import { asBuffer } from '../common/as-buffer.ts';
import { PeerwireError } from '../common/errors.ts';
import type { Steps } from '../common/turns.ts';

/** A decoded value. Buffers are views of the decoded bytes. */
export type BValue = number | Buffer | BValue[] | BDict;
/** Keys are raw bytes as latin1 text, in their order. */
export type BDict = Map<string, BValue>;

/** What can be encoded. Text becomes UTF-8; keys of a Map are latin1, those of an object ASCII; undefined fields are left out. */
export type Encodable =
  | number
  | string
  | Uint8Array
  | readonly Encodable[]
  | ReadonlyMap<string, Encodable>
  | { readonly [key: string]: Encodable | undefined };

export interface BencodeLimits {
  /** Lists and dictionaries inside one another. */
  readonly depth?: number;
  /** Integers, strings (keys too), lists and dictionaries in all: bounds memory by more than the length does. */
  readonly tokens?: number;
}

const DEFAULT_DEPTH = 32;
const DEFAULT_TOKENS = 1_000_000;

/** Throws 'bad-encoding' when the value holds something that has no encoding, such as a fraction. */
export function encode(value: Encodable): Buffer {
  const writer = new Writer();
  write(writer, value);
  return writer.finish();
}

/** Decodes exactly one value. Throws 'bad-encoding'. */
export function decode(bytes: Uint8Array, limits?: BencodeLimits): BValue {
  const reader = new BencodeReader(bytes, limits);
  const value = reader.value();
  reader.end();
  return value;
}

/** Decodes the value at the start; other bytes may follow it (BEP 9 puts a block there). Throws 'bad-encoding'. */
export function decodePrefix(bytes: Uint8Array, limits?: BencodeLimits): { value: BValue; end: number } {
  const reader = new BencodeReader(bytes, limits);
  const value = reader.value();
  return { value, end: reader.at };
}

/** The exact bytes of one field of a dictionary, such as `info` of a torrent. Throws 'bad-encoding'. */
export function rawField(bytes: Uint8Array, key: string, limits?: BencodeLimits): Buffer | undefined {
  const reader = new BencodeReader(bytes, limits);
  reader.openDict();
  for (let last: string | undefined; !reader.closeDict(); ) {
    last = reader.key(last);
    const start = reader.at;
    reader.value();
    if (last === key) return reader.bytes.subarray(start, reader.at);
  }
  return undefined;
}

export function dictOf(value: BValue | undefined): BDict {
  if (!(value instanceof Map)) throw wrongType('a dictionary', value);
  return value;
}

export function listOf(value: BValue | undefined): BValue[] {
  if (!Array.isArray(value)) throw wrongType('a list', value);
  return value;
}

export function intOf(value: BValue | undefined, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number') throw wrongType('an integer', value);
  if (value < min || value > max) {
    throw new PeerwireError('bad-encoding', `Expected an integer from ${min} to ${max}, found ${value}.`);
  }
  return value;
}

/** `length`: the exact number of bytes. */
export function bytesOf(value: BValue | undefined, length?: number): Buffer {
  if (!Buffer.isBuffer(value)) throw wrongType('a string', value);
  if (length !== undefined && value.length !== length) {
    throw new PeerwireError('bad-encoding', `Expected ${length} bytes, found ${value.length}.`);
  }
  return value;
}

/** Strict UTF-8 of at most `maxBytes`. */
export function textOf(value: BValue | undefined, maxBytes = Number.POSITIVE_INFINITY): string {
  const bytes = bytesOf(value);
  if (bytes.length > maxBytes) {
    throw new PeerwireError('bad-encoding', `Expected at most ${maxBytes} bytes of text, found ${bytes.length}.`);
  }
  if (!isUtf8(bytes)) throw new PeerwireError('bad-encoding', 'Expected UTF-8 text.');
  return bytes.toString('utf8');
}

/** An optional field: undefined when absent. With a reader, its errors name the field: `field(d, 'port', portOf)`. */
export function field(dict: BDict, key: string): BValue | undefined;
export function field<T>(dict: BDict, key: string, read: (value: BValue) => T): T | undefined;
export function field<T>(dict: BDict, key: string, read?: (value: BValue) => T): T | BValue | undefined {
  const value = dict.get(key);
  if (value === undefined || read === undefined) return value;
  try {
    return read(value);
  } catch (error) {
    if (!(error instanceof PeerwireError)) throw error;
    throw new PeerwireError(error.code, `${key}: ${error.message}`, { cause: error });
  }
}

function wrongType(expected: string, value: BValue | undefined): PeerwireError {
  const found =
    value === undefined
      ? 'nothing'
      : typeof value === 'number'
        ? 'an integer'
        : Buffer.isBuffer(value)
          ? 'a string'
          : Array.isArray(value)
            ? 'a list'
            : 'a dictionary';
  return new PeerwireError('bad-encoding', `Expected ${expected}, found ${found}.`);
}

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
export interface BencodePlace {
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
    if (this.#peek() !== DICT) throw wrongType('a dictionary', this.value());
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

/** Appends to a buffer that grows by doubling. */
class Writer {
  #buffer = Buffer.allocUnsafe(256);
  #used = 0;

  /** ASCII or latin1 text. */
  text(text: string): void {
    this.#reserve(text.length);
    this.#used += this.#buffer.write(text, this.#used, 'latin1');
  }

  bytes(bytes: Uint8Array): void {
    this.text(`${bytes.length}:`);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  finish(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#used));
  }

  #reserve(count: number): void {
    const needed = this.#used + count;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = grown;
  }
}

function isList(value: Encodable): value is readonly Encodable[] {
  return Array.isArray(value);
}

function isMap(value: Encodable): value is ReadonlyMap<string, Encodable> {
  return value instanceof Map;
}

function write(writer: Writer, value: Encodable): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new PeerwireError('bad-encoding', `${value} cannot be bencoded.`);
    writer.text(`i${value}e`);
  } else if (typeof value === 'string') {
    writer.bytes(Buffer.from(value));
  } else if (value instanceof Uint8Array) {
    writer.bytes(value);
  } else if (isList(value)) {
    writer.text('l');
    for (const item of value) write(writer, item);
    writer.text('e');
  } else {
    writeFields(writer, isMap(value) ? [...value] : Object.entries(value));
  }
}

const LATIN1 = /^[\0-\xff]*$/;

function writeFields(writer: Writer, fields: [string, Encodable | undefined][]): void {
  // Keys hold one character per byte, so this is the byte order that BEP 3 asks for.
  fields.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  writer.text('d');
  for (const [key, value] of fields) {
    if (value === undefined) continue;
    if (!LATIN1.test(key)) throw new PeerwireError('bad-encoding', 'Keys are bytes written as latin1 text.');
    writer.text(`${key.length}:${key}`);
    write(writer, value);
  }
  writer.text('e');
}
