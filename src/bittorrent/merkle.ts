/**
 * Merkle trees of BEP 52: leaves are SHA-256 of 16 KiB blocks (the last one short), missing leaves are 32 zero bytes,
 * and a tree is as wide as the next power of two of its leaves. Level 0 is the leaves. Hashes lie one after another in
 * one buffer; nodes past the end of a file are never stored, since `padHash` knows them.
 */
import * as crypto from 'node:crypto';

/** Bytes of content under one leaf. */
export const BLOCK_SIZE = 16384;
/** Bytes of a SHA-256 hash. */
export const HASH_SIZE = 32;
/** Hashes that one request may ask for, uncles not counted (libtorrent's limit): an answer of 256 KiB. */
const MAX_HASH_REQUEST = 8192;

/** A `hash request` (BEP 52, message 21). Numbers come from strangers: any unsigned 32-bit value. */
export interface HashRequest {
  /** Merkle root of the file. */
  readonly root: Buffer;
  /** Level of the hashes asked for. */
  readonly base: number;
  /** First hash in that level; a multiple of `length`. */
  readonly index: number;
  /** How many; a power of two of at least 2. */
  readonly length: number;
  /** Levels above `base` for which uncle hashes are wanted. */
  readonly proofLayers: number;
}

/**
 * SHA-256 as text of one character a byte. Text is much cheaper than a fresh Buffer for each inner node (by 1 µs), joined and
 * written a level at a time cheaper still (0.1 µs), and `crypto.hash` than `createHash` (Node 20.12 and later have it).
 */
export const sha256Text: (data: Uint8Array) => string =
  typeof crypto.hash === 'function'
    ? (data) => crypto.hash('sha256', data, 'binary')
    : (data) => crypto.createHash('sha256').update(data).digest('binary');

export function sha256(data: Uint8Array): Buffer {
  return Buffer.from(sha256Text(data), 'binary');
}

const pads: Buffer[] = [Buffer.alloc(HASH_SIZE)];

/** Root of a subtree of 2^`level` missing leaves. Do not write to it. */
export function padHash(level: number): Buffer {
  for (let known = pads.length; known <= level; known++) {
    const below = padHash(known - 1);
    pads.push(sha256(Buffer.concat([below, below])));
  }
  const pad = pads[level];
  if (pad === undefined) throw new RangeError(`No such level: ${level}`);
  return pad;
}

/**
 * Root of a subtree from its nodes at `level`. `width`: how many nodes that level has, a power of two; those not given
 * are padding.
 */
export function merkleRoot(nodes: Uint8Array, level: number, width: number): Buffer {
  const count = nodes.length / HASH_SIZE;
  if (!Number.isInteger(count) || !isPowerOfTwo(width) || count > width) {
    throw new RangeError(`${nodes.length} bytes are not the nodes of a tree ${width} wide`);
  }
  const top = level + Math.log2(width);
  if (count === 0) return Buffer.from(padHash(top));
  let current = nodes;
  for (let at = level; at < top; at++) current = parents(current, at);
  return Buffer.from(current);
}

/** The level above. The result is as short as the nodes given allow. */
function parents(nodes: Uint8Array, level: number): Buffer {
  const pairs = Math.floor(nodes.length / (2 * HASH_SIZE));
  const odd = nodes.length % (2 * HASH_SIZE) !== 0;
  let above = '';
  for (let pair = 0; pair < pairs; pair++) {
    const from = pair * 2 * HASH_SIZE;
    above += sha256Text(nodes.subarray(from, from + 2 * HASH_SIZE));
  }
  if (odd) above += sha256Text(Buffer.concat([nodes.subarray(pairs * 2 * HASH_SIZE), padHash(level)]));
  return Buffer.from(above, 'latin1');
}

/** Root of a file from all its leaf hashes: its `pieces root`. */
export function fileRoot(leaves: Uint8Array): Buffer {
  return merkleRoot(leaves, 0, nextPowerOfTwo(leaves.length / HASH_SIZE));
}

