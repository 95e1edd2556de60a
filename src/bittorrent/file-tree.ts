/** The `file tree` of BEP 52: dictionaries of names in byte order, a file being a dictionary whose only key is empty. */
import { isUtf8 } from 'node:buffer';
import { PeerwireError } from '../common/errors.ts';
import type { Steps } from '../common/turns.ts';
import { type BDict, bytesOf, dictOf, field, intOf } from './bencode.ts';
import type { BencodeReader } from './bencode-reader.ts';
import { HASH_SIZE, padHash } from './merkle.ts';

export interface TreeFile {
  readonly path: readonly string[];
  /** Bytes. */
  readonly length: number;
  /** Merkle root; undefined exactly for empty files. */
  readonly root: Buffer | undefined;
}

/** Files of a step: a fraction of a millisecond. */
export const STEP = 256;

/**
 * Files in the order of the tree, which the reader has next. Names are decoded, not judged: that is `checkTree`'s. Throws
 * 'bad-metainfo' and others.
 */
export function* readFileTree(reader: BencodeReader): Steps<TreeFile[]> {
  const files: TreeFile[] = [];
  const open = [openFolder(reader, [])];
  while (open.length > 0) {
    readOn(reader, open, files, files.length + STEP);
    yield;
  }
  return files;
}

/** A folder whose entries are being read. */
interface OpenFolder {
  readonly path: readonly string[];
  last: string | undefined;
}

function openFolder(reader: BencodeReader, path: readonly string[]): OpenFolder {
  reader.openDict();
  if (reader.closeDict()) throw new PeerwireError('bad-metainfo', 'The file tree has an empty folder.');
  return { path, last: undefined };
}

/** Reads on where the innermost of the open folders is, until there are so many files. No generator: those are slow. */
function readOn(reader: BencodeReader, open: OpenFolder[], files: TreeFile[], most: number): void {
  while (files.length < most) {
    const folder = open.at(-1);
    if (!folder) return;
    if (reader.closeDict()) {
      open.pop();
      continue;
    }
    folder.last = reader.key(folder.last);
    if (folder.last === '') throw new PeerwireError('bad-metainfo', 'The root of the file tree is a file.');
    const path = [...folder.path, nameFromKey(folder.last)];
    if (startsWith(reader, FILE)) files.push(readUsualFile(reader, path) ?? readFile(reader, path));
    else open.push(openFolder(reader, path));
  }
}

/** How an entry begins that is a file: with an empty key. */
const FILE = Buffer.from('d0:');
/** A file with nothing but length and root, as nearly all are, before the length, between it and the root, and after that. */
const LENGTH = Buffer.from('d0:d6:lengthi');
const ROOT = Buffer.from(`e11:pieces root${HASH_SIZE}:`);
const FILE_END = Buffer.from('ee');
const USUAL_TOKENS = 7;
/** Digits of a safe integer at most. */
const MOST_DIGITS = 15;
const ZERO = 0x30;

function startsWith({ bytes, at }: BencodeReader, expected: Buffer): boolean {
  return hasAt(bytes, at, expected);
}

function hasAt(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return false;
  return true;
}

/** Recognizes a usual file by its bytes, which makes no values that are not kept; undefined when it is not one. */
function readUsualFile(reader: BencodeReader, path: readonly string[]): TreeFile | undefined {
  const { bytes } = reader;
  if (!hasAt(bytes, reader.at, LENGTH)) return undefined;
  const digits = reader.at + LENGTH.length;
  let at = digits;
  let length = 0;
  for (; at - digits < MOST_DIGITS; at++) {
    const digit = (bytes[at] ?? 0) - ZERO;
    if (!(digit >= 0 && digit <= 9)) break;
    length = length * 10 + digit;
  }
  // One that has a root is not empty.
  if (bytes[digits] === ZERO || !hasAt(bytes, at, ROOT)) return undefined;
  const start = at + ROOT.length;
  const end = start + HASH_SIZE;
  if (!hasAt(bytes, end, FILE_END)) return undefined;
  reader.skip(end + FILE_END.length, USUAL_TOKENS);
  const root = bytes.subarray(start, end);
  checkFile(length, root);
  return { path, length, root };
}

/** Any file. */
function readFile(reader: BencodeReader, path: readonly string[]): TreeFile {
  const entry = dictOf(reader.value());
  if (entry.size > 1) throw new PeerwireError('bad-metainfo', 'An entry of the file tree is both file and folder.');
  return fileOf(dictOf(entry.get('')), path);
}

