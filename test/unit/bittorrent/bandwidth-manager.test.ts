import assert from 'node:assert/strict';
import { BandwidthManager, type TransferBandwidth } from '../../../src/bittorrent/bandwidth-manager.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

/** A socket that always has more: a chunk of up to `size` bytes as soon as the one before was read. */
class Sender {
  read = 0;
  readonly #clock: VirtualClock;
  readonly #size: number;
  readonly #turnaround: number;
  readonly #connection;
  #left = 0;
  #stopped = false;

  constructor(clock: VirtualClock, transfer: TransferBandwidth, size = 16_384, turnaround = 0) {
    this.#clock = clock;
    this.#size = size;
    this.#turnaround = turnaround;
    this.#connection = transfer.connection((bytes) => {
      this.#onRead(bytes);
    });
    this.#next();
  }

  #next(): void {
    this.#clock.setTimeout(() => {
      if (this.#stopped) return;
      this.#left = this.#size;
      this.#onRead(this.#connection.take(this.#size));
    }, this.#turnaround);
  }

  #onRead(bytes: number): void {
    assert.ok(bytes <= this.#left, 'more was granted than was there');
    this.read += bytes;
    this.#left -= bytes;
    if (this.#left === 0) this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#connection.dispose();
  }
}

const total = (senders: readonly Sender[]): number => senders.reduce((sum, { read }) => sum + read, 0);

function within5Percent(actual: number, expected: number, what: string): void {
  const off = actual / expected - 1;
  assert.ok(Math.abs(off) < 0.05, `${what}: ${actual} of ${expected} bytes, off by ${(off * 100).toFixed(1)} %`);
}

/** Checks every window of 5 s that begins at a whole second. */
async function checkWindows(clock: VirtualClock, read: () => number, rate: number, seconds = 12): Promise<void> {
  const marks = [read()];
  for (let second = 1; second <= seconds; second++) {
    await clock.run(() => false, 1_000);
    marks.push(read());
    const before = marks[second - 5];
    if (before !== undefined) within5Percent(read() - before, 5 * rate, `seconds ${second - 5} to ${second}`);
  }
}

const RATES = [50_000, 1_000_000, 20_000_000, 100_000_000];

