import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Info, pieceAt } from '../../../src/bittorrent/metainfo.ts';
import { MOST_RUN_PIECES, nextFile, runAt } from '../../../src/bittorrent/piece-runs.ts';
import { seededRandom } from '../../sim/seeded-random.ts';
import { makeVersion } from '../../sim/test-version.ts';

const PIECE = 16_384;

const infoOf = (sizes: readonly number[]): Info => makeVersion(sizes, PIECE, seededRandom(1)).info;

/** Lengths of all the runs that begin with a piece, each with how many pieces it has. */
function runsFrom(info: Info, first: number): Map<number, number> {
  const runs = new Map<number, number>();
  let length = 0;
  for (let piece = first; piece < info.pieceCount && piece < first + MOST_RUN_PIECES; piece++) {
    const { file } = pieceAt(info, piece);
    if (file.length > PIECE) break;
    length += file.length;
    if (piece > first) runs.set(length, piece - first + 1);
  }
  return runs;
}

describe('runs of small pieces', () => {
  it('are those that a simple search finds, and nothing else is', () => {
    const size = fc.oneof(
      { weight: 2, arbitrary: fc.constant(0) },
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 5 }) },
      { weight: 3, arbitrary: fc.constantFrom(1000, PIECE - 1, PIECE) },
      { weight: 1, arbitrary: fc.constantFrom(PIECE + 1, 3 * PIECE) },
    );
    let found = 0;
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 25 }), (sizes) => {
        const info = infoOf(sizes);
        for (let piece = 0; piece < info.pieceCount; piece++) {
          const runs = runsFrom(info, piece);
          found += runs.size;
          const candidates = new Set<number>([0, 1, PIECE, 2 * PIECE]);
          for (const length of runs.keys())
            candidates
              .add(length - 1)
              .add(length)
              .add(length + 1);
          for (const length of candidates) assert.equal(runAt(info, piece, length), runs.get(length));
        }
      }),
      { numRuns: 200 },
    );
    assert.ok(found > 1000, `${found} runs`);
  });

  it('may have 128 pieces and no more', () => {
    const info = infoOf(new Array<number>(200).fill(2));
    assert.equal(runAt(info, 3, 2 * MOST_RUN_PIECES), MOST_RUN_PIECES);
    assert.equal(runAt(info, 3, 2 * MOST_RUN_PIECES + 2), undefined);
    assert.equal(runAt(info, 198, 4), 2);
    assert.equal(runAt(info, 198, 6), undefined);
  });

  it('are none for numbers that make no sense', () => {
    const info = infoOf([10, 10, 10]);
    const odd = [-1, 0.5, 3, 4, 2 ** 32 - 1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY];
    for (const piece of odd) assert.equal(runAt(info, piece, 20), undefined, `piece ${piece}`);
    for (const length of [...odd, 0, -20]) assert.equal(runAt(info, 0, length), undefined, `length ${length}`);
    assert.equal(runAt(infoOf([0]), 0, 0), undefined);
  });

  it('are found behind any number of empty files without walking over them', () => {
    const info = infoOf([5, ...new Array<number>(3000).fill(0), 5, 5]);
    let looked = 0;
    const files = new Proxy(info.files, {
      get: (target, key) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) looked++;
        return Reflect.get(target, key);
      },
    });
    assert.equal(runAt({ ...info, files }, 0, 15), 3);
    assert.ok(looked < 100, `${looked} files looked at`);
    const first = pieceAt(info, 0).fileIndex;
    const second = nextFile(info, first);
    assert.equal(second, pieceAt(info, 1).fileIndex);
    assert.equal(nextFile(info, second), pieceAt(info, 2).fileIndex);
  });
});
