import assert from 'node:assert/strict';
import type { DeviceId } from '../../../../src/common/ids.ts';
import type { ControlPeer } from '../../../../src/peer/network/control-peer.ts';
import { Links, MAX_LINKS } from '../../../../src/peer/network/links.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { controlPair } from './control-pair.ts';
import { advance, sortedPeers, type TestPeer, testPeer } from './support.ts';

describe('Links, of a direct and a relayed connection', () => {
  let clock: VirtualClock;
  let small: { readonly peer: TestPeer; readonly links: Links };
  let large: { readonly peer: TestPeer; readonly links: Links };

  beforeEach(() => {
    clock = new VirtualClock();
    const [one, two] = sortedPeers(2) as [TestPeer, TestPeer];
    small = { peer: one, links: new Links(one) };
    large = { peer: two, links: new Links(two) };
  });

  type Side = typeof small;

  /** A connection that both ends take in, `first` before the other. */
  async function connect(from: Side, to: Side, relayed: boolean, first = from): Promise<void> {
    const end = ({ peer, links }: Side) => ({
      ...{ peer, name: 'x', host: '10.0.0.1', listenPort: undefined },
      handler: { onClose: (link: ControlPeer) => void links.remove(link) },
    });
    const { one, two, a, b } = await controlPair(clock, end(from), end(to));
    if (relayed) for (const channel of [a, b]) Object.assign(channel, { relay: testPeer().device });
    const ends = [() => from.links.add(one), () => to.links.add(two)];
    for (const add of first === from ? ends : ends.reverse()) add();
    await advance(clock, 20);
  }

  /** Both ends have the same one connection: whether it is direct. */
  function only(): 'direct' | 'relayed' {
    const ways = [small, large].map(({ peer, links }) => {
      const open = links.to(peer === small.peer ? large.peer : small.peer);
      assert.equal(open.length, 1);
      return open[0]!.relayed;
    });
    assert.equal(ways[0], ways[1]);
    assert.equal(small.links.isDirect(large.peer), !ways[0]);
    return ways[0] === true ? 'relayed' : 'direct';
  }

  const orders = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => [bits & 1, bits & 2, bits & 4].map((bit) => bit > 0));

  for (const [byLarge, relayedByLarge, relayedFirst] of orders) {
    const who = (isLarge: boolean | undefined): string => (isLarge === true ? 'larger' : 'smaller');
    it(`the direct one stays: dialed by the ${who(byLarge)}, the ${relayedFirst ? 'earlier' : 'later'} relayed one by the ${who(relayedByLarge)}`, async () => {
      const pair = (isLarge: boolean | undefined): [Side, Side] => (isLarge === true ? [large, small] : [small, large]);
      const [direct, relayed] = [pair(byLarge), pair(relayedByLarge)];
      if (relayedFirst) await connect(...relayed, true);
      for (const first of [0, 1] as const) await connect(...direct, false, direct[first]);
      if (!relayedFirst) await connect(...relayed, true);
      await advance(clock, 100);
      assert.equal(only(), 'direct');
      assert.equal(small.links.relayed + large.links.relayed, 0);
    });
  }

  it('of two relayed ones, that of the smaller peer stays', async () => {
    await connect(large, small, true);
    await connect(small, large, true);
    await advance(clock, 100);
    assert.equal(only(), 'relayed');
    assert.equal([...small.links.all()][0]!.initiator, true);
  });

  it('a direct one that has been silent too long does not end the relayed one', async () => {
    await connect(small, large, false);
    const [direct] = small.links.to(large.peer);
    Object.defineProperty(direct, 'silence', { value: 100_000 });
    Object.defineProperty(large.links.to(small.peer)[0], 'silence', { value: 100_000 });
    await connect(small, large, true);
    await advance(clock, 100);
    assert.equal(small.links.to(large.peer).length, 2);
  });
});

describe('Links, when there is no room', () => {
  it('has one of who has most with all whom it invited give way, and lets nobody be kept out by them', async () => {
    const clock = new VirtualClock();
    const self = testPeer();
    const [creator, mallory] = [testPeer(), testPeer()];
    const inviters = new Map<DeviceId, DeviceId>([[mallory.device, creator.device]]);
    const links = new Links(self, (device) => inviters.get(device));
    const connect = async (peer: TestPeer): Promise<boolean> => {
      const { one } = await controlPair(
        clock,
        {
          ...{ peer: self, name: 'self', host: '10.0.0.1', listenPort: 7001 },
          handler: { onClose: (link: ControlPeer) => void links.remove(link) },
        },
        { peer, name: 'x', host: '10.0.0.2', listenPort: undefined },
      );
      const added = links.add(one);
      await advance(clock, 1);
      return added;
    };
    const friend = testPeer();
    inviters.set(friend.device, creator.device);
    assert.ok(await connect(friend));
    // Of ever other devices, each invited by the one before it.
    let inviter = mallory.device;
    for (let i = 0; i < MAX_LINKS + 20; i++) {
      const sybil = testPeer();
      inviters.set(sybil.device, inviter);
      inviter = i % 10 === 9 ? mallory.device : sybil.device;
      await connect(sybil);
    }
    assert.equal([...links.all()].length, MAX_LINKS);
    for (let i = 0; i < 20; i++) {
      const other = testPeer();
      inviters.set(other.device, friend.device);
      assert.ok(await connect(other), `${i}`);
      assert.ok(links.has(other) && links.has(friend));
    }
    assert.ok([...links.all()].length <= MAX_LINKS);
  });
});
