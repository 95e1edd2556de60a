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

  describe('with a relay', () => {
    const relay = testPeer();
    let links: SwarmLinks;
    let relayed: TestChannel;

    beforeEach(() => {
      links = new SwarmLinks(small!);
      relayed = new TestChannel(large!, true, relay);
      links.add(relayed);
    });

    for (const initiator of [true, false]) {
      it(`goes over to a direct one ${initiator ? 'that we dialed' : 'of the other'}, and lets the old one end by itself`, () => {
        assert.equal(links.isRelayed(large!), true);
        const direct = new TestChannel(large!, initiator);
        assert.equal(links.add(direct), true);
        assert.equal(relayed.closed, false);
        assert.equal(links.replacedBy(direct), relayed);
        assert.equal(links.isRelayed(large!), false);
        // Both are subject to what holds for connections, revocation above all.
        assert.deepEqual([...links.open()], [direct, relayed]);
        relayed.close();
        assert.deepEqual([...links.open()], [direct]);
      });
    }

    it('hands on what is to end, when two direct ones come at once', () => {
      const [theirs, ours] = [new TestChannel(large!, false), new TestChannel(large!, true)];
      links.add(theirs);
      assert.equal(links.add(ours), true);
      assert.equal(theirs.closed, true);
      assert.equal(links.replacedBy(ours), relayed);
    });

    it('stays with it when the direct one was none, and tries again', () => {
      const direct = new TestChannel(large!, true);
      links.add(direct);
      direct.close();
      assert.equal(links.isRelayed(large!), true);
      const again = new TestChannel(large!, false);
      assert.equal(links.add(again), true);
      assert.equal(links.replacedBy(again), relayed);
    });

    it('takes none by a relay that the other opened before it knew of the direct one', () => {
      links.add(new TestChannel(large!, true));
      assert.equal(links.add(new TestChannel(large!, false, relay)), false);
    });
  });
});
