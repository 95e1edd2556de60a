import assert from 'node:assert/strict';
import { ConnectionIds } from '../../../tracker/connection-id.ts';

const ADDRESS = Uint8Array.of(192, 0, 2, 1);

function issue(ids: ConnectionIds, now: number, address: Uint8Array = ADDRESS): Buffer {
  const id = Buffer.alloc(8);
  ids.issue(address, now, id, 0);
  return id;
}

describe('UDP connection ids', () => {
  it('are accepted for two minutes', () => {
    const ids = new ConnectionIds();
    const id = issue(ids, 1000);
    for (const [now, accepted] of [
      [1000, true],
      [1120, true],
      [1121, false],
      [999, false], // from the future
      [1000 + 65536, false], // the 16 bits of time came round
    ] as const) {
      assert.equal(ids.check(ADDRESS, now, id, 0), accepted, String(now));
    }
  });

  it('work when the 16 bits of time come round, and right after the start', () => {
    const ids = new ConnectionIds();
    assert.equal(ids.check(ADDRESS, 65540, issue(ids, 65530), 0), true);
    assert.equal(ids.check(ADDRESS, 0, issue(ids, 0), 0), true);
    assert.equal(ids.check(ADDRESS, 5, issue(ids, 65530), 0), false);
  });

  it('belong to one address', () => {
    const ids = new ConnectionIds();
    assert.equal(ids.check(Uint8Array.of(192, 0, 2, 2), 10, issue(ids, 10), 0), false);
    assert.equal(ids.check(new Uint8Array(16), 10, issue(ids, 10, new Uint8Array(4)), 0), false);
  });

  it('cannot be guessed bit by bit, nor taken from another tracker', () => {
    const ids = new ConnectionIds();
    const id = issue(ids, 500);
    assert.equal(new ConnectionIds().check(ADDRESS, 500, id, 0), false);
    for (let bit = 0; bit < 64; bit++) {
      const forged = Buffer.from(id);
      forged[bit >> 3] = forged[bit >> 3]! ^ (1 << (bit & 7));
      assert.equal(ids.check(ADDRESS, 500, forged, 0), false, `bit ${bit}`);
    }
  });
});
