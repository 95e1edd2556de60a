import assert from 'node:assert/strict';
import { EventThrottle } from '../../../src/cli/event-throttle.ts';

describe('EventThrottle', () => {
  it('passes the first value at once, then the latest, each key by itself', async () => {
    let wake = (): void => undefined;
    const seen: string[] = [];
    const throttle = new EventThrottle<string>(20, (value) => {
      seen.push(value);
      wake();
    });
    throttle.push('a', 'a1', false);
    throttle.push('b', 'b1', false);
    assert.deepEqual(seen, ['a1', 'b1']);
    const later = new Promise<void>((resolve) => {
      wake = resolve;
    });
    throttle.push('a', 'a2', false);
    throttle.push('a', 'a3', false);
    assert.deepEqual(seen, ['a1', 'b1']);
    await later;
    assert.deepEqual(seen, ['a1', 'b1', 'a3']);
    throttle.dispose();
  });

  it('passes a final value at once, and nothing of its key after it', async () => {
    const seen: string[] = [];
    let wake = (): void => undefined;
    const later = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const throttle = new EventThrottle<string>(5, (value) => {
      seen.push(value);
      if (value === 'b2') wake();
    });
    throttle.push('a', 'a1', false);
    throttle.push('a', 'a2', false);
    throttle.push('a', 'done', true);
    // The timer of `b` was started last: one that was left of `a` fires before it.
    throttle.push('b', 'b1', false);
    throttle.push('b', 'b2', false);
    await later;
    assert.deepEqual(seen, ['a1', 'done', 'b1', 'b2']);
    throttle.push('a', 'again', false);
    assert.equal(seen.at(-1), 'again');
    throttle.dispose();
  });

  it('passes what waits when it is disposed', () => {
    const seen: string[] = [];
    const throttle = new EventThrottle<string>(60_000, (value) => seen.push(value));
    throttle.push('a', 'a1', false);
    throttle.push('a', 'a2', false);
    throttle.dispose();
    assert.deepEqual(seen, ['a1', 'a2']);
  });
});
