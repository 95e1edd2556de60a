import { BLOCK_SIZE, blockCount, HASH_SIZE, pieceRoot, sha256Text } from '../../bittorrent/merkle.ts';

/** SHA-256 of each 16 KiB block of `data` (the last may be short), concatenated. */
export function leafHashes(data: Uint8Array): Buffer {
  let text = '';
  for (let at = 0; at < data.length; at += BLOCK_SIZE) text += sha256Text(data.subarray(at, at + BLOCK_SIZE));
  return Buffer.from(text, 'latin1');
}

/** Hashes one file's bytes, given in order, into the hashes of its pieces; reusable, so that nothing is allocated per piece. */
export class PieceHasher {
  readonly #pieceLength: number;
  readonly #blocksPerPiece: number;
  readonly #leaves: Buffer;
  /** The two children of node i, at every level: levels are hashed in place. */
  readonly #pairs: Uint8Array[] = [];
  #count = 0;
  /** The leaves so far, as `sha256Text`; written to `#leaves` all at once. */
  #text = '';
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
    this.#text += sha256Text(block);
    this.#count++;
    if (this.#count === this.#blocksPerPiece) this.#closeFullPiece();
  }

  /** Concatenated piece hashes of what was added; for a file of at most one piece its root. `fileSize` in bytes. */
  finish(fileSize: number): Buffer {
    if (this.#count > 0) {
      const leaves = Buffer.from(this.#text, 'latin1');
      this.#pieces.push(pieceRoot(leaves, this.#pieceLength, blockCount(fileSize)));
    }
    const hashes = Buffer.concat(this.#pieces);
    this.reset();
    return hashes;
  }

  /** Forgets what was added. */
  reset(): void {
    this.#count = 0;
    this.#text = '';
    this.#pieces = [];
  }

  #closeFullPiece(): void {
    let text = this.#text;
    this.#text = '';
    for (let width = this.#blocksPerPiece >>> 1; width > 0; width >>>= 1) {
      this.#leaves.write(text, 0, 'latin1');
      text = '';
      for (let node = 0; node < width; node++) {
        const pair = this.#pairs[node];
        if (pair) text += sha256Text(pair);
      }
    }
    this.#pieces.push(Buffer.from(text, 'latin1'));
    this.#count = 0;
  }
}
