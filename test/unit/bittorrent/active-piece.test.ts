import assert from 'node:assert/strict';
import { ActivePiece } from '../../../src/bittorrent/active-piece.ts';
import { PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';

const BLOCK = 16_384;

function piece(length = 3 * BLOCK + 5): ActivePiece<string> {
  const buffer = new PieceBuffers(1 << 20).take(length, 'first');
  assert.ok(buffer);
  return new ActivePiece(7, length, buffer, 'a');
}

describe('ActivePiece', () => {
  it('hands out each block once and knows their lengths', () => {
    const active = piece();
    assert.deepEqual(
      [0, 1, 2, 3].map(() => active.requestNext('a')),
      [0, 1, 2, 3],
    );
    assert.equal(active.requestNext('a'), undefined);
    assert.equal(active.blockLength(3), 5);
    assert.equal(active.free, 0);
  });

  it('takes a block only from a peer that was asked for it, and only once', () => {
    const active = piece();
    active.requestNext('a');
    assert.equal(active.beginReceive(0, 'b'), false);
    assert.equal(active.beginReceive(0, 'a'), true);
    assert.equal(active.beginReceive(0, 'a'), false);
    assert.deepEqual(active.endReceive(0, 'a'), []);
    assert.equal(active.sender(0), 'a');
    assert.equal(active.beginReceive(0, 'a'), false);
  });

  it('frees the block of a peer that died in the middle of it', () => {
    const active = piece();
    active.requestNext('a');
    active.beginReceive(0, 'a');
    active.release(0, 'a', true);
    assert.equal(active.free, 4);
    assert.equal(active.requestNext('b'), 0);
  });

  it('leaves a block with the peer whose bytes are streaming in, unless it is gone', () => {
    const active = piece();
    active.requestNext('a');
    active.beginReceive(0, 'a');
    active.release(0, 'a', false);
    assert.equal(active.requestNext('b'), 1);
    assert.deepEqual(active.endReceive(0, 'a'), []);
  });

  it('takes no second copy of a block', () => {
    const active = piece(BLOCK);
    active.requestNext('a');
    active.requestAgain('b', 2, () => true);
    active.beginReceive(0, 'a');
    assert.deepEqual(active.endReceive(0, 'a'), ['b']);
    assert.equal(active.endReceive(0, 'b'), undefined);
  });

  it('asks a second peer in the endgame, and tells whom to cancel', () => {
    const active = piece(BLOCK);
    active.requestNext('a');
    assert.equal(
      active.requestAgain('b', 2, () => false),
      undefined,
    );
    assert.equal(
      active.requestAgain('b', 2, () => true),
      0,
    );
    assert.equal(
      active.requestAgain('c', 2, () => true),
      undefined,
    );
    active.beginReceive(0, 'b');
    assert.equal(active.beginReceive(0, 'a'), false);
    assert.deepEqual(active.endReceive(0, 'b'), ['a']);
    assert.ok(active.complete);
    assert.deepEqual([...active.senders()], ['b']);
  });

  it('forgets a block that proved wrong', () => {
    const active = piece(2 * BLOCK);
    for (const block of [0, 1]) {
      active.requestNext('a');
      active.beginReceive(block, 'a');
      active.endReceive(block, 'a');
    }
    active.discard(1);
    assert.equal(active.complete, false);
    assert.equal(active.sender(1), undefined);
    assert.equal(active.requestNext('b'), 1);
  });
});
