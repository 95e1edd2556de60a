import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ActivePiece } from '../../../src/bittorrent/active-piece.ts';
import { PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';
import type { PieceRequest } from '../../../src/bittorrent/request-queue.ts';

const BLOCK = 16_384;

function piece(length = 3 * BLOCK + 5): ActivePiece<string> {
  const buffer = new PieceBuffers(1 << 20).take(length, 'first');
  assert.ok(buffer);
  return new ActivePiece(7, length, buffer, 'a');
}

function ask(active: ActivePiece<string>, peer: string, most = 1): PieceRequest<string> {
  const request = active.request(peer, most, 0);
  assert.ok(request, 'nothing is free');
  return request;
}

function receive(active: ActivePiece<string>, request: PieceRequest<string>): string[] | undefined {
  active.beginReceive(request)?.fill(request.peer.charCodeAt(0));
  const others = active.endReceive(request);
  return others && [...others].map(({ peer }) => peer);
}

describe('ActivePiece', () => {
  it('hands out each block once and knows their lengths', () => {
    const active = piece();
    const asked = [0, 1, 2, 3].map(() => ask(active, 'a'));
    assert.deepEqual(
      asked.map(({ first, length }) => [first, length]),
      [
        [0, BLOCK],
        [1, BLOCK],
        [2, BLOCK],
        [3, 5],
      ],
    );
    assert.equal(active.request('a', 1, 0), undefined);
    assert.equal(active.free, 0);
  });

  it('hands out runs of free blocks, never past one that is taken', () => {
    const active = piece(8 * BLOCK + 5);
    const first = ask(active, 'a', 3);
    const second = ask(active, 'b', 2);
    assert.deepEqual([first.first, first.count, second.first, second.count], [0, 3, 3, 2]);
    active.release(first);
    const again = ask(active, 'c', 100);
    assert.deepEqual([again.first, again.count, again.length], [0, 3, 3 * BLOCK]);
    const rest = ask(active, 'c', 100);
    assert.deepEqual([rest.first, rest.count, rest.length], [5, 4, 3 * BLOCK + 5]);
  });

  it('takes blocks only once, and knows who sent them', () => {
    const active = piece();
    const request = ask(active, 'a', 2);
    assert.equal(active.beginReceive(request)?.length, 2 * BLOCK);
    assert.equal(active.beginReceive(request), undefined);
    assert.deepEqual([...(active.endReceive(request) ?? ['none'])], []);
    assert.deepEqual(
      [0, 1, 2].map((block) => active.sender(block)),
      ['a', 'a', undefined],
    );
    assert.equal(active.beginReceive(request), undefined);
    assert.equal(active.endReceive(request), undefined);
  });

  it('frees what a peer gave up, in the middle of it too', () => {
    const active = piece();
    const request = ask(active, 'a', 4);
    active.beginReceive(request);
    active.release(request);
    assert.equal(active.free, 4);
    assert.equal(active.endReceive(request), undefined);
    assert.equal(ask(active, 'b').first, 0);
    assert.deepEqual([...active.senders()], []);
  });

  it('asks others in the endgame up to a limit, and tells whom to cancel', () => {
    const active = piece(4 * BLOCK);
    const late = ask(active, 'a', 4);
    assert.equal(active.requestAgain(late, 'a', 4, 2, 0), undefined);
    const again = active.requestAgain(late, 'b', 2, 2, 0);
    assert.deepEqual([again?.first, again?.count], [0, 2]);
    const third = active.requestAgain(late, 'c', 4, 2, 0);
    assert.deepEqual([third?.first, third?.count], [2, 2]);
    assert.deepEqual(receive(active, again!), []);
    assert.ok(active.isNeeded(late));
    // All that the first was asked for is here now.
    assert.deepEqual(receive(active, third!), ['a']);
    assert.ok(active.complete);
    assert.equal(receive(active, late), undefined);
  });

  it('does not write over blocks that others brought', () => {
    const active = piece(3 * BLOCK);
    const late = ask(active, 'a', 3);
    const again = active.requestAgain(late, 'b', 1, 2, 0);
    receive(active, again!);
    receive(active, late);
    assert.deepEqual(
      [0, 1, 2].map((block) => active.sender(block)),
      ['b', 'a', 'a'],
    );
    assert.deepEqual(
      [0, BLOCK, 2 * BLOCK].map((at) => String.fromCharCode(active.buffer.bytes[at]!)),
      ['b', 'a', 'a'],
    );
  });

  it('forgets a block that proved wrong', () => {
    const active = piece(2 * BLOCK);
    receive(active, ask(active, 'a', 2));
    active.discard(1);
    assert.equal(active.complete, false);
    assert.equal(active.sender(1), undefined);
    assert.equal(ask(active, 'b').first, 1);
  });

  it('keeps its accounts whatever happens in whatever order', () => {
    const steps = fc.array(
      fc.record({
        kind: fc.constantFrom('ask', 'again', 'begin', 'end', 'release', 'discard'),
        peer: fc.constantFrom('a', 'b', 'c', 'd'),
        pick: fc.nat(),
        most: fc.integer({ min: 1, max: 5 }),
      }),
      { maxLength: 120 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const active = piece(6 * BLOCK + 77);
        const open = new Set<PieceRequest<string>>();
        const arriving = new Map<string, { request: PieceRequest<string>; target: Uint8Array | undefined }>();
        for (const { kind, peer, pick, most } of list) {
          const any = [...open][pick % Math.max(1, open.size)];
          if (kind === 'ask') {
            const request = active.request(peer, most, 0);
            if (request) open.add(request);
          } else if (kind === 'again' && any) {
            const request = active.requestAgain(any, peer, most, 3, 0);
            if (request) open.add(request);
          } else if (kind === 'begin' && any && !arriving.has(any.peer)) {
            arriving.set(any.peer, { request: any, target: active.beginReceive(any) });
          } else if (kind === 'end') {
            const answer = arriving.get(peer);
            if (!answer) continue;
            arriving.delete(peer);
            if (!open.delete(answer.request)) continue;
            answer.target?.fill(peer.charCodeAt(0));
            for (const other of active.endReceive(answer.request) ?? []) assert.ok(!active.isNeeded(other));
          } else if (kind === 'release' && any) {
            open.delete(any);
            active.release(any);
          } else if (kind === 'discard') {
            active.discard(pick % active.blocks);
          }
          let free = 0;
          for (let block = 0; block < active.blocks; block++) {
            const askers = active.askers(block);
            for (const asker of askers) assert.ok(open.has(asker), 'a request that is not open');
            const sender = active.sender(block);
            if (sender !== undefined) assert.equal(active.buffer.bytes[block * BLOCK], sender.charCodeAt(0));
            if (askers.length === 0 && !active.isReceived(block)) free++;
          }
          assert.equal(active.free, free);
        }
      }),
      { numRuns: 500 },
    );
  });
});
