import assert from 'node:assert/strict';
import { Throttle } from '../../../src/common/throttle.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { advance } from '../peer/network/support.ts';

describe('Throttle', () => {
  let clock: VirtualClock;
  let runs: number[];
  let throttle: Throttle;

  beforeEach(() => {
    clock = new VirtualClock();
    runs = [];
    const start = clock.now();
    throttle = new Throttle(clock, 100, () => runs.push(clock.now() - start));
  });

  it('runs at once, then once at the end of each pause in which it was asked', async () => {
    throttle.run();
    assert.deepEqual(runs, [0]);
    await advance(clock, 40);
    throttle.run();
    throttle.run();
    assert.deepEqual(runs, [0]);
    await advance(clock, 300);
    assert.deepEqual(runs, [0, 100]);
    throttle.run();
    assert.deepEqual(runs, [0, 100, 340]);
  });

  it('can be hurried, and does nothing twice', async () => {
    throttle.run();
    throttle.flush();
    assert.deepEqual(runs, [0]);
    throttle.run();
    await advance(clock, 10);
    throttle.flush();
    assert.deepEqual(runs, [0, 10]);
    await advance(clock, 300);
    assert.deepEqual(runs, [0, 10]);
  });

  it('does nothing once disposed', async () => {
    throttle.run();
    throttle.run();
    throttle.dispose();
    throttle.run();
    throttle.flush();
    await advance(clock, 300);
    assert.deepEqual(runs, [0]);
  });
});
