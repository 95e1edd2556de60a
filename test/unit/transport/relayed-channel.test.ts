import assert from 'node:assert/strict';
import { systemClock } from '../../../src/common/clock.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import type { OwnPeer } from '../../../src/transport/member-handshake.ts';
import { secureRelayed } from '../../../src/transport/relayed-channel.ts';
import type { SecureChannel } from '../../../src/transport/secure-channel.ts';
import { type MemoryConnection, memoryPair } from '../../sim/memory-connection.ts';
import { Collector, content, newPeer, OpenNetwork } from './support.ts';

/** What the relay makes of bytes; it passes on what is returned. */
type Tamper = (bytes: Buffer, from: 'initiator' | 'responder') => Buffer;

const honest: Tamper = (bytes) => bytes;

describe('TLS inside of a relay', function () {
  this.timeout(60_000);

  /** A relay between two ends, in memory. */
  function relay(tamper: Tamper): { initiator: MemoryConnection; responder: MemoryConnection; seen: Buffer[] } {
    const link = { latency: 0, rate: 0 };
    const [initiator, left] = memoryPair(systemClock, link, Math.random);
    const [responder, right] = memoryPair(systemClock, link, Math.random);
    const seen: Buffer[] = [];
    const pass = (from: MemoryConnection, to: MemoryConnection, side: 'initiator' | 'responder'): void =>
      from.start({
        onData(chunk) {
          const bytes = tamper(Buffer.from(chunk), side);
          seen.push(bytes);
          to.write([bytes]);
        },
        onDrain() {},
        onClose: () => to.close(),
      });
    pass(left, right, 'initiator');
    pass(right, left, 'responder');
    return { initiator, responder, seen };
  }

  const network = new OpenNetwork();
  const [ada, bob, eve] = [newPeer(), newPeer(), newPeer()];
  const middle = newPeer().identity.device;

  function ends(
    wires: { initiator: MemoryConnection; responder: MemoryConnection },
    { from = ada, to = bob, expectsFrom = ada, expectsTo = bob }: Partial<Record<string, OwnPeer>> = {},
  ) {
    const common = { head: Buffer.alloc(0), relay: middle, access: network, timeout: 5000 };
    const expected = (peer: OwnPeer) => ({ device: peer.identity.device, instance: peer.instance });
    const { initiator: i, responder: r } = wires;
    return [
      secureRelayed('initiator', { ...common, connection: i, expect: expected(expectsTo), ...from }),
      secureRelayed('responder', { ...common, connection: r, expect: expected(expectsFrom), ...to }),
    ] as const;
  }

  async function open(tamper = honest): Promise<[SecureChannel<string>, SecureChannel<string>, Buffer[]]> {
    const wires = relay(tamper);
    const [one, two] = await Promise.all(ends(wires));
    return [one, two, wires.seen];
  }

  /** Both ends refuse. Which of them notices first, and by what, is not settled. */
  async function refused(wires: ReturnType<typeof relay>, peers: Partial<Record<string, OwnPeer>> = {}) {
    const results = await Promise.allSettled(ends(wires, peers));
    for (const result of results) {
      assert.equal(result.status, 'rejected');
      assert.ok(result.reason instanceof PeerwireError);
      assert.notEqual(result.reason.code, 'timeout', 'it was noticed, and not only waited for');
    }
    assert.ok(wires.initiator.closed && wires.responder.closed);
  }

  it('is a channel like any other: who is there, bytes both ways, the end of one is the end of the other', async () => {
    const [one, two] = await open();
    assert.equal(one.device, bob.identity.device);
    assert.equal(two.device, ada.identity.device);
    assert.equal(two.instance, ada.instance);
    assert.deepEqual([one.initiator, two.initiator], [true, false]);
    assert.deepEqual([one.relay, two.relay], [middle, middle]);
    const [left, right] = [new Collector(one), new Collector(two)];
    const [there, back] = [content('there', 3_000_000), content('back', 1_000_000)];
    one.write([there]);
    two.write([back]);
    await Promise.all([right.received(there.length), left.received(back.length)]);
    assert.ok(right.bytes.equals(there));
    assert.ok(left.bytes.equals(back));
    one.close();
    assert.equal(await right.closed, undefined);
    assert.equal(left.closes, 1);
  });

  it('shows the relay nothing but TLS records', async () => {
    const secret = Buffer.from('the words that nobody else may read');
    const seen = { initiator: [] as Buffer[], responder: [] as Buffer[] };
    const [one, two] = await open((bytes, from) => {
      seen[from].push(bytes);
      return bytes;
    });
    const right = new Collector(two);
    one.write([Buffer.concat(Array.from({ length: 3000 }, () => secret))]);
    await right.received(3000 * secret.length);
    for (const bytes of [Buffer.concat(seen.initiator), Buffer.concat(seen.responder)]) {
      assert.ok(bytes.length > 500);
      assert.ok(!bytes.includes(secret));
      let at = 0;
      while (at + 5 <= bytes.length) {
        const type = bytes.readUInt8(at);
        assert.ok(type >= 0x14 && type <= 0x17, `a record of type ${type}`);
        assert.ok(bytes.readUInt16BE(at + 1) === 0x0303 || (at === 0 && bytes.readUInt16BE(at + 1) === 0x0301));
        at += 5 + bytes.readUInt16BE(at + 3);
      }
      assert.equal(at, bytes.length, 'whole records');
    }
    one.close();
  });

  it('stops reading when nobody takes what arrives, and goes on', async () => {
    const wires = relay(honest);
    const [one, two] = await Promise.all(ends(wires));
    two.pause();
    const right = new Collector(two);
    const bytes = content('much', 8_000_000);
    let sent = false;
    one.write([bytes], () => {
      sent = true;
    });
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (wires.responder.unread > 100_000) resolve();
        else setTimeout(look, 5);
      };
      look();
    });
    assert.equal(right.size, 0);
    two.resume();
    await right.received(bytes.length);
    assert.ok(right.bytes.equals(bytes));
    assert.ok(sent);
    one.close();
  });

  for (const from of ['initiator', 'responder'] as const) {
    it(`is refused by both ends when one bit is flipped on the way from the ${from}, at any point of the handshake`, async () => {
      // Everything that the handshake sends one way, bit by bit, would take minutes: every 97th byte.
      for (let at = 5; at < 900; at += 97) {
        let passed = 0;
        await refused(
          relay((bytes, side) => {
            if (side !== from) return bytes;
            const offset = at - passed;
            passed += bytes.length;
            if (offset >= 0 && offset < bytes.length) bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
            return bytes;
          }),
        );
      }
    });
  }

  it('ends at both when a bit is flipped later', async () => {
    let spoil = false;
    const [one, two] = await open((bytes) => {
      if (spoil) bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
      return bytes;
    });
    const [left, right] = [new Collector(one), new Collector(two)];
    spoil = true;
    one.write([Buffer.from('hello')]);
    await Promise.all([left.closed, right.closed]);
    assert.equal(right.size, 0);
  });

  it('ends at both when the relay repeats records', async () => {
    let again = false;
    const [one, two] = await open((bytes) => (again ? Buffer.concat([bytes, bytes]) : bytes));
    const [left, right] = [new Collector(one), new Collector(two)];
    again = true;
    one.write([Buffer.from('pay 1')]);
    await Promise.all([left.closed, right.closed]);
    assert.ok(right.size <= 5);
  });

  it('cannot be opened by what another session showed', async () => {
    const first: Buffer[] = [];
    await open((bytes, side) => {
      if (side === 'initiator') first.push(Buffer.from(bytes));
      return bytes;
    });
    const recorded = Buffer.concat(first);
    let replayed = false;
    await refused(
      relay((bytes, side) => {
        if (side === 'responder') return bytes;
        if (replayed) return Buffer.alloc(0);
        replayed = true;
        return recorded;
      }),
    );
  });

  it('is refused by both ends when the relay joins them to a third device, though it is a member', async () => {
    await refused(relay(honest), { to: eve });
    await refused(relay(honest), { from: eve });
    // Another window of the right device.
    await refused(relay(honest), { to: { ...bob, instance: eve.instance } });
    await refused(relay(honest), { from: { ...ada, instance: eve.instance } });
  });

  it('is refused to a revoked device', async () => {
    network.revoked.add(ada.identity.device);
    try {
      const results = await Promise.allSettled(ends(relay(honest)));
      assert.ok(results.every(({ status }) => status === 'rejected'));
    } finally {
      network.revoked.clear();
    }
  });

  it('gives up in time when nothing comes', async () => {
    const [lone] = memoryPair(systemClock, { latency: 0, rate: 0 }, Math.random);
    const { identity, instance } = bob;
    await assert.rejects(
      secureRelayed('initiator', {
        ...{ connection: lone, head: Buffer.alloc(0), relay: middle, access: network, timeout: 30 },
        ...{ expect: { device: identity.device, instance }, ...ada },
      }),
      { code: 'timeout' },
    );
    assert.ok(lone.closed);
  });
});
