import assert from 'node:assert/strict';
import { RateLimiter } from '../../../src/bittorrent/rate-limiter.ts';
import { RateMeter } from '../../../src/bittorrent/rate-meter.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

describe('rates', () => {
  it('RateLimiter holds its rate within 5 percent over 5 seconds', async () => {
    const clock = new VirtualClock();
    const limiter = new RateLimiter(clock, 1_000_000);
    let sent = 0;
    const send = (): void => {
      while (limiter.wait() === 0) {
        limiter.spend(16_384);
        sent += 16_384;
      }
      clock.setTimeout(send, limiter.wait());
    };
    send();
    await clock.run(() => false, 5_000);
    assert.ok(Math.abs(sent - 5_000_000) < 250_000, `${sent}`);
  });

  it('RateLimiter without a rate never waits', () => {
    const limiter = new RateLimiter(new VirtualClock(), 0);
    limiter.spend(1e12);
    assert.equal(limiter.wait(), 0);
  });

  it('a debt of RateLimiter weighs no more bytes and no more time when the rate changes', () => {
    const limiter = new RateLimiter(new VirtualClock(), 1_000_000);
    limiter.spend(50_000);
    limiter.setRate(100);
    assert.equal(limiter.wait(), 50);
    limiter.setRate(1_000_000);
    assert.equal(limiter.wait(), 1);
  });

  it('RateLimiter within another keeps both, and tells of a change of either', () => {
    const clock = new VirtualClock();
    const all = new RateLimiter(clock, 1_000);
    const one = new RateLimiter(clock, 0, all);
    let changes = 0;
    const listening = one.onChange(() => changes++);
    assert.equal(one.rate, 1_000);
    one.setRate(100);
    assert.equal(one.rate, 100);
    one.spend(50);
    assert.deepEqual([one.wait(), all.wait()], [500, 50]);
    all.spend(950);
    assert.deepEqual([one.wait(), all.wait()], [1_000, 1_000]);
    all.setRate(10);
    assert.equal(one.rate, 10);
    one.setRate(100);
    assert.equal(changes, 2);
    listening.dispose();
    all.setRate(0);
    assert.equal(changes, 2);
  });

  it('RateMeter measures a steady flow and forgets a flow that ended', () => {
    const meter = new RateMeter();
    for (let now = 0; now <= 10_000; now += 50) meter.add(50_000, now);
    assert.ok(Math.abs(meter.rate(10_000) - 1_000_000) < 100_000, `${meter.rate(10_000)}`);
    assert.equal(meter.rate(20_000), 0);
    assert.equal(meter.total, 201 * 50_000);
  });
});
