import assert from 'node:assert/strict';
import { parseNetworkId, parsePeerInstance } from '../../../src/common/ids.ts';
import { buildNetworks, countOnline } from '../../../src/extension/network-model.ts';
import { device, NOW, network, peer, SHARE, share } from './samples.ts';

describe('network model', () => {
  it('shows the windows of a device as one person', () => {
    const second = peer('B', { instance: parsePeerInstance('f'.repeat(16)) });
    const [entry] = buildNetworks({
      networks: [network()],
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

  it('lists shares newest first, and never own ones', () => {
    const [entry] = buildNetworks({
      networks: [network()],
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
});
