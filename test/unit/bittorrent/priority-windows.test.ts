import assert from 'node:assert/strict';
import { PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';
import { PriorityWindows } from '../../../src/bittorrent/priority-windows.ts';

const MiB = 1024 * 1024;

describe('PriorityWindows', () => {
  it('keeps the order of a window and interleaves several', () => {
    const windows = new PriorityWindows();
    const first = windows.add([5, 4, 3, 2]);
    assert.deepEqual([...windows], [5, 4, 3, 2]);
    windows.add([9, 4, 8]);
    assert.deepEqual([...windows], [5, 9, 4, 3, 8, 2]);
    first.dispose();
    first.dispose();
    assert.deepEqual([...windows], [9, 4, 8]);
  });

  it('forgets what is there, for every reader', () => {
    const windows = new PriorityWindows();
    windows.add([1, 2]);
    windows.add([2, 3]);
    windows.delete(2);
    windows.add([7]);
    assert.deepEqual([...windows], [1, 3, 7]);
    assert.equal(windows.has(2), false);
    assert.equal(windows.size, 3);
  });
});

describe('PieceBuffers', () => {
  it('has a bounded reserve for pieces that somebody waits for', () => {
    const buffers = new PieceBuffers(2 * MiB);
    for (let taken = 0; taken < 2; taken++) assert.ok(buffers.take(MiB, 'normal'));
    assert.equal(buffers.take(MiB, 'normal'), undefined);
    let urgent = 0;
    while (buffers.take(MiB, 'urgent')) urgent++;
    assert.equal(urgent, 4);
    assert.ok(buffers.take(MiB, 'first'));
  });

  it('has room for one urgent piece, however large', () => {
    const buffers = new PieceBuffers(MiB);
    assert.ok(buffers.take(MiB, 'normal'));
    assert.ok(buffers.take(16 * MiB, 'urgent'));
    assert.equal(buffers.take(MiB, 'urgent'), undefined);
  });
});
