import assert from 'node:assert/strict';
import { SuperSeeding, type Verdict } from '../../../src/bittorrent/super-seeding.ts';

const KiB = 1024;
/** Bytes of every piece. */
const PIECE = 1024 * KiB;

describe('super-seeding', () => {
  let seeding: SuperSeeding<string>;
  beforeEach(() => {
    seeding = new SuperSeeding();
    for (const peer of ['ann', 'ben', 'cid']) seeding.add(peer, 0);
  });

  function verdict(peer: string, piece: number, now: number, holders: string[] = [], onItsWay = false): Verdict {
    return seeding.verdict(peer, piece, now, PIECE, holders, () => onItsWay);
  }

  /** Somebody gave it a piece that we did not send it. */
  function feed(peer: string, now: number): void {
    seeding.onHave(peer, 999, now);
  }

  it('serves what nobody was sent yet', () => {
    assert.equal(verdict('ann', 1, 0), 'serve');
  });

  it('sends a piece to one at a time', () => {
    seeding.onServed('ann', 1, 100, 16 * KiB, PIECE);
    assert.equal(verdict('ann', 1, 110), 'serve');
    assert.equal(verdict('ben', 1, 110), 'wait');
  });

  it('what the one lets lie another may have', () => {
    seeding.onServed('ann', 1, 100, 16 * KiB, PIECE);
    assert.equal(verdict('ben', 1, 1_200, [], true), 'wait');
    assert.equal(verdict('ben', 1, 1_200, [], false), 'serve');
  });

  it('waits for nobody who takes nothing of it', () => {
    seeding.onServed('ann', 1, 0, 16 * KiB, PIECE);
    assert.equal(verdict('ben', 1, 9_900, [], true), 'wait');
    assert.equal(verdict('ben', 1, 10_000, [], true), 'serve', 'ann does not read');
  });

  it('waits for nobody who could have had it four times, with what everybody was sent meanwhile', () => {
    seeding.onServed('ann', 1, 0, 16 * KiB, PIECE);
    let piece = 100;
    const send = (bytes: number, now: number): void => {
      for (const peer of ['ben', 'cid']) seeding.onServed(peer, piece++, now, bytes / 2, bytes / 2);
    };
    seeding.onServed('ann', 1, 500, 1, PIECE);
    send(12 * PIECE, 900);
    assert.equal(verdict('ben', 1, 1_000, [], true), 'wait', 'it may be on its way for a while');
    for (let now = 1_500; now <= 6_000; now += 500) seeding.onServed('ann', 1, now, 1, PIECE);
    assert.equal(verdict('ben', 1, 6_000, [], true), 'wait');
    send(384 * KiB, 6_100);
    assert.equal(verdict('ben', 1, 6_100, [], true), 'serve', 'ann gets on with single bytes');
    assert.equal(verdict('ann', 1, 6_100, [], true), 'serve');
  });

  it('waits for no piece whose receiver went on to others in the middle of it', () => {
    for (const piece of [1, 2]) seeding.onServed('ann', piece, 0, 16 * KiB, PIECE);
    for (const piece of [1, 2]) assert.equal(verdict('ben', piece, 100, [], true), 'wait');
    seeding.onServed('ann', 3, 100, 1, PIECE);
    assert.equal(verdict('ben', 1, 100, [], true), 'serve');
    for (const piece of [2, 3]) assert.equal(verdict('ben', piece, 100, [], true), 'wait');
    // As many as it likes that it was sent whole.
    for (const piece of [4, 5, 6, 7]) seeding.onServed('ann', piece, 100, PIECE, PIECE);
    for (const piece of [2, 3, 4, 7]) assert.equal(verdict('ben', piece, 100, [], true), 'wait');
    seeding.onServed('ann', 1, 200, 16 * KiB, PIECE);
    assert.equal(verdict('ben', 1, 200, [], true), 'serve', 'it comes back to it');
  });

  it('what one who left was being sent another may have', () => {
    seeding.onServed('ann', 1, 100, 16 * KiB, PIECE);
    seeding.remove('ann');
    assert.equal(verdict('ben', 1, 110), 'serve');
  });

  it('sends elsewhere whom others feed', () => {
    seeding.onServed('ann', 1, 100, 16 * KiB, PIECE);
    seeding.onHave('ann', 1, 200);
    assert.equal(verdict('ben', 1, 210, ['ann']), 'serve', 'ben may reach nobody');
    feed('ben', 220);
    assert.equal(verdict('ben', 1, 230, ['ann']), 'elsewhere');
    assert.equal(verdict('ben', 1, 11_000, ['ann']), 'serve', 'nobody has fed ben for long');
  });

  it('serves who asks again', () => {
    feed('ben', 0);
    assert.equal(verdict('ben', 1, 100, ['ann']), 'elsewhere');
    assert.equal(verdict('ben', 1, 200, ['ann']), 'elsewhere', 'this was on its way already');
    assert.equal(verdict('ben', 1, 5_200, ['ann']), 'serve');
    assert.equal(verdict('ben', 2, 5_200, ['ann']), 'elsewhere');
  });

  it('serves whom it invited back, once for each piece', () => {
    feed('ben', 0);
    verdict('ben', 1, 100, ['ann']);
    verdict('ben', 2, 100, ['ann']);
    seeding.onHave('ben', 2, 150);
    assert.deepEqual(seeding.invite('ben'), [1]);
    assert.deepEqual(seeding.invite('ben'), []);
    assert.equal(verdict('ben', 1, 200, ['ann']), 'serve');
  });

  it('notices who passes nothing on, until it does', () => {
    seeding.onServed('ann', 1, 0, 16 * KiB, PIECE);
    seeding.onHave('ann', 1, 100);
    assert.equal(seeding.keeps('ann', 5_000), false);
    assert.equal(seeding.keeps('ann', 5_100), true);
    feed('ben', 5_200);
    assert.equal(verdict('ben', 1, 5_300, ['ann']), 'serve', 'ann keeps it to itself');
    assert.equal(verdict('ben', 1, 5_300, ['ann', 'cid']), 'elsewhere');
    seeding.onHave('cid', 1, 5_400);
    assert.equal(seeding.keeps('ann', 5_500), false);
  });
});