/** Root of a file from its piece layer. `pieceLength` in bytes, a power of two of at least 16 KiB. */
export function pieceLayerRoot(layer: Uint8Array, pieceLength: number): Buffer {
  return merkleRoot(layer, pieceLevel(pieceLength), nextPowerOfTwo(layer.length / HASH_SIZE));
}

/**
 * Hash of one piece from its leaves. A file of at most one piece is only as wide as its own blocks, every piece of a
 * larger one as wide as a full piece.
 */
export function pieceRoot(leaves: Uint8Array, pieceLength: number, fileBlocks: number): Buffer {
  const full = pieceLength / BLOCK_SIZE;
  return merkleRoot(leaves, 0, Math.min(full, nextPowerOfTwo(fileBlocks)));
}

/** Level of the piece layer. */
export function pieceLevel(pieceLength: number): number {
  return Math.log2(pieceLength / BLOCK_SIZE);
}

/** Number of blocks, and so of leaves, in this many bytes. */
export function blockCount(length: number): number {
  return Math.ceil(length / BLOCK_SIZE);
}

/** `proofLayers` of a request at level `base` whose answer is provable up to the root: one less than the levels above. */
export function proofLayersFor(fileBlocks: number, base: number): number {
  return Math.max(0, treeHeight(fileBlocks) - base - 1);
}

/**
 * Answers requests about one file from one level of its tree (in practice the piece layer) and leaves of single pieces.
 * Levels above are computed once, when first needed, so that a flood of requests costs copies and not hashes.
 */
export class HashTree {
  readonly #fileBlocks: number;
  /** Complete levels by number, from the one given upwards. */
  readonly #levels = new Map<number, Uint8Array>();
  readonly #level: number;

  /** `layer`: all nodes of the file at `level`, padding left out. */
  constructor(layer: Uint8Array, level: number, fileBlocks: number) {
    this.#fileBlocks = fileBlocks;
    this.#level = level;
    this.#levels.set(level, layer);
  }

