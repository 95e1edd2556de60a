import assert from 'node:assert/strict';
import { SpareMemory } from '../../../src/bittorrent/spare-memory.ts';

describe('SpareMemory', () => {
  let spare: SpareMemory<string>;
  beforeEach(() => {
    spare = new SpareMemory();
  });

  it('gives what it keeps once, and of exactly the size that is asked for', () => {
    spare.give(10, 'ten');
    assert.equal(spare.take(9), undefined);
    assert.deepEqual([spare.bytes, spare.take(10), spare.bytes, spare.take(10)], [10, 'ten', 0, undefined]);
  });

  it('lets go of what was not used lately, and of no more than it must', () => {
    spare.give(10, 'a');
    spare.give(20, 'b');
    spare.give(10, 'c');
    spare.give(30, 'd');
    spare.shrink(70);
    assert.equal(spare.bytes, 70);
    spare.shrink(45);
    assert.equal(spare.bytes, 40);
    assert.deepEqual([spare.take(20), spare.take(30)], [undefined, 'd']);
    spare.shrink(0);
    assert.deepEqual([spare.bytes, spare.take(10)], [0, undefined]);
  });
});