function fileOf(properties: BDict, path: readonly string[]): TreeFile {
  const attributes = field(properties, 'attr', (value) => bytesOf(value).toString('latin1')) ?? '';
  if (attributes.includes('l') || properties.has('symlink path')) {
    throw new PeerwireError('bad-metainfo', 'The file tree has a symbolic link; those are not accepted.');
  }
  if (attributes.includes('p')) throw new PeerwireError('bad-metainfo', 'The file tree has a padding file.');
  const length = intOf(properties.get('length'), 0);
  const root = field(properties, 'pieces root', (value) => bytesOf(value, HASH_SIZE));
  checkFile(length, root);
  return { path, length, root };
}

/** Throws 'bad-metainfo' unless a file of this length (bytes) may have this root. */
export function checkFile(length: number, root: Buffer | undefined): void {
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new PeerwireError('bad-metainfo', `A file cannot have ${length} bytes.`);
  }
  if (root && root.length !== HASH_SIZE) throw new PeerwireError('bad-metainfo', 'A merkle root has 32 bytes.');
  if (length === 0 && root) throw new PeerwireError('bad-metainfo', 'An empty file has a merkle root.');
  if (length > 0 && (!root || (root[0] === 0 && root.equals(padHash(0))))) {
    throw new PeerwireError('bad-metainfo', 'A file has no merkle root.');
  }
}

/** Bytes of a file besides its name, its root and the digits of its length. */
const FILE_OVERHEAD = 64;
/** Bytes of a component besides its name: the digits of its length, a colon, two delimiters. */
const COMPONENT_OVERHEAD = 8;

/** The inverse of `readFileTree`, for files that passed `checkFile`, in the order of the tree, with paths that passed `checkTree`. */
export function* encodeFileTree(files: readonly TreeFile[]): Steps<Buffer> {
  const encoder = new TreeEncoder(files);
  for (let start = 0; start < files.length; start += STEP) {
    encoder.add(files.slice(start, start + STEP));
    yield;
  }
  return encoder.finish();
}

class TreeEncoder {
  readonly #bytes: Buffer;
  #at = 0;
  /** The folders that are open, from the root on. */
  #open: readonly string[] = [];
  /** To be written before the next bytes. */
  #text = 'd';

  constructor(files: readonly TreeFile[]) {
    let most = 2;
    for (const { path } of files) {
      most += FILE_OVERHEAD + HASH_SIZE;
      for (const name of path) most += MAX_UTF8 * name.length + COMPONENT_OVERHEAD;
    }
    this.#bytes = Buffer.allocUnsafe(most);
  }

  add(files: readonly TreeFile[]): void {
    let open = this.#open;
    let text = this.#text;
    for (const { path, length, root } of files) {
      const depth = path.length - 1;
      let shared = 0;
      while (shared < open.length && shared < depth && open[shared] === path[shared]) shared++;
      if (shared < open.length || shared < depth) {
        const folders = path.slice(0, -1);
        text += 'e'.repeat(open.length - shared);
        for (const name of folders.slice(shared)) text += `${keyText(name)}d`;
        open = folders;
      }
      text += `${keyText(path[depth] ?? '')}d0:d6:lengthi${length}e`;
      // As text, so that all of it is written at once.
      text += root ? `11:pieces root${HASH_SIZE}:${root.toString('latin1')}ee` : 'ee';
    }
    this.#at += this.#bytes.write(text, this.#at, 'latin1');
    this.#open = open;
    this.#text = '';
  }

  finish(): Buffer {
    const at = this.#at + this.#bytes.write(`${this.#text}${'e'.repeat(this.#open.length)}e`, this.#at, 'latin1');
    return Buffer.from(this.#bytes.subarray(0, at));
  }
}

/** Bytes that a UTF-16 code unit becomes at most. */
const MAX_UTF8 = 3;

function keyText(name: string): string {
  const key = keyOfName(name);
  return `${key.length}:${key}`;
}

/** Orders paths as a file tree does: component by component, by bytes of UTF-8. */
export function compareTreePaths(a: readonly string[], b: readonly string[]): number {
  const shared = Math.min(a.length, b.length);
  for (let depth = 0; depth < shared; depth++) {
    const left = a[depth] ?? '';
    const right = b[depth] ?? '';
    if (left === right) continue;
    return keyOfName(left) < keyOfName(right) ? -1 : 1;
  }
  return a.length - b.length;
}

const ASCII = /^[\0-\x7f]*$/;

function keyOfName(name: string): string {
  return ASCII.test(name) ? name : Buffer.from(name).toString('latin1');
}

function nameFromKey(key: string): string {
  if (ASCII.test(key)) return key;
  const bytes = Buffer.from(key, 'latin1');
  if (!isUtf8(bytes)) throw new PeerwireError('unsafe-path', 'A name in the file tree is not valid Unicode.');
  return bytes.toString('utf8');
}
