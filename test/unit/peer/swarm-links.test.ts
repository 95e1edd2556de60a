import assert from 'node:assert/strict';
import { SwarmLinks } from '../../../src/peer/swarm-links.ts';
import { sortedPeers, testPeer } from './network/support.ts';
import { TestChannel } from './test-channel.ts';

describe('SwarmLinks', () => {
  const [small, large] = sortedPeers(2);

  for (const smallFirst of [true, false]) {
    it(`both ends keep the connection that the smaller peer dialed, ${smallFirst ? 'first' : 'last'}`, () => {
      const ends = [
        {
          links: new SwarmLinks(small!),
          bySmall: new TestChannel(large!, true),
          byLarge: new TestChannel(large!, false),
        },
        {
          links: new SwarmLinks(large!),
          bySmall: new TestChannel(small!, false),
          byLarge: new TestChannel(small!, true),
        },
      ];
      for (const { links, bySmall, byLarge } of ends) {
        const kept = (smallFirst ? [bySmall, byLarge] : [byLarge, bySmall]).map((channel) => links.add(channel));
        assert.deepEqual(kept, [true, !smallFirst]);
        assert.deepEqual([...links.open()], [bySmall]);
        assert.equal(byLarge.reason?.code, smallFirst ? undefined : 'closed');
      }
    });
  }

  it('keeps the newer of two that the same end dialed', () => {
    const links = new SwarmLinks(small!);
    const [older, newer] = [new TestChannel(large!, false), new TestChannel(large!, false)];
    assert.deepEqual([links.add(older), links.add(newer)], [true, true]);
    assert.deepEqual([older.closed, [...links.open()]], [true, [newer]]);
  });

  it('takes any in place of one that closed', () => {
    const links = new SwarmLinks(small!);
    const before = new TestChannel(large!, true);
    links.add(before);
    before.close();
    assert.deepEqual([...links.open()], []);
    assert.equal(links.add(new TestChannel(large!, false)), true);
  });

  it('has one to each peer, also of one device', () => {
    const links = new SwarmLinks(small!);
    const windows = [large!, { ...large!, instance: testPeer().instance }];
    for (const peer of windows) links.add(new TestChannel(peer, true));
    assert.equal([...links.open()].length, 2);
  });
});
