import assert from 'node:assert/strict';
import { readHandshake } from '../../../../../src/bittorrent/incoming-wire.ts';
import { RateLimiter } from '../../../../../src/bittorrent/rate-limiter.ts';
import { encodeHandshake } from '../../../../../src/bittorrent/wire/handshake.ts';
import { silentLogger } from '../../../../../src/common/log.ts';
import { RelayHost, type RelayLimits, relayInfoHash } from '../../../../../src/peer/network/relay/relay-host.ts';
import { HIGH_WATER } from '../../../../../src/peer/network/relay/splice.ts';
import { type Link, type MemoryConnection, memoryPair } from '../../../../sim/memory-connection.ts';
import { VirtualClock } from '../../../../sim/virtual-clock.ts';
import type { TestEnd } from '../control-pair.ts';
import { advance, NETWORK, type TestPeer, testPeer } from '../support.ts';

const LINK: Link = { latency: 1, rate: 0 };

/** What came out at one end. */
class Received {
  readonly chunks: Buffer[] = [];
  closed = false;

  constructor(end: MemoryConnection) {
    end.start({
      onData: (chunk) => this.chunks.push(Buffer.from(chunk)),
      onDrain() {},
      onClose: () => {
        this.closed = true;
      },
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

describe('RelayHost', () => {
  let clock: VirtualClock;
  let upload: RateLimiter;
  let host: RelayHost;
  const [ada, bob, eve] = [testPeer(), testPeer(), testPeer()];

  function start(limits: Partial<RelayLimits> = {}): void {
    host = new RelayHost({ clock, logger: silentLogger, upload, limits });
  }

  beforeEach(() => {
    clock = new VirtualClock();
    upload = new RateLimiter(clock);
    start();
  });

  /** A peer dials the relay and says an infohash: its own end, and whether the relay took it. */
  async function come(
    peer: TestPeer,
    infoHash: Buffer,
    { link = LINK, behind = Buffer.alloc(0), relay = undefined as TestPeer | undefined } = {},
  ): Promise<{ end: MemoryConnection; there: TestEnd; accepted: boolean }> {
    const [end, other] = memoryPair(clock, link, () => 0.999);
    const { device, instance } = peer;
    const there: TestEnd = Object.assign(other, {
      ...{ device, instance, network: NETWORK, initiator: false, remoteAddress: '10.0.0.9', remotePort: 5 },
      relay: relay?.device,
    });
    end.write([encodeHandshake({ infoHash, peerId: Buffer.alloc(20) }), behind]);
    const [incoming] = await Promise.all([readHandshake(there, clock), advance(clock, 50)]);
    const accepted = host.accept(there, incoming);
    if (!accepted) there.close();
    return { end, there, accepted };
  }

  function tokens(from = ada, to = bob): [Buffer, Buffer] {
    const reserved = host.reserve(NETWORK, from, to);
    assert.ok(reserved);
    return [relayInfoHash(NETWORK, reserved[0]), relayInfoHash(NETWORK, reserved[1])];
  }

  async function session(link = LINK, second = link) {
    const [first, other] = tokens();
    const one = await come(ada, first, { link });
    const two = await come(bob, other, { link: second });
    assert.ok(one.accepted && two.accepted);
    const [left, right] = [new Received(one.end), new Received(two.end)];
    await advance(clock, 50);
    for (const [received, infoHash] of [
      [left, first],
      [right, other],
    ] as const)
      assert.ok(received.bytes.equals(encodeHandshake({ infoHash, peerId: Buffer.alloc(20) })));
    left.chunks.length = right.chunks.length = 0;
    return { one, two, left, right };
  }

  it('joins the two that were given the tokens, and passes on what they say', async () => {
    const { one, two, left, right } = await session();
    one.end.write([Buffer.from('ping')]);
    two.end.write([Buffer.from('pong')]);
    await advance(clock, 50);
    assert.deepEqual([right.bytes.toString(), left.bytes.toString()], ['ping', 'pong']);
    one.end.close();
    await advance(clock, 50);
    assert.ok(right.closed);
    assert.equal(host.sessions, 0);
  });

  it('takes a token once, from whom it was given to, and nobody who is relayed', async () => {
    const [first, second] = tokens();
    assert.equal((await come(eve, first)).accepted, false);
    assert.equal((await come(bob, first)).accepted, false);
    assert.equal((await come({ ...ada, instance: eve.instance }, first)).accepted, false);
    assert.equal((await come(ada, first, { relay: eve })).accepted, false);
    assert.equal((await come(ada, first, { behind: Buffer.from('too early') })).accepted, false);
    assert.equal((await come(ada, Buffer.alloc(20, 7))).accepted, false);
    assert.equal((await come(ada, first)).accepted, true);
    assert.equal((await come(ada, first)).accepted, false);
    assert.equal((await come(bob, second)).accepted, true);
  });

  it('forgets those of whom one does not come, or leaves', async () => {
    const [first, second] = tokens();
    const { end, there } = await come(ada, first);
    const received = new Received(end);
    await advance(clock, 15_000);
    assert.equal(host.sessions, 0);
    assert.ok(there.closed && received.closed);
    assert.equal((await come(bob, second)).accepted, false);

    const [again, late] = tokens();
    const { end: gone } = await come(ada, again);
    gone.close();
    await advance(clock, 50);
    assert.equal(host.sessions, 0);
    assert.equal((await come(bob, late)).accepted, false);
  });

  it('relays so many in all, of a device, and between two', () => {
    start({ sessions: 4, sessionsPerDevice: 3, sessionsPerPair: 2 });
    const [cleo, dora, fred] = [testPeer(), testPeer(), testPeer()];
    assert.ok(host.reserve(NETWORK, ada, bob));
    assert.ok(host.reserve(NETWORK, bob, ada));
    assert.equal(host.reserve(NETWORK, ada, bob), undefined, 'two between Ada and Bob');
    assert.ok(host.reserve(NETWORK, eve, ada));
    assert.equal(host.reserve(NETWORK, cleo, ada), undefined, 'three of Ada, whoever asked');
    assert.ok(host.reserve(NETWORK, cleo, dora));
    assert.equal(host.load, 100);
    assert.equal(host.reserve(NETWORK, fred, dora), undefined, 'four in all');
  });

  describe('who asks for the most gives way', () => {
    const creator = testPeer().device;
    const mallory = testPeer();

    it('to others who want the same peer', () => {
      start({ sessionsPerDevice: 8, sessionsPerPair: 8 });
      for (let i = 0; i < 8; i++) assert.ok(host.reserve(NETWORK, mallory, bob));
      assert.equal(host.reserve(NETWORK, mallory, bob), undefined);
      for (let i = 0; i < 4; i++) assert.ok(host.reserve(NETWORK, ada, bob), `${i}`);
      assert.equal(host.reserve(NETWORK, ada, bob), undefined, 'they have as much as each other now');
      assert.equal(host.sessions, 8);
    });

    it('to who is wanted by it', () => {
      start({ sessionsPerDevice: 8, sessionsPerPair: 4 });
      const second = testPeer();
      for (let i = 0; i < 4; i++) {
        assert.ok(host.reserve(NETWORK, mallory, bob));
        assert.ok(host.reserve(NETWORK, second, bob));
      }
      assert.ok(host.reserve(NETWORK, bob, ada));
      assert.equal(host.sessions, 8);
    });

    it('with all the devices that it invited', () => {
      start({ sessions: 20 });
      for (let i = 0; i < 20; i++)
        assert.ok(host.reserve(NETWORK, testPeer(), testPeer(), [creator, mallory.device]), `${i}`);
      for (let i = 0; i < 10; i++) assert.ok(host.reserve(NETWORK, ada, testPeer(), [creator]), `${i}`);
      assert.equal(host.reserve(NETWORK, ada, testPeer(), [creator]), undefined, 'half of it each');
      assert.equal(host.reserve(NETWORK, testPeer(), testPeer(), [creator, mallory.device]), undefined);
      assert.ok(host.reserve(NETWORK, bob, testPeer(), [creator]));
    });

    it('first with what has not begun, then with what is silent', async () => {
      start({ sessionsPerDevice: 3 });
      const begin = async () => {
        const [first, other] = tokens();
        const one = await come(ada, first);
        await come(bob, other);
        return one;
      };
      const [silent, lively] = [await begin(), await begin()];
      tokens();
      await advance(clock, 1000);
      new Received(lively.end);
      lively.end.write([Buffer.from('still here')]);
      await advance(clock, 100);
      assert.ok(host.reserve(NETWORK, eve, bob));
      assert.deepEqual([silent.there.closed, lively.there.closed], [false, false]);
      // Ada has two, Eve one: no more than fair.
      assert.equal(host.reserve(NETWORK, eve, bob), undefined);
      assert.ok(host.reserve(NETWORK, testPeer(), bob));
      assert.deepEqual([silent.there.closed, lively.there.closed], [true, false]);
    });
  });

  it('ends what it relays for a device that was removed, and of a network that was left', async () => {
    const { left, right } = await session();
    host.drop(NETWORK, eve.device);
    assert.equal(host.sessions, 1);
    host.drop(NETWORK, bob.device);
    await advance(clock, 50);
    assert.ok(left.closed && right.closed);
    const other = await session();
    host.drop(NETWORK);
    await advance(clock, 50);
    assert.ok(other.left.closed && other.right.closed);
    assert.equal(host.sessions, 0);
  });

  it('ends what is silent for three minutes, and nothing else', async () => {
    const { one, left, right } = await session();
    for (let i = 0; i < 4; i++) {
      await advance(clock, 100_000);
      one.end.write([Buffer.from('.')]);
    }
    await advance(clock, 100_000);
    assert.equal(right.bytes.toString(), '....');
    assert.equal(host.sessions, 1);
    await advance(clock, 115_000);
    assert.ok(left.closed && right.closed);
    assert.equal(host.sessions, 0);
  });

  it('does not read what the other end does not take', async () => {
    const { one, two, right } = await session({ latency: 1, rate: 100_000, window: 20_000, chunk: 16_384 });
    two.end.pause();
    one.end.write([Buffer.alloc(1_000_000, 1)]);
    await advance(clock, 60_000);
    assert.ok(two.there.mostQueued <= HIGH_WATER + 16_384, `${two.there.mostQueued} bytes waited`);
    assert.ok(one.end.writableLength > 800_000, 'the rest waits where it comes from');
    two.end.resume();
    await advance(clock, 30_000);
    assert.equal(right.bytes.length, 1_000_000);
  });

  it('sends on what one end said before it went', async () => {
    const { one, right } = await session(LINK, { latency: 1, rate: 10_000 });
    one.end.write([Buffer.alloc(20_000, 5)]);
    await advance(clock, 100);
    one.end.close();
    await advance(clock, 5_000);
    assert.equal(right.bytes.length, 20_000);
    assert.ok(right.closed);
  });

  it('keeps within its rate, and within half of what may be sent', async () => {
    const passed = async (): Promise<number> => {
      const { one, right } = await session({ latency: 1, rate: 1_000_000, window: 20_000, chunk: 8192 });
      one.end.write([Buffer.alloc(2_000_000, 1)]);
      await advance(clock, 10_000);
      one.end.close();
      await advance(clock, 100);
      return right.bytes.length;
    };
    start({ rate: 50_000 });
    const capped = await passed();
    assert.ok(capped > 400_000 && capped < 600_000, `${capped} of 500,000 bytes`);
    start();
    upload.setRate(40_000);
    const half = await passed();
    assert.ok(half > 150_000 && half < 260_000, `${half} of 200,000 bytes`);
  });

  it('counts as sent what it passes on', async () => {
    upload.setRate(100_000);
    const { one } = await session();
    one.end.write([Buffer.alloc(60_000, 1)]);
    await advance(clock, 20);
    assert.ok(upload.wait() > 0, 'its own transfers wait for it');
  });
});
