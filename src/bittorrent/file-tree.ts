/** The `file tree` of BEP 52: dictionaries of names in byte order, a file being a dictionary whose only key is empty. */
import { isUtf8 } from 'node:buffer';
import { PeerwireError } from '../common/errors.ts';
import type { Steps } from '../common/turns.ts';
import { type BDict, type BValue, bytesOf, dictOf, field, intOf } from './bencode.ts';
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

/** Files in the order of the tree. Names are decoded, not judged: that is `checkTree`'s. Throws 'bad-metainfo' and others. */
export function* readFileTree(tree: BDict): Steps<TreeFile[]> {
  const files: TreeFile[] = [];
  if (tree.has('')) throw new PeerwireError('bad-metainfo', 'The root of the file tree is a file.');
  const open = [openFolder(tree, [])];
  while (open.length > 0) {
    readOn(open, files, files.length + STEP);
    yield;
  }
  return files;
}

/** A folder whose entries are being read. */
interface OpenFolder {
  readonly path: readonly string[];
  readonly entries: Iterator<[string, BValue]>;
}

function openFolder(folder: BDict, path: readonly string[]): OpenFolder {
  if (folder.size === 0) throw new PeerwireError('bad-metainfo', 'The file tree has an empty folder.');
  return { path, entries: folder.entries() };
}

/** Reads on where the innermost of the open folders is, until there are so many files. No generator: those are slow. */
function readOn(open: OpenFolder[], files: TreeFile[], most: number): void {
  while (files.length < most) {
    const folder = open.at(-1);
    if (!folder) return;
    const next = folder.entries.next();
    if (next.done) {
      open.pop();
      continue;
    }
    const [key, value] = next.value;
    const path = [...folder.path, nameFromKey(key)];
    const entry = dictOf(value);
    const properties = entry.get('');
    if (properties === undefined) {
      open.push(openFolder(entry, path));
    } else {
      if (entry.size > 1) throw new PeerwireError('bad-metainfo', 'An entry of the file tree is both file and folder.');
      files.push(readFile(dictOf(properties), path));
    }
  }
}

function readFile(properties: BDict, path: readonly string[]): TreeFile {
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
  if (length > 0 && (!root || root.equals(padHash(0)))) {
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
    const bytes = this.#bytes;
    let at = this.#at;
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
      if (root) {
        at += bytes.write(`${text}11:pieces root${HASH_SIZE}:`, at, 'latin1');
        at += root.copy(bytes, at);
        text = '';
      }
      text += 'ee';
    }
    this.#at = at;
    this.#open = open;
    this.#text = text;
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
