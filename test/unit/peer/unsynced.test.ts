import assert from 'node:assert/strict';
import { fateOf } from '../../../src/peer/unsynced.ts';

describe('files placed without being synced', () => {
  const placed = { boot: 'this one', at: 1_000_000 };

  it('are written once the system has run on for a minute', () => {
    assert.equal(fateOf(placed, 'this one', 1_000_000), 'open');
    assert.equal(fateOf(placed, 'this one', 1_060_000), 'open');
    assert.equal(fateOf(placed, 'this one', 1_060_001), 'written');
  });

  it('are doubtful once it was started anew, however much later, or cannot say', () => {
    for (const boot of ['another', undefined])
      for (const now of [1_000_001, 9_000_000]) assert.equal(fateOf(placed, boot, now), 'doubtful');
  });
});
