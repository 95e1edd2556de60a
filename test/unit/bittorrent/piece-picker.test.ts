import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PiecePicker } from '../../../src/bittorrent/piece-picker.ts';
import { seededRandom } from '../../sim/seeded-random.ts';

describe('PiecePicker', () => {
  it('always begins one of the rarest open pieces after the random first four', () => {
    const operations = fc.array(
      fc.record({ kind: fc.constantFrom('add', 'remove', 'increase', 'decrease', 'begin'), piece: fc.nat(19) }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(operations, fc.nat(), (steps, seed) => {
        const picker = new PiecePicker(20, seededRandom(seed));
        const open = new Set<number>();
        const availability = new Array<number>(20).fill(0);
        let begun = 0;
        for (const { kind, piece } of steps) {
          if (kind === 'add') {
            picker.add(piece);
            open.add(piece);
          } else if (kind === 'remove') {
            picker.remove(piece);
            open.delete(piece);
          } else if (kind === 'increase') {
            picker.increase(piece);
            availability[piece]!++;
          } else if (kind === 'decrease') {
            picker.decrease(piece);
            availability[piece] = Math.max(0, availability[piece]! - 1);
          } else {
            const accepted = (candidate: number): boolean => candidate % 2 === piece % 2;
            const candidates = [...open].filter(accepted);
            const chosen = picker.choose(accepted);
            assert.equal(chosen === undefined, candidates.length === 0);
            if (chosen === undefined) continue;
            picker.remove(chosen);
            assert.ok(candidates.includes(chosen));
            const rarest = Math.min(...candidates.map((candidate) => availability[candidate]!));
            if (begun >= 4) assert.equal(availability[chosen], rarest);
            begun++;
            open.delete(chosen);
          }
          assert.equal(picker.open, open.size);
          for (let index = 0; index < 20; index++) {
            assert.equal(picker.isOpen(index), open.has(index));
            assert.equal(picker.availability(index), availability[index]);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('takes different pieces for peers that start alike', () => {
    const orders = [1, 2].map((seed) => {
      const picker = new PiecePicker(100, seededRandom(seed));
      for (let piece = 0; piece < 100; piece++) picker.add(piece);
      for (let piece = 0; piece < 100; piece++) picker.increase(piece);
      return Array.from({ length: 50 }, () => {
        const piece = picker.choose(() => true);
        if (piece !== undefined) picker.remove(piece);
        return piece;
      });
    });
    const common = orders[0]!.filter((piece) => orders[1]!.includes(piece)).length;
    assert.ok(common < 45, `${common} of 50 the same`);
  });
});
