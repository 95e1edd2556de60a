import assert from 'node:assert/strict';
import { ActivePiece } from '../../../src/bittorrent/active-piece.ts';
import { ActivePieces } from '../../../src/bittorrent/active-pieces.ts';
import { PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';

const BLOCK = 16_384;

describe('ActivePieces', () => {
  const buffers = new PieceBuffers(1024 * 1024);
  const buffer = buffers.take(2 * BLOCK, 'first')!;

  function piece(index: number, blocks: number, owner?: string): ActivePiece<string> {
    return new ActivePiece(index, blocks * BLOCK, buffer, owner);
  }

  it('finds what a peer can continue without looking at those of which all was asked for', () => {
    const pieces = new ActivePieces<string>();
    let looks = 0;
    const mayAsk = (): boolean => {
      looks++;
      return true;
    };
    for (let index = 0; index < 20_000; index++) {
      const active = piece(index, 1, index % 2 === 0 ? 'a' : undefined);
      pieces.add(active);
      assert.equal(pieces.partial, 1);
      assert.equal(pieces.continuedBy('a', mayAsk), active);
      assert.equal(pieces.helpedBy(mayAsk), active);
      assert.ok(active.request('a', 1, 0));
      pieces.update(active);
      assert.equal(pieces.continuedBy('a', mayAsk), undefined);
      assert.equal(pieces.helpedBy(mayAsk), undefined);
    }
    assert.equal(looks, 40_000);
    assert.equal(pieces.size, 20_000);
  });

  it('gives a peer its own first, then those of nobody, and those of others only to help', () => {
    const pieces = new ActivePieces<string>();
    const [others, nobodys, own] = [piece(1, 2, 'b'), piece(2, 2), piece(3, 2, 'a')];
    for (const active of [others, nobodys, own]) pieces.add(active);
    const all = (): boolean => true;
    assert.equal(pieces.continuedBy('a', all), own);
    assert.equal(
      pieces.continuedBy('a', (index) => index !== 3),
      nobodys,
    );
    assert.equal(
      pieces.continuedBy('a', (index) => index === 1),
      undefined,
    );
    assert.equal(
      pieces.helpedBy((index) => index === 1),
      others,
    );
    pieces.setOwner(others, undefined);
    assert.equal(
      pieces.continuedBy('a', (index) => index === 1),
      others,
    );
    assert.deepEqual(pieces.ownedBy('b'), []);
    pieces.delete(own);
    assert.deepEqual(pieces.ownedBy('a'), []);
    assert.equal(pieces.partial, 2);
  });
});
