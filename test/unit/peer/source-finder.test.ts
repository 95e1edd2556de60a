import assert from 'node:assert/strict';
import { PeerwireError } from '../../../src/common/errors.ts';
import { Emitter } from '../../../src/common/event.ts';
import type { InfoHash } from '../../../src/common/ids.ts';
import { silentLogger } from '../../../src/common/log.ts';
import { type MemberChannel, type PeerRef, peerKey } from '../../../src/peer/network/channel.ts';
import type { Holder } from '../../../src/peer/network/directory.ts';
import type { Way } from '../../../src/peer/network/swarm-dialer.ts';
import { SourceFinder } from '../../../src/peer/source-finder.ts';
import { SwarmLinks } from '../../../src/peer/swarm-links.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { advance, testPeer } from './network/support.ts';
import { TestChannel } from './test-channel.ts';

interface Dial {
  readonly peer: PeerRef;
  readonly signal: AbortSignal;
  readonly way: Way;
  /** undefined: the peer was asked to dial us. */
  answer(channel: MemberChannel | undefined): void;
  fail(): void;
}

const holder = (peer: PeerRef, complete: boolean): Holder => ({
  device: peer.device,
  instance: peer.instance,
  name: 'Ada@lab',
  address: undefined,
  via: 'direct',
  since: 0,
  complete,
});

describe('SourceFinder', () => {
  const self = testPeer();
  let clock: VirtualClock;
  let abort: AbortController;
  let holders: Holder[];
  let dials: Dial[];
  let banned: Set<string>;
  let connected: Set<string>;
  let joined: string[];
  let refused: Set<string>;
  let disposed: Emitter<void>;
  let finder: SourceFinder;
  let links: SwarmLinks;

  beforeEach(() => {
    clock = new VirtualClock(1);
    abort = new AbortController();
    holders = [];
    dials = [];
    banned = new Set();
    connected = new Set();
    joined = [];
    refused = new Set();
    disposed = new Emitter();
    links = new SwarmLinks(self);
    finder = new SourceFinder({
      self,
      swarm: {
        infoHash: 'ab'.repeat(32) as InfoHash,
        hasContent: false,
        connectedSources: connected,
        isBanned: (source) => banned.has(source),
        initiate: (_, source) => {
          joined.push(source);
          connected.add(source);
        },
        onDisposed: disposed.event,
      },
      links,
      networkNode: () => ({
        directory: { holdersOf: () => holders },
        openSwarmChannel: (peer, _, signal, way = 'any') =>
          new Promise((resolve, reject) => {
            dials.push({
              ...{ peer, signal, way },
              answer: resolve,
              fail: () => reject(new PeerwireError('connection', 'It cannot be reached.')),
            });
          }),
      }),
      mayAccess: (device) => !refused.has(device),
      clock,
      random: Math.random,
      logger: silentLogger,
      signal: abort.signal,
    });
  });

  const settled = (): Promise<void> => advance(clock, 0);
  const dialed = (): string[] => dials.map(({ peer }) => peerKey(peer));

  it('dials complete sources first, and few at once', async () => {
    const complete = Array.from({ length: 4 }, () => holder(testPeer(), true));
    holders = [...Array.from({ length: 4 }, () => holder(testPeer(), false)), ...complete];
    finder.keepSeeking();
    assert.equal(dials.length, 6);
    assert.deepEqual(dialed().slice(0, 4).sort(), complete.map(peerKey).sort());
    dials[0]!.answer(new TestChannel(dials[0]!.peer, true));
    await settled();
    assert.equal(dials.length, 7);
    assert.deepEqual(joined, [dialed()[0]]);
  });

  it('dials nobody whom it is connected to, who is banned, or who is being dialed', () => {
    const [other, friend, enemy] = [testPeer(), testPeer(), testPeer()];
    connected.add(peerKey(friend));
    banned.add(peerKey(enemy));
    holders = [other, friend, enemy].map((peer) => holder(peer, true));
    finder.keepSeeking();
    finder.seek();
    finder.connect(other);
    assert.deepEqual(dialed(), [peerKey(other)]);
  });

  it('tries again, after a pause, who could not be reached', async () => {
    holders = [holder(testPeer(), true)];
    finder.keepSeeking();
    dials[0]!.fail();
    await settled();
    assert.equal(dials.length, 1);
    await advance(clock, 3_900);
    finder.seek();
    assert.equal(dials.length, 1);
    await advance(clock, 100);
    finder.seek();
    assert.equal(dials.length, 2);
  });

  it('looks only while somebody wants it to', async () => {
    holders = [holder(testPeer(), true), holder(testPeer(), true)];
    finder.seek();
    assert.equal(dials.length, 0);
    const [one, two] = [finder.keepSeeking(), finder.keepSeeking()];
    one.dispose();
    one.dispose();
    for (const dial of dials.splice(0)) dial.fail();
    await advance(clock, 4_000);
    finder.seek();
    assert.equal(dials.length, 2);
    two.dispose();
    for (const dial of dials.splice(0)) dial.fail();
    await advance(clock, 4_000);
    finder.seek();
    assert.equal(dials.length, 0);
  });

  it('lets in nobody who lost access while it was dialed', async () => {
    const peer = testPeer();
    holders = [holder(peer, true)];
    finder.keepSeeking();
    refused.add(peer.device);
    const channel = new TestChannel(peer, true);
    dials[0]!.answer(channel);
    await settled();
    assert.deepEqual([channel.closed, joined], [true, []]);
  });

  it('gives up for a swarm that ends, whoever keeps it seeking', async () => {
    const peer = testPeer();
    holders = [holder(peer, true)];
    finder.keepSeeking();
    holders.push(holder(testPeer(), true));
    disposed.fire();
    const channel = new TestChannel(peer, true);
    dials[0]!.answer(channel);
    await settled();
    assert.deepEqual([dials[0]!.signal.aborted, channel.closed, joined, dials.length], [true, true, [], 1]);
  });

  it('closes what arrives once nothing shall be dialed, and dials nobody else', async () => {
    const peer = testPeer();
    holders = [holder(peer, true)];
    finder.keepSeeking();
    holders.push(holder(testPeer(), true));
    abort.abort();
    const channel = new TestChannel(peer, true);
    dials[0]!.answer(channel);
    await settled();
    assert.deepEqual([channel.closed, joined, dials.length], [true, [], 1]);
  });

  it('looks for the direct way to one that a relay reaches, once there is one', async () => {
    const peer = testPeer();
    holders = [{ ...holder(peer, true), via: 'relay' }];
    finder.keepSeeking();
    dials[0]!.answer(new TestChannel(peer, true, testPeer()));
    await settled();
    assert.equal(links.isRelayed(peer), true);
    await advance(clock, 60_000);
    finder.seek();
    assert.deepEqual(dials.length, 1);
    holders = [holder(peer, true)];
    finder.seek();
    assert.deepEqual(
      dials.map(({ way }) => way),
      ['any', 'direct'],
    );
    // It is not to be had yet: not again at once.
    dials[1]!.fail();
    await settled();
    finder.seek();
    assert.equal(dials.length, 2);
    await advance(clock, 20_000);
    finder.seek();
    dials[2]!.answer(new TestChannel(peer, true));
    await settled();
    assert.equal(joined.length, 2);
    assert.equal(links.isRelayed(peer), false);
    await advance(clock, 20_000);
    finder.seek();
    assert.equal(dials.length, 3);
  });
});
