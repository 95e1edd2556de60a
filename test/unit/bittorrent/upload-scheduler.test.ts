import assert from 'node:assert/strict';
import { RateLimiter } from '../../../src/bittorrent/rate-limiter.ts';
import { type UploadLane, UploadScheduler } from '../../../src/bittorrent/upload-scheduler.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

const MiB = 1024 * 1024;
const RATE = 1_000_000;

describe('upload scheduler', () => {
  let clock: VirtualClock;
  let scheduler: UploadScheduler;
  let limiter: RateLimiter;
  beforeEach(() => {
    clock = new VirtualClock();
    scheduler = new UploadScheduler(clock);
    limiter = new RateLimiter(clock, RATE);
  });
  afterEach(() => scheduler.dispose());

  interface Taker {
    readonly lane: UploadLane;
    sent: number;
    /** Bytes that it still wants. */
    wants: number;
    /** When the last of them was taken up, in ms. */
    doneAt: number;
  }

  /** A connection that wants so many bytes; what it is served is sent at once, or never. */
  function taker(device: string, wants: number, options: { reads?: boolean; limiter?: RateLimiter } = {}): Taker {
    const serve = (limit: number): number => {
      const bytes = Math.min(limit, result.wants);
      result.wants -= bytes;
      result.sent += bytes;
      if (bytes > 0) result.doneAt = clock.now();
      if (options.reads !== false && bytes > 0) queueMicrotask(() => result.lane.sent(bytes));
      return bytes;
    };
    const lane = scheduler.add(device, { limiter: options.limiter ?? limiter, serve });
    const result: Taker = { lane, sent: 0, wants, doneAt: Number.NaN };
    lane.wake();
    return result;
  }

  async function pass(ms: number): Promise<void> {
    let over = false;
    clock.setTimeout(() => {
      over = true;
    }, ms);
    await clock.run(() => over, ms);
  }

  function isNear(figure: number, expected: number, what: string): void {
    assert.ok(Math.abs(figure / expected - 1) < 0.1, `${what}: ${figure} is not about ${expected}`);
  }

  it('one_device_with_many_connections_gets_no_more_than_one_with_one', async () => {
    const many = Array.from({ length: 4 }, () => taker('many', Number.POSITIVE_INFINITY));
    const one = taker('one', Number.POSITIVE_INFINITY);
    await pass(10_000);
    isNear(one.sent, 5 * RATE, 'one');
    isNear(
      many.reduce((sum, { sent }) => sum + sent, 0),
      5 * RATE,
      'many',
    );
    for (const { sent } of many) isNear(sent, (5 * RATE) / 4, 'one of many');
  });

  it('what_one_leaves_the_others_get', async () => {
    const little = taker('little', RATE);
    const much = taker('much', Number.POSITIVE_INFINITY);
    await pass(10_000);
    assert.equal(little.sent, RATE);
    isNear(much.sent, 9 * RATE, 'much');
  });

  it('a_late_small_request_is_served_before_those_that_had_much', async () => {
    for (const device of ['a', 'b']) taker(device, Number.POSITIVE_INFINITY);
    await pass(5_000);
    const late = taker('late', 50_000);
    await pass(1_000);
    assert.ok(late.doneAt <= 5_200, `${late.doneAt}`);
  });

  it('who_comes_late_does_not_catch_up_with_what_it_missed', async () => {
    const early = taker('early', Number.POSITIVE_INFINITY);
    await pass(10_000);
    const before = early.sent;
    const late = taker('late', Number.POSITIVE_INFINITY);
    await pass(4_000);
    isNear(late.sent, 2 * RATE, 'late');
    isNear(early.sent - before, 2 * RATE, 'early');
  });

  it('a_limit_of_its_own_leaves_the_rest_to_others', async () => {
    const own = new RateLimiter(clock, RATE / 10, limiter);
    const slow = taker('slow', Number.POSITIVE_INFINITY, { limiter: own });
    const fast = taker('fast', Number.POSITIVE_INFINITY);
    await pass(10_000);
    isNear(slow.sent, RATE, 'slow');
    isNear(fast.sent, 9 * RATE, 'fast');
  });

  it('background_is_served_by_what_is_left', async () => {
    const background = taker('background', Number.POSITIVE_INFINITY);
    background.lane.background = true;
    const first = taker('first', 3 * RATE);
    await pass(2_000);
    assert.ok(background.sent <= RATE / 4, `${background.sent}`);
    await pass(8_000);
    assert.equal(first.sent, 3 * RATE);
    isNear(background.sent, 7 * RATE, 'background');
  });

  it('those_that_never_read_hold_bounded_memory_and_keep_nobody_from_being_served', async () => {
    limiter.setRate(0);
    for (let device = 0; device < 20; device++)
      for (let lane = 0; lane < 4; lane++) taker(`deaf${device}`, Number.POSITIVE_INFINITY, { reads: false });
    await pass(100);
    assert.ok(scheduler.memory <= 40 * MiB, `${scheduler.memory} bytes`);
    const reader = taker('reader', 64 * MiB);
    await pass(100);
    assert.equal(reader.wants, 0);
  });

  it('tiny_batches_of_a_device_are_bounded_in_number', async () => {
    const lanes: UploadLane[] = [];
    let served = 0;
    const serve = (): number => {
      served++;
      return 14;
    };
    for (let index = 0; index < 3; index++) {
      const lane = scheduler.add('tiny', { limiter: new RateLimiter(clock), serve });
      lanes.push(lane);
      lane.wake();
    }
    await pass(1);
    assert.equal(served, 32);
    lanes[0]?.sent(14);
    await pass(1);
    assert.equal(served, 33);
    lanes[0]?.dispose();
    await pass(1);
    assert.ok(served > 33, 'what went with a connection makes room');
    for (const lane of lanes) lane.dispose();
  });

  it('reads_ahead_for_a_connection_as_much_as_it_drained_up_to_3_MiB_and_a_quarter_at_first', async () => {
    limiter.setRate(0);
    const { lane } = taker('deaf', Number.POSITIVE_INFINITY, { reads: false });
    await pass(100);
    assert.equal(scheduler.memory, MiB / 4);
    lane.sent(MiB / 4);
    await pass(100);
    assert.equal(scheduler.memory, MiB / 2);
    for (const bytes of [MiB / 2, MiB, 2 * MiB, 3 * MiB]) {
      lane.sent(bytes);
      await pass(100);
    }
    assert.equal(scheduler.memory, 3 * MiB);
  });

  it('reads_ahead_little_for_a_connection_that_takes_long', async () => {
    limiter.setRate(0);
    const { lane } = taker('slow', Number.POSITIVE_INFINITY, { reads: false });
    await pass(6_000);
    lane.sent(MiB / 4);
    await pass(1_000);
    assert.equal(scheduler.memory, MiB / 8);
    lane.sent(MiB / 8);
    await pass(100);
    assert.equal(scheduler.memory, MiB / 4);
  });

  it('gives_back_what_a_connection_held_when_it_goes', async () => {
    limiter.setRate(0);
    const { lane } = taker('deaf', Number.POSITIVE_INFINITY, { reads: false });
    lane.setRequests(8192);
    assert.equal(lane.hasRoom, false);
    await pass(100);
    lane.dispose();
    lane.dispose();
    lane.sent(MiB);
    assert.equal(scheduler.memory, 0);
    assert.equal(taker('deaf', 0).lane.hasRoom, true);
  });

  it('bounds_the_requests_of_a_device_over_its_connections', () => {
    const [a, b] = [taker('device', 0).lane, taker('device', 0).lane];
    a.setRequests(8000);
    b.setRequests(192);
    assert.equal(b.hasRoom, false);
    assert.equal(taker('other', 0).lane.hasRoom, true);
    a.setRequests(7999);
    assert.equal(b.hasRoom, true);
  });

  it('hashes_for_one_device_once_at_a_time_and_for_all_four_times', () => {
    const first = scheduler.beginHashing('a');
    assert.ok(first);
    assert.equal(scheduler.beginHashing('a'), undefined);
    for (const device of ['b', 'c', 'd']) assert.ok(scheduler.beginHashing(device));
    assert.equal(scheduler.beginHashing('e'), undefined);
    first.dispose();
    first.dispose();
    assert.ok(scheduler.beginHashing('e'));
    assert.equal(scheduler.beginHashing('a'), undefined);
  });

  it('leaves_no_timer', async () => {
    taker('a', Number.POSITIVE_INFINITY);
    await pass(1_000);
    scheduler.dispose();
    assert.equal(clock.pending, 0);
  });
});
