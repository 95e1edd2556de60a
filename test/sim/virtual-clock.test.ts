import assert from 'node:assert/strict';
import { VirtualClock } from './virtual-clock.ts';

describe('VirtualClock', () => {
  it('runs timers in the order of their times, those of one moment as they were set', async () => {
    const clock = new VirtualClock(1);
    const ran: string[] = [];
    for (const [name, delay] of [
      ['c', 30],
      ['a', 10],
      ['d', 30],
      ['b', 20],
      ['gone', 15],
    ] as const) {
      const timer = clock.setTimeout(() => ran.push(`${name}${clock.now()}`), delay);
      if (name === 'gone') timer.dispose();
    }
    await clock.run(() => false, 25);
    assert.deepEqual(ran, ['a10', 'b20']);
    assert.equal(clock.pending, 2);
    await clock.run(() => false, 25);
    assert.deepEqual(ran, ['a10', 'b20', 'c30', 'd30']);
    assert.equal(clock.pending, 0);
  });

  it('a delay that is lost in rounding lets time pass: who waits for a moment again and again gets there', async () => {
    const clock = new VirtualClock(1);
    clock.setTimeout(() => {}, 4_711.123);
    await clock.run(() => false, 10_000);
    const start = clock.now();
    let turns = 0;
    const again = (): void => {
      turns++;
      if (turns < 1_000 && clock.now() <= start) clock.setTimeout(again, 1e-13);
    };
    again();
    await clock.run(() => false, 1_000);
    assert.equal(turns, 2);
  });
});
