import assert from 'node:assert/strict';
import { type PieceRequest, RequestQueue } from '../../../src/bittorrent/request-queue.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

const BLOCK = 16_384;

function request(piece: number, first: number, count = 1): PieceRequest<string> {
  return { peer: 'a', piece, first, count, length: count * BLOCK, sent: 0, urgent: true, cancelled: false };
}

describe('RequestQueue', () => {
  it('a request for the same place takes the place of the one before, in every count', () => {
    const queue = new RequestQueue<string>(new VirtualClock());
    const before = request(1, 0, 4);
    const now = request(1, 0, 2);
    queue.add(before);
    before.cancelled = true;
    queue.add(now);
    assert.deepEqual([queue.size, queue.bytes, queue.urgentBytes], [1, now.length, now.length]);
    assert.equal(queue.delete(before), false);
    assert.ok(queue.delete(now));
    assert.deepEqual([queue.size, queue.bytes, queue.urgentBytes], [0, 0, 0]);
    assert.ok(queue.takeOwed(1, 0, before.length), 'the reject of the first is not that of the second');
    assert.equal(queue.takeOwed(1, 0, before.length), false);
  });

  it('the answer that is arriving is not expected once more', () => {
    const queue = new RequestQueue<string>(new VirtualClock());
    const before = request(1, 0);
    queue.add(before);
    queue.onAnswer(before);
    queue.add(request(1, 0));
    assert.equal(queue.takeOwed(1, 0, before.length), false);
  });
});
