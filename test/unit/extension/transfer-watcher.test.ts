import assert from 'node:assert/strict';
import { Emitter } from '../../../src/common/event.ts';
import { PeerState } from '../../../src/extension/peer-state.ts';
import { TransferWatcher } from '../../../src/extension/transfer-watcher.ts';
import type { PeerApi, PeerEvent, TransferInfo } from '../../../src/peer/api.ts';
import { transfer } from './samples.ts';

/** A peer that remembers these transfers; only what `PeerState` asks. */
function peerWith(transfers: TransferInfo[], events: Emitter<PeerEvent>): PeerApi {
  const answers = {
    onEvent: events.event,
    status: async () => undefined,
    networks: async () => [],
    peers: async () => [],
    members: async () => [],
    shares: async () => [],
    transfers: async () => transfers,
  };
  return answers as unknown as PeerApi;
}

const error = { code: 'disk-full', message: 'The disk is full.' };

describe('transfer watcher', () => {
  it('hears of each failure once, and not of those that the window opened with', async () => {
    const events = new Emitter<PeerEvent>();
    const state = new PeerState((reason) => assert.fail(String(reason)));
    const heard: string[] = [];
    const watcher = new TransferWatcher(state, ({ id }, { code }) => heard.push(`${id} ${code}`));
    state.attach(peerWith([transfer({ id: 'old', state: 'failed', error }), transfer({ id: 'a' })], events));
    await state.ready;
    const tell = (change: Partial<TransferInfo>): void =>
      events.fire({ event: 'transfer', transfer: transfer(change) });
    assert.deepEqual(heard, []);

    tell({ id: 'a', state: 'failed', error });
    tell({ id: 'a', state: 'failed', error });
    assert.deepEqual(heard, ['a disk-full']);

    tell({ id: 'a', state: 'downloading' });
    tell({ id: 'a', state: 'paused', error });
    assert.deepEqual(heard, ['a disk-full', 'a disk-full']);

    tell({ id: 'a', state: 'checking', rechecking: true, error });
    tell({ id: 'a', state: 'paused', error });
    assert.equal(heard.length, 2);

    tell({ id: 'b', state: 'paused' });
    tell({ id: 'c', state: 'done' });
    tell({ id: 'u', state: 'failed', direction: 'upload', error });
    assert.equal(heard.length, 2);

    state.attach(undefined);
    state.attach(peerWith([transfer({ id: 'a', state: 'failed', error })], events));
    await state.ready;
    assert.equal(heard.length, 2);
    watcher.dispose();
    state.dispose();
  });
});
