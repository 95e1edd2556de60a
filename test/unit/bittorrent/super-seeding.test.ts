import assert from 'node:assert/strict';
import { SuperSeeding, type Verdict } from '../../../src/bittorrent/super-seeding.ts';

describe('super-seeding', () => {
  let seeding: SuperSeeding<string>;
  beforeEach(() => {
    seeding = new SuperSeeding();
    for (const peer of ['ann', 'ben', 'cid']) seeding.add(peer, 0);
  });

  function verdict(peer: string, piece: number, now: number, holders: string[] = [], onItsWay = false): Verdict {
    return seeding.verdict(peer, piece, now, holders, () => onItsWay);
  }

  /** Somebody gave it a piece that we did not send it. */
  function feed(peer: string, now: number): void {
    seeding.onHave(peer, 999, now);
  }

  it('serves what nobody was sent yet', () => {
    assert.equal(verdict('ann', 1, 0), 'serve');
  });

  it('sends a piece to one at a time', () => {
    seeding.onServed('ann', 1, 100, 16_384, 1 << 20);
    assert.equal(verdict('ann', 1, 110), 'serve');
    assert.equal(verdict('ben', 1, 110), 'wait');
  });

  it('what the one lets lie another may have', () => {
    seeding.onServed('ann', 1, 100, 16_384, 1 << 20);
    assert.equal(verdict('ben', 1, 1_200, [], true), 'wait');
    assert.equal(verdict('ben', 1, 1_200, [], false), 'serve');
  });

  it('waits for nobody who takes nothing, or next to nothing, of it', () => {
    seeding.onServed('ann', 1, 0, 16_384, 1 << 20);
    assert.equal(verdict('ben', 1, 9_000, [], true), 'wait');
    assert.equal(verdict('ben', 1, 10_000, [], true), 'serve', 'ann does not read');
    for (let now = 0; now <= 10_500; now += 500) seeding.onServed('cid', 2, now, 1, 1 << 20);
    assert.equal(verdict('ben', 2, 10_600, [], true), 'serve', 'cid asks for single bytes');
    for (let now = 0; now <= 30_000; now += 500) seeding.onServed('cid', 3, now, 16_384, 1 << 20);
    assert.equal(verdict('ben', 3, 30_100, [], true), 'wait', 'cid gets it as fast as can be');
    for (let now = 40_000; now <= 55_000; now += 500) seeding.onServed('cid', 4, now, 16_384, 65_536);
    assert.equal(verdict('ben', 4, 55_100, [], true), 'serve', 'cid asks for the same again and again');
  });

  it('what one who left was being sent another may have', () => {
    seeding.onServed('ann', 1, 100, 16_384, 1 << 20);
    seeding.remove('ann');
    assert.equal(verdict('ben', 1, 110), 'serve');
  });

  it('sends elsewhere whom others feed', () => {
    seeding.onServed('ann', 1, 100, 16_384, 1 << 20);
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
    seeding.onServed('ann', 1, 0, 16_384, 1 << 20);
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
