import * as crypto from 'node:crypto';
import { BLOCK_SIZE, blockCount, HASH_SIZE, pieceRoot } from '../../bittorrent/merkle.ts';

// A digest as text of one character a byte costs 0.4 µs less per call than a digest in a Buffer of its own: with 64 leaves
// and 63 nodes per MiB that is the difference between 0.96 and 0.90 of one-shot SHA-256 (measured on Node 24).
const digestText: (data: Uint8Array) => string =
  typeof crypto.hash === 'function'
    ? (data) => crypto.hash('sha256', data, 'binary')
    : (data) => crypto.createHash('sha256').update(data).digest('binary');

/** SHA-256 of each 16 KiB block of `data` (the last may be short), concatenated. */
export function leafHashes(data: Uint8Array): Buffer {
  const leaves = Buffer.allocUnsafe(blockCount(data.length) * HASH_SIZE);
  for (let offset = 0, at = 0; offset < data.length; offset += BLOCK_SIZE, at += HASH_SIZE) {
    leaves.write(digestText(data.subarray(offset, offset + BLOCK_SIZE)), at, HASH_SIZE, 'binary');
  }
  return leaves;
}

/** Hashes one file's bytes, given in order, into the hashes of its pieces; reusable, so that nothing is allocated per piece. */
export class PieceHasher {
  readonly #pieceLength: number;
  readonly #blocksPerPiece: number;
  readonly #leaves: Buffer;
  /** The two children of node i, at every level: levels are hashed in place. */
  readonly #pairs: Uint8Array[] = [];
  #count = 0;
  #pieces: Buffer[] = [];

  /** `pieceLength`: a power of two >= 16 KiB. */
  constructor(pieceLength: number) {
    this.#pieceLength = pieceLength;
    this.#blocksPerPiece = pieceLength / BLOCK_SIZE;
    this.#leaves = Buffer.allocUnsafeSlow(this.#blocksPerPiece * HASH_SIZE);
    for (let at = 0; at + 2 * HASH_SIZE <= this.#leaves.length; at += 2 * HASH_SIZE) {
      this.#pairs.push(new Uint8Array(this.#leaves.buffer, at, 2 * HASH_SIZE));
    }
  }

  /** One block: 16 KiB, or less at the end of the file. */
  addBlock(block: Uint8Array): void {
    this.#leaves.write(digestText(block), this.#count * HASH_SIZE, HASH_SIZE, 'binary');
    this.#count++;
    if (this.#count === this.#blocksPerPiece) this.#closeFullPiece();
  }

  /** Concatenated piece hashes of what was added; for a file of at most one piece its root. `fileSize` in bytes. */
  finish(fileSize: number): Buffer {
    if (this.#count > 0) {
      const leaves = this.#leaves.subarray(0, this.#count * HASH_SIZE);
      this.#pieces.push(pieceRoot(leaves, this.#pieceLength, blockCount(fileSize)));
    }
    const hashes = Buffer.concat(this.#pieces);
    this.reset();
    return hashes;
  }

  /** Forgets what was added. */
  reset(): void {
    this.#count = 0;
    this.#pieces = [];
  }

  #closeFullPiece(): void {
    for (let width = this.#blocksPerPiece >>> 1; width > 0; width >>>= 1) {
      for (let node = 0; node < width; node++) {
        const pair = this.#pairs[node];
        if (pair) this.#leaves.write(digestText(pair), node * HASH_SIZE, HASH_SIZE, 'binary');
      }
    }
    this.#pieces.push(Buffer.from(this.#leaves.subarray(0, HASH_SIZE)));
    this.#count = 0;
  }
}
