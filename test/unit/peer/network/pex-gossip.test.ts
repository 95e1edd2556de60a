import assert from 'node:assert/strict';
import { PEX_REACHABLE, type PexMessage } from '../../../../src/bittorrent/wire/ut-pex.ts';
import type { ControlPeer } from '../../../../src/peer/network/control-peer.ts';
import { Links } from '../../../../src/peer/network/links.ts';
import { PEX_INTERVAL } from '../../../../src/peer/network/peer-exchange.ts';
import { PexGossip } from '../../../../src/peer/network/pex-gossip.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { type ControlEnd, controlPair } from './control-pair.ts';
import { advance, sortedPeers, type TestPeer, testPeer } from './support.ts';

describe('PexGossip', () => {
  let clock: VirtualClock;
  let self: TestPeer;
  let larger: TestPeer;
  let links: Links;
  let gossip: PexGossip;
  let learned: [string[], string][];
  /** What the others are told, by their names. */
  let told: string[];

  const text = (addresses: PexMessage['dropped']): string =>
    addresses.map(({ host, port }) => `${host}:${port}`).join();

  beforeEach(() => {
    clock = new VirtualClock();
    // Of two connections to one peer both stay when we are the smaller.
    [self, larger] = sortedPeers(2) as [TestPeer, TestPeer];
    links = new Links(self);
    learned = [];
    told = [];
    gossip = new PexGossip(links, clock, (addresses, from) =>
      learned.push([addresses.map(({ host, port }) => `${host}:${port}`), from]),
    );
  });

  /** A peer that hears of others, and has just joined; how it is called is also the end of its address. */
  async function join(
    number: number,
    { peer = testPeer(), host = `10.0.0.${number}`, listens = true, weDial = false } = {},
  ): Promise<ControlPeer> {
    const onPex = (_: ControlPeer, { added, dropped }: PexMessage): void => {
      const reachable = added.filter(({ flags }) => flags === PEX_REACHABLE);
      told.push(`${number}: +${text(added)} -${text(dropped)}${reachable.length > 0 ? ` !${text(reachable)}` : ''}`);
    };
    const other: ControlEnd = { peer, name: '', host, listenPort: listens ? number : undefined, handler: { onPex } };
    const own: ControlEnd = { peer: self, name: '', host: '10.0.0.1', listenPort: 1 };
    const dialed = `${host}:${number}`;
    const link = weDial
      ? (await controlPair(clock, own, other, dialed)).one
      : (await controlPair(clock, other, own)).two;
    assert.ok(links.add(link));
    gossip.join(link);
    await advance(clock, 20);
    return link;
  }

  const leave = (link: ControlPeer): void => {
    links.remove(link);
    gossip.leave(link);
  };

  async function tell(): Promise<string[]> {
    told = [];
    gossip.tell();
    await advance(clock, 20);
    return told.toSorted();
  }

  it('tells who comes of those who are there, and them of it when their minute is over', async () => {
    await join(2);
    assert.deepEqual(told, [], 'nobody else is there');
    await join(3, { weDial: true });
    assert.deepEqual(told, ['3: +10.0.0.2:2 -']);
    assert.deepEqual(await tell(), ['2: +10.0.0.3:3 - !10.0.0.3:3']);
    await join(4);
    assert.deepEqual(await tell(), [], 'neither has a turn');
    await advance(clock, PEX_INTERVAL);
    assert.deepEqual(await tell(), ['2: +10.0.0.4:4 -', '3: +10.0.0.4:4 -']);
    await advance(clock, PEX_INTERVAL);
    assert.deepEqual(await tell(), [], 'nothing is new');
  });

  it('says who has gone', async () => {
    const two = await join(2);
    await join(3);
    leave(two);
    await advance(clock, PEX_INTERVAL);
    assert.deepEqual(await tell(), ['3: + -10.0.0.2:2']);
  });

  it('tells nobody of itself, by whichever connection, nor of who cannot be dialed', async () => {
    await join(2, { peer: larger });
    await join(2, { peer: larger, host: '10.0.0.9', weDial: true });
    await join(5, { listens: false });
    assert.deepEqual(told, ['5: +10.0.0.9:2 - !10.0.0.9:2']);
    await advance(clock, PEX_INTERVAL);
    assert.deepEqual(await tell(), []);
  });

  it('tells addresses of this machine to peers on it alone', async () => {
    await join(2, { host: '127.0.0.1' });
    await join(3);
    await join(4, { host: '127.0.0.1' });
    assert.deepEqual(told, ['4: +127.0.0.1:2,10.0.0.3:3 -']);
  });

  it('heeds what it is told once a minute by each, and by who has left not at all', async () => {
    const [two, three] = [await join(2), await join(3)];
    const message = (port: number): PexMessage => ({ added: [{ host: '10.0.0.7', port, flags: 0 }], dropped: [] });
    gossip.receive(two, message(1));
    gossip.receive(two, message(2));
    gossip.receive(three, message(3));
    await advance(clock, PEX_INTERVAL);
    gossip.receive(two, message(4));
    leave(three);
    gossip.receive(three, message(5));
    assert.deepEqual(learned, [
      [['10.0.0.7:1'], '10.0.0.2'],
      [['10.0.0.7:3'], '10.0.0.3'],
      [['10.0.0.7:4'], '10.0.0.2'],
    ]);
  });
});
