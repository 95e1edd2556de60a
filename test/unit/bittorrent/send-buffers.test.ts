import assert from 'node:assert/strict';
import { SendBuffers } from '../../../src/bittorrent/send-buffers.ts';

describe('SendBuffers', () => {
  it('uses the same memory again for full batches, and keeps little of it', () => {
    const buffers = new SendBuffers(1000);
    const first = buffers.take(900);
    assert.equal(first.length, 1000);
    buffers.give(first);
    assert.equal(buffers.take(1000), first);
    const many = Array.from({ length: 30 }, () => buffers.take(1000));
    for (const buffer of many) buffers.give(buffer);
    const again = Array.from({ length: 30 }, () => buffers.take(1000));
    assert.equal(again.filter((buffer) => many.includes(buffer)).length, 8);
  });

  it('gives small and oversized batches no more than they need', () => {
    const buffers = new SendBuffers(1000);
    for (const length of [100, 499, 1001]) {
      const buffer = buffers.take(length);
      assert.equal(buffer.length, length);
      buffers.give(buffer);
    }
    assert.equal(buffers.take(800).length, 1000);
  });
});
