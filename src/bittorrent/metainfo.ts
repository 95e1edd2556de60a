/**
 * Torrent metadata, version 2 only (BEP 52). An `Info` is only made by `parseInfo` and `createInfo`, so whoever holds one may trust it:
 * names are safe, sizes add up, files are in tree order and start on piece boundaries.
 */
import { PeerwireError } from '../common/errors.ts';
import { type InfoHash, infoHashFromBytes } from '../common/ids.ts';
import { atOnce, inTurns, type Steps } from '../common/turns.ts';
import { type BDict, bytesOf, decode, dictOf, encode, intOf, rawField, textOf } from './bencode.ts';
import { BencodeReader } from './bencode-reader.ts';
import { checkFile, compareTreePaths, encodeFileTree, readFileTree, STEP, type TreeFile } from './file-tree.ts';
import { BLOCK_SIZE, HASH_SIZE, pieceLayerRoot, sha256 } from './merkle.ts';
import { checkComponent, checkTreeSteps, MAX_PATH_DEPTH } from './safe-path.ts';

/** Bytes of an info dictionary: some 100,000 files. */
export const MAX_INFO_SIZE = 16 * 1024 * 1024;
/** Bytes of a piece. BEP 52 sets no limit; a piece in progress lies in memory. */
export const MAX_PIECE_LENGTH = 16 * 1024 * 1024;
/** Pieces of a torrent, libtorrent's limit: a bitfield of 256 KiB. */
export const MAX_PIECES = 2_097_152;

const MAX_TORRENT_SIZE = MAX_INFO_SIZE + MAX_PIECES * HASH_SIZE + 1024 * 1024;
/** A file is two dictionaries, each inside its folder; the tree lies in `info`, that in the torrent. */
const LIMITS = { depth: MAX_PATH_DEPTH + 4, tokens: 1_000_000 };

/**
 * Tells a folder that holds one file of its own name from that file alone. BEP 52 writes both alike; this key of ours in
 * `info` is set for the former only.
 */
const FOLDER_KEY = 'peerwire folder';
const TREE_KEY = 'file tree';

export interface FileEntry {
  /** Relative to the torrent; of a single file exactly its name. */
  readonly path: readonly string[];
  /** Bytes. */
  readonly length: number;
  /** Merkle root; undefined exactly for empty files. */
  readonly root: Buffer | undefined;
  /** Where its pieces begin in the torrent. */
  readonly firstPiece: number;
  /** 0 for empty files. */
  readonly pieceCount: number;
}

export interface Info {
  readonly name: string;
  /** Bytes; a power of two of at least 16 KiB. */
  readonly pieceLength: number;
  readonly files: readonly FileEntry[];
  /** Bytes of all files together. */
  readonly size: number;
  readonly pieceCount: number;
  /** The torrent is one file and not a folder. */
  readonly single: boolean;
  readonly infoHash: InfoHash;
  /** The raw dictionary that the infohash covers. */
  readonly bytes: Buffer;
}

/** Throws 'bad-metainfo' or, for what names could do, 'unsafe-path'. Unknown keys are allowed. */
export function parseInfo(bytes: Uint8Array): Info {
  return atOnce(infoSteps(bytes));
}

/** The same without holding up the thread: of many files it takes long. */
export function parseInfoInTurns(bytes: Uint8Array): Promise<Info> {
  return inTurns(infoSteps(bytes));
}

function* infoSteps(bytes: Uint8Array): Steps<Info> {
  if (bytes.length > MAX_INFO_SIZE) {
    throw new PeerwireError('bad-metainfo', `The metadata is larger than ${MAX_INFO_SIZE} bytes.`);
  }
  // A copy, since roots are views of it and callers reuse their memory.
  const own = Buffer.from(bytes);
  try {
    return yield* readInfo(yield* decodeInfo(own), own);
  } catch (error) {
    throw explained(error);
  }
}

/** An `info` dictionary as it is written. */
interface DecodedInfo {
  /** But for the file tree. */
  readonly fields: BDict;
  /** The files of the tree, or what is wrong with it. */
  readonly tree: TreeFile[] | { readonly problem: unknown };
}

/** Reads the tree of many files as it goes: maps of all that is in it would take longer than the rest. */
function* decodeInfo(bytes: Buffer): Steps<DecodedInfo> {
  const reader = new BencodeReader(bytes, LIMITS);
  const fields: BDict = new Map();
  let tree: DecodedInfo['tree'] = {
    problem: new PeerwireError('bad-metainfo', 'The torrent is malformed: it has no file tree.'),
  };
  reader.openDict();
  for (let key: string | undefined; !reader.closeDict(); ) {
    key = reader.key(key);
    if (key === TREE_KEY) tree = yield* decodeTree(reader);
    else fields.set(key, reader.value());
  }
  reader.end();
  return { fields, tree };
}

