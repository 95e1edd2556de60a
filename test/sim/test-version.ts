import { BLOCK_SIZE, blockCount, fileRoot, HASH_SIZE, pieceRoot, sha256 } from '../../src/bittorrent/merkle.ts';
import { createInfo, type Info, type PieceLayers } from '../../src/bittorrent/metainfo.ts';
import type { BlockHasher } from '../../src/bittorrent/piece-verifier.ts';
import type { MemoryStorage } from './memory-storage.ts';

export interface TestVersion {
  readonly info: Info;
  readonly layers: PieceLayers;
  readonly files: readonly Buffer[];
}

/** A version with files of these sizes and random content. */
export function makeVersion(sizes: readonly number[], pieceLength: number, random: () => number): TestVersion {
  const layers = new Map<string, Buffer>();
  const made = sizes.map((size, index) => {
    const content = randomContent(size, random);
    const leaves = leafHashes(content);
    const root = size === 0 ? undefined : fileRoot(leaves);
    if (root && size > pieceLength) {
      const perPiece = (pieceLength / BLOCK_SIZE) * HASH_SIZE;
      const layer: Buffer[] = [];
      for (let at = 0; at < leaves.length; at += perPiece) {
        layer.push(pieceRoot(leaves.subarray(at, at + perPiece), pieceLength, Math.ceil(size / BLOCK_SIZE)));
      }
      layers.set(root.toString('hex'), Buffer.concat(layer));
    }
    return {
      path: [`file-${String(index).padStart(sizes.length > 10_000 ? 5 : 4, '0')}`],
      length: size,
      root,
      content,
    };
  });
  const info = createInfo({ name: 'version', pieceLength, single: false, files: made });
  return { info, layers, files: made.map(({ content }) => content) };
}

function randomContent(size: number, random: () => number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let at = 0; at < words.length; at++) words[at] = random() * 4_294_967_296;
  return Buffer.from(words.buffer, 0, size);
}

export function leafHashes(content: Uint8Array): Buffer {
  const leaves: Buffer[] = [];
  for (let at = 0; at < content.length; at += BLOCK_SIZE) leaves.push(sha256(content.subarray(at, at + BLOCK_SIZE)));
  return Buffer.concat(leaves);
}

/** Hashes and writes as a worker thread would: `writeBy` of the storage gives it file indexes for descriptors. */
export function writingHasher(storage: MemoryStorage): BlockHasher {
  return {
    ...hasher,
    async writeIfRight({ data, offset, length, expected, pieceLength, fileLength, descriptor, position }) {
      const bytes = new Uint8Array(data, offset, length);
      const leaves = leafHashes(bytes);
      if (!pieceRoot(leaves, pieceLength, blockCount(fileLength)).equals(expected)) return leaves;
      await storage.writeLent(descriptor, position, bytes);
      return undefined;
    },
  };
}

export const hasher: BlockHasher = {
  hashBlocks: async (data, offset, length) => leafHashes(new Uint8Array(data, offset, length)),
  hashBlocksSync: leafHashes,
};
