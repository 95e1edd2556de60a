import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkRequest } from '../../../src/bittorrent/check-request.ts';
import { BLOCK_SIZE } from '../../../src/bittorrent/merkle.ts';
import { pieceAt } from '../../../src/bittorrent/metainfo.ts';
import { LARGEST_BLOCK } from '../../../src/bittorrent/peer-session.ts';
import { MOST_RUN_PIECES, runAt } from '../../../src/bittorrent/piece-runs.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { seededRandom } from '../../sim/seeded-random.ts';
import { makeVersion } from '../../sim/test-version.ts';

describe('requests of strangers', () => {
  const sizes = [1, 0, 20_000, 65_536, 65_537, 300_000, 5, 5, 0, 16_384, 16_384, ...new Array<number>(300).fill(1_000)];
  const { info } = makeVersion(sizes, 65_536, seededRandom(1));
  const near = fc.oneof(
    fc.nat(400),
    fc.constantFrom(1_000, 16_384, 20_000, 32_768, 65_536, 65_537, 262_144, 262_145),
    fc.integer({ min: 1, max: 300 }).map((count) => count * 1_000),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  );
  const request = fc.record({ piece: near, begin: fc.oneof(fc.constant(0), near), length: near });

  it('are a block, a run or an error, whatever their numbers', () => {
    const seen = { block: 0, run: 0, error: 0 };
    fc.assert(
      fc.property(request, fc.boolean(), (asked, servesRuns) => {
        let pieces: number;
        try {
          pieces = checkRequest(info, asked, servesRuns);
        } catch (error) {
          assert.ok(error instanceof PeerwireError && error.code === 'protocol', String(error));
          seen.error++;
          return;
        }
        const { piece, begin, length } = asked;
        assert.ok(length > 0 && length <= LARGEST_BLOCK && piece + pieces <= info.pieceCount);
        if (pieces > 1) {
          seen.run++;
          assert.ok(servesRuns && begin === 0 && pieces <= MOST_RUN_PIECES);
          assert.equal(pieces, runAt(info, piece, length));
          return;
        }
        seen.block++;
        assert.ok(begin + length <= (servesRuns ? pieceAt(info, piece).length : info.pieceLength));
        assert.ok(length <= BLOCK_SIZE || begin % BLOCK_SIZE === 0);
      }),
      { numRuns: 20_000 },
    );
    for (const [kind, count] of Object.entries(seen)) assert.ok(count > 30, `${count} times ${kind}`);
  });

  it('may go beyond the end of a short piece, unless they are of a peer that knows runs', () => {
    const padded = { piece: 0, begin: 0, length: BLOCK_SIZE };
    assert.equal(checkRequest(info, padded, false), 1);
    assert.throws(() => checkRequest(info, padded, true), { code: 'protocol' });
  });
});