function* decodeTree(reader: BencodeReader): Steps<DecodedInfo['tree']> {
  const { place } = reader;
  try {
    return yield* readFileTree(reader);
  } catch (problem) {
    // Told last: what is malformed, or of another version, is not a tree that is wrong.
    reader.goBack(place);
    yield* reader.steps();
    return { problem };
  }
}

function* readInfo({ fields: info, tree }: DecodedInfo, bytes: Buffer): Steps<Info> {
  // BEP 52: look at the version first, the rest may mean something else.
  if (info.get('meta version') !== 2) throw new PeerwireError('bad-metainfo', 'The torrent is not of version 2.');
  if (info.has('pieces') || info.has('files') || info.has('length')) {
    throw new PeerwireError('bad-metainfo', 'The torrent is a hybrid of versions 1 and 2; only version 2 is accepted.');
  }
  const pieceLength = intOf(info.get('piece length'));
  const name = textOf(info.get('name'));
  if ('problem' in tree) throw tree.problem;
  yield* checkTreeSteps(tree.map(({ path }) => path));
  return yield* makeInfo(name, pieceLength, tree, info.has(FOLDER_KEY), bytes);
}

/** `tree` in the order of the file tree, of files that passed `checkFile` with paths that passed `checkTree`. Throws like `parseInfo`. */
function* makeInfo(
  name: string,
  pieceLength: number,
  tree: readonly TreeFile[],
  folder: boolean,
  bytes: Buffer,
): Steps<Info> {
  if (pieceLength < BLOCK_SIZE || pieceLength > MAX_PIECE_LENGTH || !Number.isInteger(Math.log2(pieceLength))) {
    throw new PeerwireError(
      'bad-metainfo',
      `The piece length ${pieceLength} is not a power of two from 16 KiB to 16 MiB.`,
    );
  }
  checkComponent(name);

  const placed = new PlacedFiles(pieceLength);
  for (let start = 0; start < tree.length; start += STEP) {
    placed.add(tree, start, Math.min(start + STEP, tree.length));
    yield;
  }
  const { files, size, pieceCount } = placed;
  const [first] = files;
  const single = files.length === 1 && first?.path.length === 1 && first.path[0] === name && !folder;
  return { name, pieceLength, files, size, pieceCount, single, infoHash: infoHashFromBytes(sha256(bytes)), bytes };
}

/** Gives files their pieces, one after another. */
class PlacedFiles {
  readonly files: FileEntry[] = [];
  size = 0;
  pieceCount = 0;
  readonly #pieceLength: number;
  readonly #lengths = new LengthsByRoot();

  constructor(pieceLength: number) {
    this.#pieceLength = pieceLength;
  }

  /** The files from `start` to before `end`. */
  add(tree: readonly TreeFile[], start: number, end: number): void {
    for (let index = start; index < end; index++) {
      const file = tree[index];
      if (file) this.#add(file);
    }
  }

  #add({ path, length, root }: TreeFile): void {
    // Leaves and inner nodes are hashed alike: a file of 64 bytes can have the root of one of 32 KiB, if made to.
    if (root && this.#lengths.put(root, length) !== length)
      throw new PeerwireError('bad-metainfo', 'Two files of different lengths have the same merkle root.');
    const pieces = Math.ceil(length / this.#pieceLength);
    this.files.push({ path, length, root, firstPiece: this.pieceCount, pieceCount: pieces });
    this.size += length;
    this.pieceCount += pieces;
    if (this.pieceCount > MAX_PIECES)
      throw new PeerwireError('bad-metainfo', `The torrent has over ${MAX_PIECES} pieces.`);
  }
}

/** The length that each root was first put with. By the beginning of the root, since text of all of it would cost most of the work. */
class LengthsByRoot {
  readonly #byStart = new Map<number, { readonly root: Buffer; readonly length: number }>();
  /** Of those that begin like another, which chance makes rare and a stranger may make common. */
  readonly #others = new Map<string, number>();