describe('bandwidth manager', () => {
  for (const rate of RATES) {
    for (const count of [1, 8]) {
      it(`keeps ${rate} bytes/s with ${count} connections from the first second on, and shares evenly`, async () => {
        const clock = new VirtualClock();
        const manager = new BandwidthManager(clock, rate);
        const transfer = manager.transfer();
        const senders = Array.from({ length: count }, () => new Sender(clock, transfer));
        await checkWindows(clock, () => total(senders), rate, 6);
        const fair = total(senders) / count;
        for (const { read } of senders) within5Percent(read, fair, 'one of them');
      });
    }
  }

  it('does not burst when chunks are large for the rate', async () => {
    const clock = new VirtualClock();
    const senders = [new Sender(clock, new BandwidthManager(clock, 50_000).transfer(), 1_048_576)];
    await checkWindows(clock, () => total(senders), 50_000);
  });

  it('does not save up for later what nobody used', async () => {
    const clock = new VirtualClock();
    const transfer = new BandwidthManager(clock, 1_000_000).transfer();
    await clock.run(() => false, 600_000);
    const senders = [new Sender(clock, transfer)];
    await checkWindows(clock, () => total(senders), 1_000_000, 6);
  });

  for (const [from, to] of [
    [100_000_000, 50_000],
    [50_000, 1_000_000],
    [1_000_000, 50_000],
    [0, 1_000_000],
    [5_000, 20_000_000],
  ] as const) {
    it(`a change from ${from} to ${to} bytes/s holds at once`, async () => {
      const clock = new VirtualClock();
      const manager = new BandwidthManager(clock, from);
      const senders = [new Sender(clock, manager.transfer(), 16_384, 0.1)];
      await clock.run(() => false, 3_333);
      manager.setRate(to);
      const before = total(senders);
      await clock.run(() => false, 5_000);
      within5Percent(total(senders) - before, 5 * to, 'after the change');
    });
  }

  it('lets everything through when the limit is lifted', async () => {
    const clock = new VirtualClock();
    const manager = new BandwidthManager(clock, 1_000);
    let read = 0;
    const connection = manager.transfer().connection((bytes) => {
      read += bytes;
    });
    read += connection.take(1_000_000);
    await clock.run(() => false, 100);
    assert.ok(connection.waiting && read < 2_000);
    manager.setRate(0);
    assert.ok(!connection.waiting);
    assert.equal(read, 1_000_000);
    assert.equal(clock.pending, 0);
  });

  it('holds the limit of a transfer within that of all, and gives the others what it leaves', async () => {
    const clock = new VirtualClock();
    const manager = new BandwidthManager(clock, 1_000_000);
    const slow = manager.transfer();
    slow.setRate(200_000);
    assert.deepEqual([slow.rate, manager.rate], [200_000, 1_000_000]);
    const limited = [new Sender(clock, slow), new Sender(clock, slow)];
    const free = [new Sender(clock, manager.transfer())];
    await clock.run(() => false, 5_000);
    within5Percent(total(limited), 1_000_000, 'the limited transfer');
    within5Percent(total(free), 4_000_000, 'the other');
    slow.setRate(0);
    const before = [total(limited), total(free)] as const;
    await clock.run(() => false, 5_000);
    within5Percent(total(limited) - before[0], 2_500_000, 'the limited transfer, set free');
    within5Percent(total(free) - before[1], 2_500_000, 'the other, then');
  });

  it('keeps the limit of a transfer when there is none for all', async () => {
    const clock = new VirtualClock();
    const transfer = new BandwidthManager(clock).transfer();
    transfer.setRate(50_000);
    const senders = [new Sender(clock, transfer), new Sender(clock, transfer)];
    await checkWindows(clock, () => total(senders), 50_000, 6);
  });

  for (const rate of [50_000, 1_000_000, 20_000_000]) {
    it(`serves high before normal before low, starves nobody, at ${rate} bytes/s`, async () => {
      const clock = new VirtualClock();
      const manager = new BandwidthManager(clock, rate);
      // Data takes a moment to come; the low ones have more connections, which must not help them.
      const low = Array.from({ length: 4 }, () => new Sender(clock, manager.transfer('low'), 16_384, 0.1));
      const normal = [new Sender(clock, manager.transfer('normal'), 16_384, 0.1)];
      const high = [new Sender(clock, manager.transfer('high'), 16_384, 0.1)];
      await clock.run(() => false, 20_000);
      const all = 20 * rate;
      within5Percent(total([...low, ...normal, ...high]), all, 'all');
      within5Percent(total(high), (all * 100) / 111, 'high');
      assert.ok(total(normal) > all * 0.07 && total(normal) < all * 0.11, `normal got ${total(normal)}`);
      assert.ok(total(low) > all * 0.005 && total(low) < all * 0.02, `low got ${total(low)}`);
      high[0]!.stop();
      const before = total(normal);
      await clock.run(() => false, 5_000);
      within5Percent(total(normal) - before, (5 * rate * 10) / 11, 'normal, when high has ended');
      normal[0]!.stop();
      const left = total(low);
      await clock.run(() => false, 5_000);
      within5Percent(total(low) - left, 5 * rate, 'low, when it is alone');
    });
  }

  it('wastes nothing on a high one that cannot take all of it', async () => {
    const clock = new VirtualClock();
    const manager = new BandwidthManager(clock, 20_000_000);
    // 16 KiB in a millisecond.
    const high = [new Sender(clock, manager.transfer('high'), 16_384, 1)];
    const low = Array.from({ length: 4 }, () => new Sender(clock, manager.transfer('low'), 16_384, 1));
    await clock.run(() => false, 5_000);
    within5Percent(total(high), 5 * 16_384_000, 'high');
    within5Percent(total([...high, ...low]), 100_000_000, 'all');
  });

  it('gives what the first cannot use to the next', async () => {
    const clock = new VirtualClock();
    const manager = new BandwidthManager(clock, 1_000_000);
    // 16 KiB in 64 ms: a quarter of the rate.
    const high = [new Sender(clock, manager.transfer('high'), 16_384, 64)];
    const low = [new Sender(clock, manager.transfer('low'))];
    await clock.run(() => false, 5_000);
    assert.ok(total(high) > 1_100_000, `a slow sender of high priority got ${total(high)}`);
    within5Percent(total([...high, ...low]), 5_000_000, 'both');
  });

  it('a changed priority holds at once', async () => {
    const clock = new VirtualClock();
    const manager = new BandwidthManager(clock, 1_000_000);
    const [a, b] = [manager.transfer(), manager.transfer()];
    const [first, second] = [new Sender(clock, a), new Sender(clock, b)];
    await clock.run(() => false, 5_000);
    within5Percent(first.read, second.read, 'both are normal');
    b.setPriority('high');
    const before = [first.read, second.read] as const;
    await clock.run(() => false, 5_000);
    within5Percent(second.read - before[1], (5_000_000 * 10) / 11, 'now high');
    b.setPriority('low');
    const after = [first.read, second.read] as const;
    await clock.run(() => false, 5_000);
    within5Percent(first.read - after[0], (5_000_000 * 10) / 11, 'normal beside low');
  });

  it('leaves no timer behind', async () => {
    const clock = new VirtualClock();
    const manager = new BandwidthManager(clock, 1_000);
    const sender = new Sender(clock, manager.transfer());
    await clock.run(() => false, 5_000);
    sender.stop();
    assert.equal(clock.pending, 0);
  });
});
