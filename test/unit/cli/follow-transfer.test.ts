import assert from 'node:assert/strict';
import { followDownload } from '../../../src/cli/follow-transfer.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import type { PeerApi, TransferInfo } from '../../../src/peer/api.ts';
import { fakeApi, transferInfo } from './fake-api.ts';

const request = { share: 'x', destination: '/tmp', onConflict: 'fail' } as const;

/** A peer with one download, whose state the test moves. */
function setup(first: Partial<TransferInfo> = {}, methods: Partial<PeerApi> = {}, hasSource = async () => false) {
  let present = transferInfo(first);
  const paused: string[] = [];
  const updates: string[] = [];
  let started = (): void => undefined;
  const following = new Promise<void>((resolve) => {
    started = resolve;
  });
  const { api, fire, events } = fakeApi({
    download: async () => transferInfo({ state: 'waiting' }),
    transfers: async () => {
      setImmediate(started);
      return [transferInfo({ id: 'other', state: 'failed' }), present];
    },
    pauseTransfer: async (id) => {
      paused.push(id);
    },
    ...methods,
  });
  const controller = new AbortController();
  const result = followDownload(api, request, {
    onUpdate: (transfer) => updates.push(transfer.state),
    patience: 10,
    hasSource,
    signal: controller.signal,
  });
  result.catch(() => undefined);
  return {
    ...{ result, following, paused, updates, controller, fire, events },
    move(change: Partial<TransferInfo>) {
      present = transferInfo(change);
      fire({ event: 'transfer', transfer: present });
    },
  };
}

const rejectsWith = (code: string) => (error: unknown) => error instanceof PeerwireError && error.code === code;

describe('followDownload', () => {
  it('follows its own transfer to the end', async () => {
    const { result, following, move, fire, updates, paused, events } = setup();
    await following;
    fire({ event: 'transfer', transfer: transferInfo({ id: 'other', state: 'done' }) });
    fire({ event: 'shares' });
    move({ state: 'placing' });
    move({ state: 'done', path: '/tmp/notes.txt' });
    assert.equal((await result).path, '/tmp/notes.txt');
    assert.deepEqual(updates, ['downloading', 'placing', 'done']);
    assert.deepEqual(paused, []);
    assert.equal(events.hasListeners, false);
  });

  it('sees an end that came before it knew the id', async () => {
    assert.equal((await setup({ state: 'done', done: 100 }).result).done, 100);
  });

  it('rejects with the reason of a failure, and of a pause that has one', async () => {
    const failed = setup({ state: 'failed', error: { code: 'disk-full', message: 'Full.' } });
    await assert.rejects(failed.result, rejectsWith('disk-full'));
    const paused = setup({ state: 'paused', error: { code: 'permission', message: 'No.' } });
    await assert.rejects(paused.result, rejectsWith('permission'));
    await assert.rejects(setup({ state: 'paused' }).result, /the same command resumes/);
  });

  it('rejects when the transfer is removed', async () => {
    const { result, following, fire } = setup();
    await following;
    fire({ event: 'transfer-removed', id: 'other' });
    fire({ event: 'transfer-removed', id: 't1' });
    await assert.rejects(result, rejectsWith('cancelled'));
  });

  it('pauses when it is interrupted', async () => {
    const { result, following, controller, paused, events } = setup();
    await following;
    controller.abort(new PeerwireError('cancelled', 'Interrupted.'));
    await assert.rejects(result, /Interrupted/);
    assert.deepEqual(paused, ['t1']);
    assert.equal(events.hasListeners, false);
  });

  it('gives up after a time without sources, but not when one comes back', async () => {
    const stuck = setup({ state: 'waiting' });
    await assert.rejects(stuck.result, rejectsWith('no-sources'));
    assert.deepEqual(stuck.paused, ['t1']);
    const moving = setup({ state: 'waiting' });
    await moving.following;
    moving.move({ state: 'downloading' });
    moving.move({ state: 'done' });
    assert.equal((await moving.result).state, 'done');
  });

  it('is patient while there is a source, within reason', async () => {
    let asked = 0;
    const hasSource = async (): Promise<boolean> => {
      asked++;
      return true;
    };
    await assert.rejects(setup({ state: 'waiting' }, {}, hasSource).result, rejectsWith('no-sources'));
    assert.equal(asked, 4);
    const copying = setup({ state: 'waiting' }, {}, async () => {
      // Each time that somebody wonders, a little more is there.
      asked++;
      if (asked < 20) copying.move({ state: 'waiting', done: asked });
      else copying.move({ state: 'done' });
      return true;
    });
    assert.equal((await copying.result).state, 'done');
    assert.equal(asked, 20);
  });

  it('rejects when the download cannot start', async () => {
    const { result, paused } = setup(
      {},
      {
        download: async () => {
          throw new PeerwireError('exists', 'There.');
        },
      },
    );
    await assert.rejects(result, rejectsWith('exists'));
    assert.deepEqual(paused, []);
  });
});
