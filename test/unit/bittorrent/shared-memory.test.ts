import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BLOCK_SIZE } from '../../../src/bittorrent/merkle.ts';
import { rangeSize, SharedMemory, type SharedRange } from '../../../src/bittorrent/shared-memory.ts';

const MiB = 1024 * 1024;
const SLAB = 4 * MiB;

describe('SharedMemory', () => {
  it('lends ranges that hold what was asked for, in powers of two', () => {
    const memory = new SharedMemory();
    for (const [length, size] of [
      [0, BLOCK_SIZE],
      [1, BLOCK_SIZE],
      [BLOCK_SIZE, BLOCK_SIZE],
      [BLOCK_SIZE + 1, 2 * BLOCK_SIZE],
      [MiB, MiB],
      [SLAB, SLAB],
      [SLAB + 1, 2 * SLAB],
    ] as const) {
      const range = memory.take(length);
      assert.deepEqual([range.size, rangeSize(length)], [size, size]);
      assert.ok(range.offset + size <= range.shared.byteLength);
      memory.give(range);
    }
  });

  it('lends no byte twice, whatever is taken and given back, and joins again what it parted', () => {
    const step = fc.oneof(
      fc.record({ take: fc.integer({ min: 1, max: SLAB }) }),
      fc.record({ take: fc.integer({ min: 1, max: 4 * BLOCK_SIZE }) }),
      fc.record({ give: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const memory = new SharedMemory(0);
        const lent: SharedRange[] = [];
        for (const one of steps) {
          if ('take' in one) {
            const range = memory.take(one.take);
            for (const other of lent)
              assert.ok(
                other.shared !== range.shared ||
                  other.offset + other.size <= range.offset ||
                  range.offset + range.size <= other.offset,
              );
            lent.push(range);
          } else {
            const [range] = lent.splice(one.give % Math.max(1, lent.length), 1);
            if (range) memory.give(range);
          }
        }
        for (const range of lent) memory.give(range);
        assert.equal(memory.bytes, 0);
      }),
    );
  });

  it('fills the gaps of what it has before it takes more', () => {
    const memory = new SharedMemory();
    const ranges = Array.from({ length: 64 }, () => memory.take(SLAB / 32));
    assert.equal(memory.bytes, 2 * SLAB);
    for (const [index, range] of ranges.entries()) if (index % 2 === 0) memory.give(range);
    for (let count = 0; count < 32; count++) memory.take(SLAB / 32);
    assert.equal(memory.bytes, 2 * SLAB);
  });

  it('keeps so much of what is given back, and slabs of which something is lent', () => {
    const memory = new SharedMemory(2 * SLAB);
    const lent = Array.from({ length: 4 }, () => memory.take(SLAB));
    const last = memory.take(BLOCK_SIZE);
    assert.equal(memory.bytes, 5 * SLAB);
    memory.give(lent[0]!);
    assert.equal(memory.bytes, 5 * SLAB, 'more is wanted soon');
    for (const range of lent.slice(1)) memory.give(range);
    assert.equal(memory.bytes, 2 * SLAB);
    memory.give(last);
    assert.equal(memory.bytes, 2 * SLAB);
    const shared = new Set([memory.take(SLAB).shared, memory.take(SLAB).shared]);
    assert.ok(shared.has(last.shared));
    assert.equal(memory.bytes, 2 * SLAB);
  });

  it('uses ranges larger than a slab again, too', () => {
    const memory = new SharedMemory();
    const range = memory.take(2 * SLAB);
    memory.give(range);
    assert.equal(memory.take(2 * SLAB).shared, range.shared);
  });
});