  /** Puts it, unless the root is known already; returns its length. */
  put(root: Buffer, length: number): number {
    const start = root.readInt32LE();
    const first = this.#byStart.get(start);
    if (!first) {
      this.#byStart.set(start, { root, length });
      return length;
    }
    if (first.root.equals(root)) return first.length;
    const key = root.toString('latin1');
    const known = this.#others.get(key);
    if (known === undefined) this.#others.set(key, length);
    return known ?? length;
  }
}

export interface NewFile {
  readonly path: readonly string[];
  /** Bytes. */
  readonly length: number;
  /** Required unless the file is empty. Kept, not copied: it must not change any more. */
  readonly root: Buffer | undefined;
}

export interface NewInfo {
  readonly name: string;
  readonly pieceLength: number;
  /** In any order; `compareTreePaths` gives that of the result. */
  readonly files: readonly NewFile[];
  /** One file whose path is the name, and not a folder. */
  readonly single: boolean;
  readonly private?: boolean;
  /** The paths passed `checkTree` already: those of a walk have. */
  readonly checked?: boolean;
}

/** Bytes of metadata that are within all limits: two tokens take five bytes at least. */
const SURELY_DECODED = 2_000_000;

/** Throws like `parseInfo`, which would make the same of the result's bytes. */
export function createInfo(options: NewInfo): Info {
  return atOnce(newInfoSteps(options));
}

/** The same without holding up the thread. */
export function createInfoInTurns(options: NewInfo): Promise<Info> {
  return inTurns(newInfoSteps(options));
}

function* newInfoSteps(options: NewInfo): Steps<Info> {
  const { name, pieceLength, single } = options;
  const files: TreeFile[] = [...options.files];
  for (const [index, { length, root }] of files.entries()) {
    checkFile(length, root);
    if (index % STEP === 0) yield;
  }
  // First of all: what is not a tree has no order.
  if (options.checked !== true) yield* checkTreeSteps(files.map(({ path }) => path));
  if (files.length === 0) throw new PeerwireError('bad-metainfo', 'The file tree has an empty folder.');
  files.sort((a, b) => compareTreePaths(a.path, b.path));
  yield;
  const lonely = files.length === 1 && files[0]?.path.length === 1 && files[0].path[0] === name;
  if (single && !lonely) throw new PeerwireError('bad-metainfo', 'A single-file torrent has one file of its own name.');
  const folder = lonely && !single;
  // Put together by hand, in the order of the keys: the tree may be long.
  const parts: Uint8Array[] = [Buffer.from('d')];
  const add = (key: string, value: Uint8Array): void => void parts.push(encode(key), value);
  add(TREE_KEY, yield* encodeFileTree(files));
  add('meta version', encode(2));
  add('name', encode(name));
  if (folder) add(FOLDER_KEY, encode(1));
  add('piece length', encode(pieceLength));
  if (options.private) add('private', encode(1));
  const bytes = Buffer.concat([...parts, Buffer.from('e')]);
  // Close to the limits of decoding, only decoding tells whether others will accept it.
  if (bytes.length > SURELY_DECODED) return yield* infoSteps(bytes);
  return yield* makeInfo(name, pieceLength, files, folder, bytes);
}

const MIN_CHOSEN_LENGTH = 64 * 1024;
const MAX_CHOSEN_LENGTH = 4 * 1024 * 1024;
/** Each piece costs about as much as the hash of 200 KiB: up to here that is felt in any content… */
const CHEAP_LENGTH = 512 * 1024;
/** …and up to here in large content (measured with 1 GiB: 7 % less processor time than with half that length, 4 MiB no better). */
const FAST_LENGTH = 2 * 1024 * 1024;
/** Enough for many sources, each of which has some and not others. */
const ENOUGH_PIECES = 250;
const ENOUGH_LARGE_PIECES = 512;
/** So that their hashes stay small. */
const MOST_PIECES = 2000;

/**
 * A piece length for this many bytes, within 64 KiB and 4 MiB: 125 to 250 pieces up to 125 MiB, 250 to 512 up to 1 GiB, then as
 * many as 2000.
 */
export function choosePieceLength(totalSize: number): number {
  let length = MIN_CHOSEN_LENGTH;
  while (length < MAX_CHOSEN_LENGTH && totalSize / length > mostPieces(length)) length *= 2;
  return length;
}

function mostPieces(length: number): number {
  if (length < CHEAP_LENGTH) return ENOUGH_PIECES;
  return length < FAST_LENGTH ? ENOUGH_LARGE_PIECES : MOST_PIECES;
}

export interface PieceLocation {
  readonly file: FileEntry;
  readonly fileIndex: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** Bytes; the last piece of a file may be short. */
  readonly length: number;
}

/** Throws 'internal' when there is no such file. */
export function fileAt(info: Info, index: number): FileEntry {
  const file = info.files[index];
  if (!file) throw new PeerwireError('internal', `There is no file ${index} in this version.`);
  return file;
}

/** The file that a piece belongs to, in O(log n). Throws RangeError when there is no such piece. */
export function pieceAt(info: Info, index: number): PieceLocation {
  let low = 0;
  let high = info.files.length;
  // Many small files: a piece each.
  const guess = info.files[index];
  if (guess?.firstPiece === index && guess.pieceCount > 0) {
    low = index;
    high = index + 1;
  }
  // The last file that begins at or before the piece; empty files begin where the next one does, so it is not empty.
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((info.files[middle]?.firstPiece ?? Number.POSITIVE_INFINITY) <= index) low = middle;
    else high = middle;
  }
  const file = info.files[low];
  if (!file || !Number.isInteger(index) || index < file.firstPiece || index >= file.firstPiece + file.pieceCount) {
    throw new RangeError(`No piece ${index} in a torrent of ${info.pieceCount}`);
  }
  const offset = (index - file.firstPiece) * info.pieceLength;
  return { file, fileIndex: low, offset, length: Math.min(info.pieceLength, file.length - offset) };
}

