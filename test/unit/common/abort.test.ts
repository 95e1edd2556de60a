import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { abortable, abortReason, onAbort, withTimeLimit } from '../../../src/common/abort.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

describe('aborting', () => {
  let controller: AbortController;
  beforeEach(() => {
    controller = new AbortController();
  });
  const listeners = (): number => getEventListeners(controller.signal, 'abort').length;

  it('gives the reason as an error of ours', () => {
    const closed = new PeerwireError('closed', 'The peer is closing.');
    controller.abort(closed);
    assert.equal(abortReason(controller.signal), closed);
    assert.equal(abortReason(AbortSignal.abort()).code, 'cancelled');
    assert.equal(abortReason(AbortSignal.abort('text')).code, 'cancelled');
  });

  it('calls back once, now or later, and not when disposed', () => {
    const heard: string[] = [];
    onAbort(controller.signal, ({ code }) => heard.push(`later ${code}`));
    onAbort(controller.signal, () => heard.push('never')).dispose();
    assert.equal(heard.length, 0);
    controller.abort();
    onAbort(controller.signal, () => heard.push('now'));
    assert.deepEqual(heard, ['later cancelled', 'now']);
    assert.equal(listeners(), 0);
  });

  it('lets a promise be waited for no longer, and leaves nothing behind', async () => {
    assert.equal(await abortable(controller.signal, Promise.resolve(5)), 5);
    await assert.rejects(abortable(controller.signal, Promise.reject(new Error('its own'))), /its own/);
    assert.equal(listeners(), 0);
    const waiting = abortable(controller.signal, new Promise(() => undefined));
    assert.equal(listeners(), 1);
    controller.abort(new PeerwireError('timeout', 'Too long.'));
    await assert.rejects(waiting, { code: 'timeout' });
    await assert.rejects(abortable(controller.signal, Promise.reject(new Error('late'))), { code: 'timeout' });
    assert.equal(listeners(), 0);
  });

  describe('with a time limit', () => {
    const clock = new VirtualClock();
    const forever = (signal: AbortSignal): Promise<never> => new Promise((_, reject) => onAbort(signal, reject));

    it('gives what the action gives, and leaves no timer behind', async () => {
      assert.equal(await withTimeLimit({ clock, limit: 10 }, () => Promise.resolve(5)), 5);
      await assert.rejects(
        withTimeLimit({ clock, limit: 10 }, () => Promise.reject(new Error('its own'))),
        /its own/,
      );
      assert.equal(clock.pending, 0);
    });

    it('tells the action that its time is over, for the reason given', async () => {
      const late = assert.rejects(withTimeLimit({ clock, limit: 10 }, forever), { code: 'timeout' });
      const reason = (): PeerwireError => new PeerwireError('no-sources', 'Nobody answers.');
      const unanswered = assert.rejects(withTimeLimit({ clock, limit: 10, reason }, forever), { code: 'no-sources' });
      await clock.run(() => false, 10);
      await Promise.all([late, unanswered]);
    });

    it('passes on that it is aborted', async () => {
      const waiting = withTimeLimit({ clock, limit: 10, signal: controller.signal }, forever);
      controller.abort();
      await assert.rejects(waiting, { code: 'cancelled' });
      assert.equal(clock.pending, 0);
    });
  });
});
