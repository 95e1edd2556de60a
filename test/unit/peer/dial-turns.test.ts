import assert from 'node:assert/strict';
import { DialTurns } from '../../../src/peer/dial-turns.ts';
import { peerKey } from '../../../src/peer/network/channel.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { advance, testPeer } from './network/support.ts';

describe('DialTurns', () => {
  const [small, large] = [testPeer(), testPeer()].sort((a, b) => (peerKey(a) < peerKey(b) ? -1 : 1));
  let clock: VirtualClock;

  beforeEach(() => {
    clock = new VirtualClock();
  });

  it('lets one of two dial at once, and the other when the first did not', async () => {
    assert.equal(new DialTurns(small!, clock).isOurs(large!), true);
    const turns = new DialTurns(large!, clock);
    assert.equal(turns.isOurs(small!), false);
    await advance(clock, 2_000);
    assert.equal(turns.isOurs(small!), false);
    await advance(clock, 1_000);
    assert.equal(turns.isOurs(small!), true);
  });

  it('waits anew after the two were connected', async () => {
    const turns = new DialTurns(large!, clock);
    turns.isOurs(small!);
    await advance(clock, 3_000);
    turns.met(small!);
    assert.equal(turns.isOurs(small!), false);
  });
});
