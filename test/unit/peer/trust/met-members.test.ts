import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { deviceIdFromHash } from '../../../../src/common/ids.ts';
import { MAX_MET, MetMembers } from '../../../../src/peer/trust/met-members.ts';

const device = (seed: string) => deviceIdFromHash(createHash('sha256').update(seed).digest());

describe('members that were met', () => {
  it('are not forgotten for others who come by the thousand with one invite', () => {
    const met = new MetMembers([]);
    // By the invite that it has, and that is to be withdrawn with it.
    met.add({ device: device('mallory'), invite: 'leaked', date: 1 });
    met.add({ device: device('ann'), invite: 'hers', date: 2 });
    for (let i = 0; i < 2 * MAX_MET; i++) met.add({ device: device(`sybil ${i}`), invite: 'leaked', date: 3 + i });
    met.add({ device: device('ben'), invite: 'his', date: 4 });
    assert.equal(met.list().length, MAX_MET);
    assert.deepEqual(met.invitesOf(device('mallory')), ['leaked']);
    assert.equal(met.dateOf(device('ann'), 'hers'), 2);
    assert.equal(met.dateOf(device('ben'), 'his'), 4);
    // Nothing changed: nothing is to be stored.
    assert.equal(met.add({ device: device('one more'), invite: 'leaked', date: 5 }), false);
  });
});
