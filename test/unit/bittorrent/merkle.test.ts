import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import {
  BLOCK_SIZE,
  blockCount,
  fileRoot,
  HASH_SIZE,
  type HashRequest,
  HashTree,
  hashesFor,
  merkleRoot,
  padHash,
  pieceLayerRoot,
  pieceLevel,
  pieceRoot,
  proofLayersFor,
  sha256,
  verifyHashes,
} from '../../../src/bittorrent/merkle.ts';

/** The tree as BEP 52 describes it: every node of every level, padding written out. */
function naiveTree(leaves: readonly Buffer[]): Buffer[][] {
  let width = 1;
  while (width < leaves.length) width *= 2;
  const levels = [[...leaves, ...Array.from({ length: width - leaves.length }, () => Buffer.alloc(32))]];
  for (let below = levels[0]!; below.length > 1; below = levels.at(-1)!) {
    const level: Buffer[] = [];
    for (let at = 0; at < below.length; at += 2) {
      level.push(
        createHash('sha256')
          .update(below[at]!)
          .update(below[at + 1]!)
          .digest(),
      );
    }
    levels.push(level);
  }
  return levels;
}

const leavesOf = (count: number, seed = 0): Buffer[] =>
  Array.from({ length: count }, (_, index) => createHash('sha256').update(`${seed} ${index}`).digest());

const treeSize = fc.integer({ min: 1, max: 70 });

/** A file's tree from every side. */
function makeTree(count: number) {
  const naive = naiveTree(leavesOf(count));
  const height = naive.length - 1;
  const root = naive[height]![0]!;
  /** The nodes of a level that are not padding. */
  const level = (at: number): Buffer => Buffer.concat(naive[at]!.slice(0, Math.ceil(count / 2 ** at)));
  return { naive, height, root, level };
}

/** Every request that a tree of this height can answer. */
function* requestsFor(root: Buffer, height: number): Generator<HashRequest> {
  for (let base = 0; base < height; base++) {
    for (let length = 2; length <= 2 ** (height - base); length *= 2) {
      for (let index = 0; index < 2 ** (height - base); index += length) {
        for (let proofLayers = 0; proofLayers < height - base; proofLayers++) {
          yield { root, base, index, length, proofLayers };
        }
      }
    }
  }
}

/** The answer by the words of BEP 52. */
function naiveAnswer(naive: readonly Buffer[][], { base, index, length, proofLayers }: HashRequest): Buffer {
  const hashes = naive[base]!.slice(index, index + length);
  for (let layer = 1; layer <= proofLayers; layer++) {
    // "Proof layers" are counted from the one above base; the first log2(length) - 1 follow from the hashes.
    if (layer <= Math.log2(length) - 1) continue;
    const node = Math.floor(index / 2 ** layer);
    hashes.push(naive[base + layer]![node ^ 1]!);
  }
  return Buffer.concat(hashes);
}