  /** `length` hashes, then uncles from the bottom up. Undefined: reject the request. */
  hashes(request: HashRequest): Buffer | undefined {
    if (!isAnswerable(this.#fileBlocks, request) || request.base < this.#level) return undefined;
    return Buffer.concat(nodesAndUncles(request, request.base, uncleCount(request), (level) => this.#window(level)));
  }

  /**
   * The same for hashes below that level, from the leaves of one piece (a node of that level). Undefined: reject the
   * request, which may be because it reaches outside of the piece.
   */
  hashesInPiece(piece: number, leaves: Uint8Array, request: HashRequest): Buffer | undefined {
    const { base, index, length } = request;
    const width = 2 ** (this.#level - base);
    if (!isAnswerable(this.#fileBlocks, request) || base >= this.#level || length > width) return undefined;
    if (Math.floor(index / width) !== piece) return undefined;
    let nodes = leaves;
    for (let level = 0; level < base; level++) nodes = parents(nodes, level);
    let inside: Window = { nodes, first: piece * width, level: base };
    return Buffer.concat(
      nodesAndUncles(request, base, uncleCount(request), (level) => {
        if (level >= this.#level) return this.#window(level);
        while (inside.level < level) {
          inside = { nodes: parents(inside.nodes, inside.level), first: inside.first / 2, level: inside.level + 1 };
        }
        return inside;
      }),
    );
  }

  #window(level: number): Window {
    let nodes = this.#levels.get(level);
    if (nodes === undefined) {
      nodes = parents(this.#window(level - 1).nodes, level - 1);
      this.#levels.set(level, nodes);
    }
    return { nodes, first: 0, level };
  }
}

/** One answer without keeping a tree; see `HashTree.hashes`. `layer` must not lie above `request.base`. */
export function hashesFor(
  layer: Uint8Array,
  layerLevel: number,
  fileBlocks: number,
  request: HashRequest,
): Buffer | undefined {
  return new HashTree(layer, layerLevel, fileBlocks).hashes(request);
}

/** Nodes of one level, from number `first` on; later ones that it does not hold are padding. */
interface Window {
  readonly nodes: Uint8Array;
  readonly first: number;
  readonly level: number;
}

function nodeAt(window: Window, index: number): Uint8Array {
  const from = (index - window.first) * HASH_SIZE;
  return from < window.nodes.length ? window.nodes.subarray(from, from + HASH_SIZE) : padHash(window.level);
}

function nodesAndUncles(
  { index, length }: HashRequest,
  base: number,
  uncles: number,
  windowOf: (level: number) => Window,
): Uint8Array[] {
  const bottom = windowOf(base);
  const found: Uint8Array[] = [];
  for (let node = index; node < index + length; node++) found.push(nodeAt(bottom, node));
  let level = base + Math.log2(length);
  let ancestor = index / length;
  for (let left = uncles; left > 0; left--) {
    found.push(nodeAt(windowOf(level), ancestor % 2 === 0 ? ancestor + 1 : ancestor - 1));
    level++;
    ancestor = Math.floor(ancestor / 2);
  }
  return found;
}

/** BEP 52: uncles that follow from the hashes themselves are left out, which are those of log2(length) - 1 layers. */
function uncleCount(request: HashRequest): number {
  return Math.max(0, request.proofLayers - (Math.log2(request.length) - 1));
}

/** BEP 52's rules, and libtorrent's: the window and its proof must lie within the tree. */
function isAnswerable(fileBlocks: number, request: HashRequest): boolean {
  const { base, index, length, proofLayers } = request;
  const height = treeHeight(fileBlocks);
  return (
    base < height &&
    length >= 2 &&
    length <= MAX_HASH_REQUEST &&
    isPowerOfTwo(length) &&
    index % length === 0 &&
    index + length <= 2 ** (height - base) &&
    proofLayers < height - base
  );
}

/**
 * Whether an answer is complete and right: the hashes asked for and uncles up to the root of the file, padding where
 * the file has ended. An answer that stops below the root is false: nothing would tie it to the file.
 */
export function verifyHashes(root: Uint8Array, fileBlocks: number, request: HashRequest, hashes: Uint8Array): boolean {
  if (!isAnswerable(fileBlocks, request) || !request.root.equals(root)) return false;
  const { base, index, length } = request;
  const above = treeHeight(fileBlocks) - base - Math.log2(length);
  const proof = uncleCount(request);
  if (proof !== above || hashes.length !== (length + proof) * HASH_SIZE) return false;
  const present = Math.min(length, Math.max(0, Math.ceil(fileBlocks / 2 ** base) - index));
  for (let missing = present; missing < length; missing++) {
    if (!padHash(base).equals(hashes.subarray(missing * HASH_SIZE, (missing + 1) * HASH_SIZE))) return false;
  }
  const pair = Buffer.allocUnsafe(2 * HASH_SIZE);
  let node = merkleRoot(hashes.subarray(0, present * HASH_SIZE), base, length);
  let position = index / length;
  for (let at = length; at < length + proof; at++) {
    const right = position % 2;
    pair.set(node, right * HASH_SIZE);
    pair.set(hashes.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE), (1 - right) * HASH_SIZE);
    node = sha256(pair);
    position = Math.floor(position / 2);
  }
  return node.equals(root);
}

/** Levels above the leaves. */
function treeHeight(fileBlocks: number): number {
  return Math.log2(nextPowerOfTwo(fileBlocks));
}

function isPowerOfTwo(value: number): boolean {
  return value >= 1 && Number.isInteger(Math.log2(value));
}

export function nextPowerOfTwo(value: number): number {
  return value <= 1 ? 1 : 2 ** Math.ceil(Math.log2(value));
}
