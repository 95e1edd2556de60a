import assert from 'node:assert/strict';
import { parseNetworkId, parsePeerInstance } from '../../../src/common/ids.ts';
import { actionsOn, buildNetworks, countOnline } from '../../../src/extension/network-model.ts';
import { device, member, NOW, network, peer, SHARE, share } from './samples.ts';

describe('network model', () => {
  it('shows the windows of a device as one person', () => {
    const second = peer('B', { instance: parsePeerInstance('f'.repeat(16)) });
    const [entry] = buildNetworks({
      networks: [network()],
      members: [],
      peers: [peer('B'), second],
      shares: [],
      device: device('A'),
    });
    assert.equal(entry?.people.length, 1);
    assert.equal(entry?.people[0]?.windows.length, 2);
    assert.equal(countOnline({ peers: [peer('B'), second, peer('A')], device: device('A') }), 1);
  });

  it('keeps people who are offline as long as their shares are known, after those who are online', () => {
    const [entry] = buildNetworks({
      networks: [network()],
      members: [],
      peers: [peer('C'), peer('A')],
      shares: [share({ owner: device('B'), ownerName: 'aaa' })],
      device: device('A'),
    });
    assert.deepEqual(
      entry?.people.map((person) => [person.name, person.windows.length, person.self]),
      [
        ['c@host', 1, false],
        ['aaa', 0, false],
        ['a@host', 1, true],
      ],
    );
  });

  it('shows members who are away, and none who was removed, whatever they share', () => {
    const [entry] = buildNetworks({
      networks: [network()],
      members: [
        member('A', { self: true }),
        member('B', { state: 'revoked' }),
        member('C', { state: 'away', name: 'cleo', lastSeen: NOW }),
        member('D', { network: parseNetworkId('2'.repeat(64)) }),
      ],
      peers: [peer('E')],
      shares: [share({ owner: device('B') })],
      device: device('A'),
    });
    assert.deepEqual(
      entry?.people.map((person) => [person.name, person.windows.length, person.member?.lastSeen]),
      [
        ['e@host', 1, undefined],
        ['cleo', 0, NOW],
      ],
    );
  });

  it('offers the creator everything, an admin to remove plain members, others nothing', () => {
    const creator = network({ creator: true, admin: true });
    const admin = network({ admin: true });
    const plain = member('B');
    const another = member('C', { admin: true });
    const root = member('D', { creator: true, admin: true });
    assert.deepEqual(actionsOn(plain, creator), ['revoke', 'promote']);
    assert.deepEqual(actionsOn(another, creator), ['revoke']);
    assert.deepEqual(actionsOn(plain, admin), ['revoke']);
    for (const [whom, where] of [
      [another, admin],
      [root, admin],
      [plain, network()],
      [member('E', { self: true }), creator],
      [member('F', { state: 'revoked' }), creator],
    ] as const)
      assert.deepEqual(actionsOn(whom, where), []);
  });

  it('lists shares newest first, and never own ones', () => {
    const [entry] = buildNetworks({
      networks: [network()],
      members: [],
      peers: [],
      shares: [
        share({ name: 'old', time: NOW - 1 }),
        share({ name: 'new', time: NOW + 1 }),
        share({ name: 'mine', own: true }),
      ],
      device: device('A'),
    });
    assert.deepEqual(
      entry?.people.flatMap((person) => person.shares.map((item) => item.name)),
      ['new', 'old'],
    );
  });

  it('keeps networks apart and marks people of one name', () => {
    const other = parseNetworkId('2'.repeat(64));
    const entries = buildNetworks({
      networks: [network({ network: other, name: 'Zoo' }), network()],
      members: [],
      peers: [peer('B', { name: 'ann' }), peer('C', { name: 'ann' }), peer('D', { network: other, name: 'ann' })],
      shares: [share({ share: SHARE, network: other, owner: device('D') })],
      device: device('A'),
    });
    assert.deepEqual(
      entries.map((entry) => [entry.info.name, entry.people.map((person) => person.ambiguous)]),
      [
        ['Team', [true, true]],
        ['Zoo', [false]],
      ],
    );
  });

  it('folds people when much is shared in their network', () => {
    const shares = (count: number) =>
      Array.from({ length: count }, (_, i) => share({ owner: device(i % 2 === 0 ? 'A' : 'B'), time: i }));
    const folded = (count: number): boolean[] | undefined =>
      buildNetworks({
        networks: [network()],
        members: [],
        peers: [],
        shares: shares(count),
        device: undefined,
      })[0]?.people.map((person) => person.folded);
    assert.deepEqual(folded(300), [false, false]);
    assert.deepEqual(folded(301), [true, true]);
  });
});
