import assert from 'node:assert/strict';
import { PeerwireError } from '../../../src/common/errors.ts';
import { acrossRestarts } from '../../../src/extension/across-restarts.ts';
import type { PeerApi } from '../../../src/peer/api.ts';

describe('a question across restarts of the peer', () => {
  const closed = (): PeerwireError => new PeerwireError('closed', 'The peer was closed.');
  /** Peers, one after another, that answer or fail. */
  function peers(...answers: (number | Error)[]) {
    let asked = 0;
    const peer = async (): Promise<PeerApi> => {
      const answer = answers[asked++] ?? closed();
      const reply = async (): Promise<unknown> => {
        if (answer instanceof Error) throw answer;
        return answer;
      };
      return { status: reply } as unknown as PeerApi;
    };
    return { ask: () => acrossRestarts<unknown>(peer, (api) => api.status()), asked: () => asked };
  }

  it('is put to the next when the first is closed', async () => {
    const { ask, asked } = peers(closed(), closed(), 5);
    assert.equal(await ask(), 5);
    assert.equal(asked(), 3);
  });

  it('is not put for ever, nor again for another reason', async () => {
    const one = peers();
    await assert.rejects(one.ask(), { code: 'closed' });
    assert.equal(one.asked(), 3);
    const two = peers(new PeerwireError('io', 'The disk broke.'), 5);
    await assert.rejects(two.ask(), { code: 'io' });
    assert.equal(two.asked(), 1);
  });
});
