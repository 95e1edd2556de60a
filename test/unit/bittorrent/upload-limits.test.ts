/** Rate limits of what is sent, exactly, under a virtual clock: the limiter and the scheduler that asks it. */
import assert from 'node:assert/strict';
import { RateLimiter } from '../../../src/bittorrent/rate-limiter.ts';
import { type UploadLane, UploadScheduler } from '../../../src/bittorrent/upload-scheduler.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

/** A block message of 16 KiB. */
const BLOCK = 16_384 + 13;

/** Connections of as many devices that always want more; what they were sent. */
function receivers(clock: VirtualClock, scheduler: UploadScheduler, limiter: RateLimiter, count: number): number[] {
  const sent = new Array<number>(count).fill(0);
  for (let index = 0; index < count; index++) {
    const lane: UploadLane = scheduler.add(`device ${index}`, {
      limiter,
      serve: (limit) => {
        const bytes = Math.max(1, Math.floor(limit / 16_384)) * BLOCK;
        sent[index]! += bytes;
        clock.setTimeout(() => lane.sent(bytes), 1);
        return bytes;
      },
    });
    lane.wake();
  }
  return sent;
}

const total = (sent: readonly number[]): number => sent.reduce((sum, bytes) => sum + bytes, 0);

function within5Percent(actual: number, expected: number, what: string): void {
  const off = (actual / expected - 1) * 100;
  assert.ok(Math.abs(off) < 5, `${what}: ${actual} of ${expected} bytes, off by ${off.toFixed(1)} %`);
}

describe('upload limits', () => {
  for (const rate of [50_000, 1_000_000, 20_000_000, 100_000_000]) {
    for (const count of [1, 8]) {
      it(`${rate} bytes/s to ${count} receivers, in every window of 5 s from the first second on`, async () => {
        const clock = new VirtualClock(1);
        const sent = receivers(clock, new UploadScheduler(clock), new RateLimiter(clock, rate), count);
        const marks = [0];
        for (let second = 1; second <= 10; second++) {
          await clock.run(() => false, 1_000);
          marks.push(total(sent));
          if (second >= 5) within5Percent(total(sent) - marks[second - 5]!, 5 * rate, `until second ${second}`);
        }
        const fair = total(sent) / count;
        for (const bytes of sent)
          assert.ok(Math.abs(bytes - fair) < fair * 0.05 + 2 * BLOCK, `${bytes} is not ${fair}`);
      });
    }
  }

  for (const [from, to] of [
    [50_000, 1_000_000],
    [5_000, 20_000_000],
    [100_000_000, 50_000],
    [0, 1_000_000],
  ] as const) {
    it(`a change from ${from} to ${to} bytes/s holds at once`, async () => {
      const clock = new VirtualClock(1);
      const limiter = new RateLimiter(clock, from);
      const sent = receivers(clock, new UploadScheduler(clock), limiter, 1);
      await clock.run(() => false, 1_500);
      limiter.setRate(to);
      const before = total(sent);
      await clock.run(() => false, 5_000);
      within5Percent(total(sent) - before, 5 * to, 'after the change');
    });
  }

  it('one swarm keeps its own limit, and the others get the rest of the one for all', async () => {
    const clock = new VirtualClock(1);
    const scheduler = new UploadScheduler(clock);
    const all = new RateLimiter(clock, 2_000_000);
    const own = new RateLimiter(clock, 300_000, all);
    const slow = receivers(clock, scheduler, own, 2);
    const fast = receivers(clock, scheduler, new RateLimiter(clock, 0, all), 1);
    await clock.run(() => false, 5_000);
    within5Percent(total(slow), 1_500_000, 'the limited swarm');
    within5Percent(total(slow) + total(fast), 10_000_000, 'all');
    own.setRate(1_000_000);
    const before = total(slow);
    await clock.run(() => false, 5_000);
    within5Percent(total(slow) - before, 5_000_000, 'the limited swarm, later');
  });
});
