import assert from 'node:assert/strict';
import { settle } from '../../../src/cli/settle.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { fakeApi } from './fake-api.ts';

const options = { wait: 5000, quiet: 5, signal: new AbortController().signal };
const notEmpty = (list: readonly unknown[]): boolean => list.length > 0;

describe('settle', () => {
  it('returns at once what is enough, when no time is given for more', async () => {
    const { api } = fakeApi({});
    assert.deepEqual(await settle(api, async () => [1], notEmpty, { ...options, quiet: 0 }), [1]);
    assert.deepEqual(await settle(api, async () => [], notEmpty, { ...options, wait: 0 }), []);
  });

  it('asks again after events, until the list is not empty and quiet', async () => {
    const { api, fire, events } = fakeApi({});
    const answers: number[][] = [[], [], [1], [1, 2]];
    let asked = 0;
    const settled = settle(
      api,
      async () => {
        const answer = answers[Math.min(asked++, 3)]!;
        // The next change comes while the answer is under way: it must not be missed.
        if (asked < 4) fire({ event: 'shares' });
        return answer;
      },
      notEmpty,
      options,
    );
    assert.deepEqual(await settled, [1, 2]);
    assert.equal(events.hasListeners, false);
  });

  it('is not kept busy by events that change nothing', async () => {
    const { api, fire } = fakeApi({});
    const noise = setInterval(() => fire({ event: 'shares' }), 1);
    try {
      assert.deepEqual(await settle(api, async () => [1], notEmpty, options), [1]);
    } finally {
      clearInterval(noise);
    }
  });

  it('returns what there is when the time is over', async () => {
    const { api } = fakeApi({});
    assert.deepEqual(await settle(api, async () => [], notEmpty, { ...options, wait: 10 }), []);
  });

  it('rejects when it is interrupted, or when asking fails', async () => {
    const { api, events } = fakeApi({});
    const controller = new AbortController();
    const settled = settle(api, async () => [], notEmpty, { ...options, signal: controller.signal });
    controller.abort(new PeerwireError('cancelled', 'Interrupted.'));
    await assert.rejects(settled, /Interrupted/);
    await assert.rejects(
      settle(api, () => api.shares(), notEmpty, options),
      /does not expect shares/,
    );
    assert.equal(events.hasListeners, false);
  });
});