describe('merkle', () => {
  it('sha256 agrees with the standard', () => {
    assert.equal(
      sha256(Buffer.from('abc')).toString('hex'),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    assert.equal(sha256(Uint8Array.of()).toString('hex').slice(0, 8), 'e3b0c442');
  });

  it('padHash is the root of a tree of missing leaves', () => {
    assert.deepEqual(padHash(0), Buffer.alloc(32));
    for (let level = 0; level < 8; level++) {
      const zeros = Array.from({ length: 2 ** level }, () => Buffer.alloc(32));
      assert.deepEqual(padHash(level), naiveTree(zeros)[level]![0]);
    }
    assert.throws(() => padHash(-1), RangeError);
  });

  it('counts blocks', () => {
    const cases = [0, 1, 16383, 16384, 16385, 32768, 32769, 2 ** 40, 2 ** 40 + 1];
    assert.deepEqual(cases.map(blockCount), [0, 1, 1, 1, 2, 2, 3, 2 ** 26, 2 ** 26 + 1]);
  });

  it('fileRoot agrees with a naive tree', () => {
    for (let count = 1; count <= 70; count++) {
      assert.deepEqual(fileRoot(Buffer.concat(leavesOf(count))), makeTree(count).root, `${count} leaves`);
    }
  });

  it('merkleRoot agrees with a naive tree at any level and width', () => {
    fc.assert(
      fc.property(treeSize, fc.nat({ max: 6 }), (count, at) => {
        const { naive, height, root, level } = makeTree(count);
        fc.pre(at <= height);
        assert.deepEqual(merkleRoot(level(at), at, 2 ** (height - at)), root);
        // Padding may as well be given.
        assert.deepEqual(merkleRoot(Buffer.concat(naive[at]!), at, 2 ** (height - at)), root);
      }),
    );
  });

  it('merkleRoot of nothing is padding', () => {
    assert.deepEqual(merkleRoot(Buffer.alloc(0), 2, 8), padHash(5));
    assert.deepEqual(merkleRoot(Buffer.alloc(0), 0, 1), padHash(0));
  });

  it('merkleRoot of one node is that node, in memory of its own', () => {
    const node = leavesOf(1)[0]!;
    const root = merkleRoot(node, 0, 1);
    assert.deepEqual(root, node);
    node[0]! ^= 1;
    assert.notDeepEqual(root, node);
  });

  it('merkleRoot refuses what is not a tree', () => {
    const two = Buffer.concat(leavesOf(2));
    for (const [nodes, width] of [
      [two, 3],
      [two, 1],
      [two, 0],
      [two.subarray(1), 2],
      [two, 2.5],
    ] as const) {
      assert.throws(() => merkleRoot(nodes, 0, width), RangeError);
    }
  });

  it('a piece layer has the same root as the leaves under it', () => {
    fc.assert(
      fc.property(treeSize, fc.constantFrom(1, 2, 4, 8, 16), (count, perPiece) => {
        const leaves = Buffer.concat(leavesOf(count));
        const pieceLength = perPiece * BLOCK_SIZE;
        const layer: Buffer[] = [];
        for (let at = 0; at < leaves.length; at += perPiece * HASH_SIZE) {
          layer.push(pieceRoot(leaves.subarray(at, at + perPiece * HASH_SIZE), pieceLength, count));
        }
        const { naive, root, level } = makeTree(count);
        if (count > perPiece) {
          assert.deepEqual(Buffer.concat(layer), level(pieceLevel(pieceLength)));
          assert.deepEqual(pieceLayerRoot(Buffer.concat(layer), pieceLength), root);
        } else {
          assert.deepEqual(layer, [root], 'a small file is its own piece');
          assert.equal(naive.at(-1)!.length, 1);
        }
      }),
    );
  });

  describe('hash requests', () => {
    it('every request is answered as BEP 52 says, from any level below', () => {
      for (const count of [2, 3, 4, 5, 8, 9, 13, 16, 17]) {
        const { naive, height, root, level } = makeTree(count);
        for (const request of requestsFor(root, height)) {
          const expected = naiveAnswer(naive, request);
          for (let from = 0; from <= request.base; from++) {
            assert.deepEqual(hashesFor(level(from), from, count, request), expected);
          }
        }
      }
    });

    it('leaves of a piece are answered from that piece and the piece layer', () => {
      for (const [count, pieceLevels] of [
        [5, 1],
        [16, 2],
        [21, 2],
        [33, 3],
        [24, 3],
      ] as const) {
        const { naive, height, root, level } = makeTree(count);
        const tree = new HashTree(level(pieceLevels), pieceLevels, count);
        const width = 2 ** pieceLevels;
        let answered = 0;
        for (const request of requestsFor(root, height)) {
          if (request.base >= pieceLevels) continue;
          const piece = Math.floor(request.index / (width >> request.base));
          if (piece * width >= count) continue;
          const leaves = level(0).subarray(piece * width * HASH_SIZE, (piece + 1) * width * HASH_SIZE);
          const answer = tree.hashesInPiece(piece, leaves, request);
          if (request.length > width >> request.base) {
            assert.equal(answer, undefined);
          } else {
            answered++;
            assert.deepEqual(answer, naiveAnswer(naive, request));
            assert.equal(tree.hashesInPiece(piece + 1, leaves, request), undefined);
          }
        }
        assert.ok(answered > 0);
      }
    });

    it('all proofs of random trees verify, and nothing else does', () => {
      fc.assert(
        fc.property(fc.integer({ min: 2, max: 70 }), fc.nat(), fc.nat(), (count, pick, flip) => {
          const { height, root, level } = makeTree(count);
          const requests = [...requestsFor(root, height)].filter(
            (request) => request.proofLayers === proofLayersFor(count, request.base),
          );
          for (const request of requests) {
            const hashes = hashesFor(level(0), 0, count, request)!;
            assert.equal(verifyHashes(root, count, request, hashes), true);
          }
          const request = requests[pick % requests.length]!;
          const hashes = hashesFor(level(0), 0, count, request)!;
          const bit = flip % (hashes.length * 8);
          const flipped = Buffer.from(hashes);
          flipped[bit >>> 3]! ^= 1 << (bit & 7);
          assert.equal(verifyHashes(root, count, request, flipped), false, 'a flipped bit');
          assert.equal(verifyHashes(sha256(root), count, request, hashes), false, 'another root');
          assert.equal(verifyHashes(root, count, { ...request, root: sha256(root) }, hashes), false, 'another request');
          assert.equal(verifyHashes(root, count, request, hashes.subarray(0, -32)), false, 'a missing hash');
          assert.equal(verifyHashes(root, count, request, Buffer.concat([hashes, root])), false, 'an extra hash');
          const moved = { ...request, index: request.index === 0 ? request.length : 0 };
          assert.equal(verifyHashes(root, count, moved, hashes), false, 'another place');
        }),
        { numRuns: 40 },
      );
    });

    it('a proof that stops below the root is refused', () => {
      const { root, level } = makeTree(16);
      const request = { root, base: 0, index: 4, length: 4, proofLayers: 2 };
      const hashes = hashesFor(level(0), 0, 16, request)!;
      assert.equal(hashes.length, 5 * HASH_SIZE);
      assert.equal(verifyHashes(root, 16, request, hashes), false);
    });

    it('a whole level needs no proof layers', () => {
      const { root, level } = makeTree(5);
      const request = { root, base: 0, index: 0, length: 8, proofLayers: 0 };
      assert.equal(verifyHashes(root, 5, request, hashesFor(level(0), 0, 5, request)!), true);
    });

    it('padding must be padding', () => {
      const forged = [...leavesOf(5), ...leavesOf(3, 1)];
      const root = naiveTree(forged).at(-1)![0]!;
      const request = { root, base: 0, index: 0, length: 8, proofLayers: 2 };
      assert.equal(verifyHashes(root, 8, request, Buffer.concat(forged)), true);
      assert.equal(verifyHashes(root, 5, request, Buffer.concat(forged)), false);
    });

    const most = 2 ** 32 - 1;
    const { root, level } = makeTree(16);
    const good: HashRequest = { root, base: 1, index: 2, length: 2, proofLayers: 2 };
    const bad: [string, Partial<HashRequest>][] = [
      ['length 0', { length: 0, index: 0 }],
      ['length 1', { length: 1 }],
      ['length no power of two', { length: 3, index: 0 }],
      ['length beyond the level', { length: 16, index: 0 }],
      ['largest length', { length: most, index: 0 }],
      ['2^31 hashes', { length: 2 ** 31, index: 0 }],
      ['index no multiple of length', { index: 1 }],
      ['index beyond the level', { index: 8 }],
      ['largest index', { index: most - 1 }],
      ['base at the root', { base: 4, index: 0 }],
      ['largest base', { base: most, index: 0 }],
      ['more proof layers than there are', { proofLayers: 3 }],
      ['largest proof layers', { proofLayers: most }],
    ];
    it('a good request for comparison', () => assert.ok(hashesFor(level(0), 0, 16, good)));
    for (const [name, change] of bad) {
      it(`rejects ${name}`, () => {
        const request = { ...good, ...change };
        assert.equal(hashesFor(level(0), 0, 16, request), undefined);
        assert.equal(new HashTree(level(2), 2, 16).hashesInPiece(0, level(0).subarray(0, 128), request), undefined);
        assert.equal(verifyHashes(root, 16, request, Buffer.alloc(96)), false);
      });
    }
    it('rejects a base below what is known', () => assert.equal(hashesFor(level(2), 2, 16, good), undefined));
    it('rejects any request for a file of one block or none', () => {
      for (const blocks of [0, 1]) {
        assert.equal(hashesFor(root, 0, blocks, { root, base: 0, index: 0, length: 2, proofLayers: 0 }), undefined);
      }
    });
    it('rejects more hashes than an answer may have', () => {
      const blocks = 2 ** 14;
      const many = Buffer.alloc(blocks * HASH_SIZE, 1);
      const request = { root, base: 0, index: 0, length: 2 ** 14, proofLayers: 0 };
      assert.equal(hashesFor(many, 0, blocks, request), undefined);
      assert.equal(hashesFor(many, 0, blocks, { ...request, length: 8192 })?.length, 8192 * HASH_SIZE);
    });
  });
});