/** Piece layers by merkle root in hex, for each file larger than a piece: its piece hashes one after another. */
export type PieceLayers = ReadonlyMap<string, Buffer>;

/** Throws 'bad-metainfo' unless the layers are exactly those that the files need, and right. */
export function verifyPieceLayers(info: Info, layers: PieceLayers): void {
  const verified = new Set<string>();
  for (const { length, root, pieceCount } of info.files) {
    if (!root || length <= info.pieceLength) continue;
    const key = root.toString('hex');
    // Equal files share a layer, which need not be hashed again.
    if (verified.has(key)) continue;
    const layer = layers.get(key);
    if (!layer) throw new PeerwireError('bad-metainfo', 'The piece layer of a file is missing.');
    if (layer.length !== pieceCount * HASH_SIZE) {
      throw new PeerwireError('bad-metainfo', 'A piece layer does not fit the length of its file.');
    }
    if (!pieceLayerRoot(layer, info.pieceLength).equals(root)) {
      throw new PeerwireError('bad-metainfo', 'A piece layer does not match the merkle root of its file.');
    }
    verified.add(key);
  }
  if (verified.size !== layers.size)
    throw new PeerwireError('bad-metainfo', 'There is a piece layer that no file needs.');
}

/** The hash of a piece; undefined while its layer is not known. */
export function pieceHash(info: Info, layers: PieceLayers, index: number): Buffer | undefined {
  const { file } = pieceAt(info, index);
  if (!file.root || file.length <= info.pieceLength) return file.root;
  const at = (index - file.firstPiece) * HASH_SIZE;
  return layers.get(file.root.toString('hex'))?.subarray(at, at + HASH_SIZE);
}

/** A .torrent file. */
export function encodeTorrent(
  info: Info,
  layers: PieceLayers,
  options: { readonly trackers?: readonly string[] } = {},
): Buffer {
  verifyPieceLayers(info, layers);
  const { trackers = [] } = options;
  const pieceLayers = new Map([...layers].map(([root, layer]) => [Buffer.from(root, 'hex').toString('latin1'), layer]));
  // Put together by hand, in the order of the keys: the infohash covers `info` as it is.
  const parts: Uint8Array[] = [Buffer.from('d')];
  const add = (key: string, value: Uint8Array): void => void parts.push(encode(key), value);
  if (trackers[0] !== undefined) add('announce', encode(trackers[0]));
  if (trackers.length > 1) add('announce-list', encode(trackers.map((tracker) => [tracker])));
  add('info', info.bytes);
  add('piece layers', encode(pieceLayers));
  return Buffer.concat([...parts, Buffer.from('e')]);
}

/** Reads a .torrent file with its piece layers. Throws like `parseInfo` and `verifyPieceLayers`. */
export function decodeTorrent(bytes: Uint8Array): { info: Info; layers: PieceLayers } {
  try {
    if (bytes.length > MAX_TORRENT_SIZE) throw new PeerwireError('bad-metainfo', 'The torrent file is too large.');
    const torrent = dictOf(decode(bytes, LIMITS));
    const info = parseInfo(bytesOf(rawField(bytes, 'info', LIMITS)));
    const layers = new Map<string, Buffer>();
    // Absent layers are an error if a file needs one, which `verifyPieceLayers` tells.
    for (const [root, layer] of dictOf(torrent.get('piece layers') ?? new Map())) {
      layers.set(Buffer.from(root, 'latin1').toString('hex'), Buffer.from(bytesOf(layer)));
    }
    verifyPieceLayers(info, layers);
    return { info, layers };
  } catch (error) {
    throw explained(error);
  }
}

/** Everything malformed is bad metadata here; only unsafe names keep a code of their own. */
function explained(error: unknown): unknown {
  if (!(error instanceof PeerwireError) || error.code !== 'bad-encoding') return error;
  return new PeerwireError('bad-metainfo', `The torrent is malformed. ${error.message}`, { cause: error });
}
