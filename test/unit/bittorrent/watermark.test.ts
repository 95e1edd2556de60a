import assert from 'node:assert/strict';
import { PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';
import type { PieceMemory } from '../../../src/bittorrent/piece-memory.ts';
import { Watermark } from '../../../src/bittorrent/watermark.ts';

const MiB = 1024 * 1024;

describe('Watermark', () => {
  it('is full from the high mark on, until it is down at the low mark', () => {
    const mark = new Watermark(100, 40);
    let lows = 0;
    mark.onLow(() => lows++);
    mark.add(99);
    assert.equal(mark.full, false);
    mark.add(1);
    assert.equal(mark.full, true);
    mark.remove(59);
    assert.deepEqual([mark.full, lows], [true, 0]);
    mark.remove(1);
    assert.deepEqual([mark.full, lows, mark.level], [false, 1, 40]);
    mark.remove(40);
    assert.equal(lows, 1, 'it was not full');
    mark.set(500);
    mark.set(0);
    assert.equal(lows, 2);
  });

  it('remembers whom it refused', () => {
    const mark = new Watermark(100, 100);
    let lows = 0;
    mark.onLow(() => lows++);
    mark.add(60);
    assert.equal(mark.fits(40), true);
    assert.equal(mark.fits(50, 10), true);
    assert.equal(mark.fits(50), false);
    assert.equal(mark.full, true);
    mark.remove(10);
    assert.deepEqual([mark.full, lows], [false, 1]);
  });
});

describe('the users of PieceBuffers', () => {
  it('keeps little more memory than the budget, whatever the sizes of the pieces', () => {
    const buffers = new PieceBuffers(16 * MiB);
    const { memory } = buffers;
    for (const size of [MiB / 4, MiB / 2, MiB, 4 * MiB, 16_384, 2 * MiB]) {
      const taken = [];
      for (let buffer = buffers.take(size, 'normal'); buffer; buffer = buffers.take(size, 'normal')) taken.push(buffer);
      assert.equal(taken.length, (16 * MiB) / size);
      for (const buffer of taken) buffer.bytes.fill(1);
      assert.equal(memory.bytes, 16 * MiB);
      for (const buffer of taken) buffers.give(buffer);
      assert.equal(memory.bytes, 16 * MiB, 'it is kept, to be used again');
    }
  });

  it('take first pieces beyond a spent budget again and again, of the same memory', () => {
    const buffers = new PieceBuffers(2 * MiB);
    const { memory } = buffers;
    const take = (kind: 'first' | 'normal'): PieceMemory => {
      const buffer = buffers.take(MiB / 8, kind)!;
      buffer.bytes.fill(1);
      return buffer;
    };
    const taken = Array.from({ length: 16 }, () => take('normal'));
    for (let round = 0; round < 20; round++) {
      const first = take('first');
      buffers.give(taken.shift()!);
      taken.push(first);
      buffers.give(taken.shift()!);
      taken.push(take('normal'));
    }
    assert.equal(memory.bytes, 4 * MiB);
  });

  it('are lent memory only for what arrives, and none that they gave back', () => {
    const buffers = new PieceBuffers(4 * MiB);
    const { memory } = buffers;
    const reserved = [MiB, MiB, MiB].map((size) => buffers.take(size, 'normal')!);
    assert.equal(buffers.used, 3 * MiB);
    assert.equal(memory.bytes, 0);
    const [arriving] = reserved;
    arriving!.bytes.fill(1);
    assert.equal(arriving!.bytes.length, MiB);
    assert.equal(memory.bytes, 4 * MiB, 'one slab');
    for (const buffer of reserved) buffers.give(buffer);
    assert.equal(buffers.used, 0);
    for (const buffer of reserved) assert.throws(() => buffer.bytes, RangeError);
    memory.take(4 * MiB);
    assert.equal(memory.bytes, 4 * MiB, 'all of it came back');
  });

  it('get what comes free by priority, and one piece each in any case', () => {
    const buffers = new PieceBuffers(2 * MiB);
    let lowPriority: 'low' | 'high' = 'low';
    const low = buffers.user(() => lowPriority);
    const normal = buffers.user(() => 'normal');
    const high = buffers.user(() => 'high');
    const order: string[] = [];
    for (const [name, user] of Object.entries({ low, normal, high })) user.onFree(() => order.push(name));

    const held = [low.take(MiB, 'first'), low.take(MiB, 'normal')];
    assert.equal(low.fits(MiB, 'normal'), false);
    const first = high.take(MiB, 'first');
    assert.ok(first, 'nobody is kept from going on with one piece');
    assert.equal(high.take(2 * MiB, 'normal'), undefined);
    buffers.give(held.pop()!);
    assert.deepEqual(order, [], 'there is nothing to be had yet');
    buffers.give(held.pop()!);
    assert.deepEqual(order, ['high', 'low'], 'those that wait are told, the most important first');
    assert.equal(high.take(2 * MiB, 'normal'), undefined, 'there is not enough yet');
    assert.equal(normal.take(MiB, 'normal'), undefined, 'it took what high waits for');
    assert.equal(low.take(MiB, 'normal'), undefined);
    buffers.give(first);
    assert.ok(high.take(2 * MiB, 'normal'));

    assert.equal(high.fits(MiB, 'normal'), false);
    high.dispose();
    const budget = new PieceBuffers(MiB);
    const alone = budget.user(() => 'low');
    assert.ok(alone.take(MiB, 'normal'), 'it waits for nobody');
    lowPriority = 'high';
    assert.equal(low.rank, 0);
  });

  it('know whether others wait', () => {
    const buffers = new PieceBuffers(2 * MiB);
    const [one, two] = [buffers.user(() => 'normal'), buffers.user(() => 'normal')];
    assert.ok(one.take(2 * MiB, 'normal'));
    assert.equal(one.take(MiB, 'normal'), undefined);
    assert.deepEqual([one.othersWait, two.othersWait], [false, true]);
    assert.equal(two.take(MiB, 'normal'), undefined);
    assert.deepEqual([one.othersWait, two.othersWait], [true, true]);
    two.dispose();
    assert.equal(one.othersWait, false);
  });

  it('do not wait for one that has gone', () => {
    const buffers = new PieceBuffers(2 * MiB);
    const [low, high] = [buffers.user(() => 'low'), buffers.user(() => 'high')];
    const held = low.take(MiB, 'normal');
    assert.ok(held);
    assert.equal(high.take(2 * MiB, 'normal'), undefined);
    assert.equal(low.take(MiB, 'normal'), undefined);
    high.dispose();
    assert.ok(low.take(MiB, 'normal'));
  });
});
