/**
 * Bencoding (BEP 3), read strictly: one value has one encoding. Keys sorted and unique, integers and lengths without
 * leading zeros, nothing after the value. So `encode(decode(x))` is `x`, and nobody can give one thing two hashes.
 */
import { isUtf8 } from 'node:buffer';
import { PeerwireError } from '../common/errors.ts';
import { type BencodeLimits, BencodeReader } from './bencode-reader.ts';

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
