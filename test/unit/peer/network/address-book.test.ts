import assert from 'node:assert/strict';
import {
  AddressBook,
  MAX_ADDRESSES,
  MAX_REMEMBERED,
  REMEMBERED_FOR,
  UNPROVEN_PER_HOST,
  UNPROVEN_TRIES_PER_HOUR,
} from '../../../../src/peer/network/address-book.ts';
import type { PeerRef } from '../../../../src/peer/network/channel.ts';
import { readRemembered } from '../../../../src/peer/network/remembered.ts';
import { createIdentity } from '../../../../src/transport/identity.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { advance, testPeer } from './support.ts';

const nobody = (): boolean => false;
const HOUR = 60 * 60 * 1000;

/** Tries every due address, always in vain, for `ms`. Returns the times of the tries. */
async function failFor(clock: VirtualClock, book: AddressBook, ms: number): Promise<number[]> {
  const start = clock.now();
  const times: number[] = [];
  while (clock.now() - start < ms) {
    for (const { key } of book.take(10, nobody)) {
      times.push(clock.now() - start);
      book.failed(key);
    }
    await advance(clock, Math.min(book.nextDue(nobody) ?? ms, ms - (clock.now() - start)) || 1);
  }
  return times;
}

describe('AddressBook', () => {
  let clock: VirtualClock;
  let book: AddressBook;
  const peer: PeerRef = testPeer();

  beforeEach(() => {
    clock = new VirtualClock();
    book = new AddressBook(clock, () => 0.5);
  });

  it('hands out each address once until its outcome is known', () => {
    assert.equal(book.add({ host: '10.0.0.1', port: 6881 }, 'manual'), 'added');
    assert.equal(book.add({ host: '::ffff:10.0.0.1', port: 6881 }, 'tracker'), 'known');
    assert.deepEqual(
      book.take(5, nobody).map(({ key }) => key),
      ['10.0.0.1:6881'],
    );
    assert.deepEqual(book.take(5, nobody), []);
    assert.equal(book.nextDue(nobody), undefined);
    book.failed('10.0.0.1:6881');
    assert.equal(book.nextDue(nobody), 500);
  });

  it('retries fast at first, then every minute, then patiently', async () => {
    book.add({ host: '10.0.0.1', port: 6881 }, 'manual');
    const times = await failFor(clock, book, 2 * HOUR);
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    assert.deepEqual(gaps.slice(0, 9), [500, 1000, 2000, 5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    assert.equal(gaps.at(-1), 300_000);
  });

  it('varies delays by a fifth', () => {
    const early = new AddressBook(clock, () => 0);
    const late = new AddressBook(clock, () => 0.999999);
    for (const one of [early, late]) {
      one.add({ host: '10.0.0.1', port: 6881 }, 'manual');
      one.take(1, nobody);
      one.failed('10.0.0.1:6881');
    }
    assert.equal(early.nextDue(nobody), 400);
    assert.ok(Math.abs((late.nextDue(nobody) ?? 0) - 600) < 1);
  });

  it('tries what only a tracker said three times an hour, however often it says so', async () => {
    const tell = clock.setInterval(() => book.add({ host: '203.0.113.1', port: 22 }, 'tracker'), 2000);
    book.add({ host: '203.0.113.1', port: 22 }, 'tracker');
    const times = await failFor(clock, book, 4.5 * HOUR);
    tell.dispose();
    for (const start of times) {
      const inHour = times.filter((time) => time >= start && time < start + HOUR).length;
      assert.ok(inHour <= UNPROVEN_TRIES_PER_HOUR.tracker, `${inHour} tries in an hour`);
    }
    assert.ok(times.length >= 4 * UNPROVEN_TRIES_PER_HOUR.tracker, `only ${times.length} tries`);
    book.hurry();
    assert.deepEqual(book.take(5, nobody), [], 'hurry does not lift the limit');
  });

  it('tries what somebody on the LAN said thirty times an hour, however often it says so', async () => {
    const tell = clock.setInterval(() => book.add({ host: '10.0.0.9', port: 22 }, 'lan'), 2000);
    book.add({ host: '10.0.0.9', port: 22 }, 'lan');
    const times = await failFor(clock, book, 3 * HOUR);
    tell.dispose();
    for (const start of times) {
      const inHour = times.filter((time) => time >= start && time < start + HOUR).length;
      assert.ok(inHour <= UNPROVEN_TRIES_PER_HOUR.lan, `${inHour} tries in an hour`);
    }
    assert.ok(times.length >= 2 * UNPROVEN_TRIES_PER_HOUR.lan, `only ${times.length} tries`);
  });

  it('tries at once again what was broken off', () => {
    book.add({ host: '10.0.0.1', port: 6881 }, 'manual');
    const [taken] = book.take(1, nobody);
    assert.equal(book.take(1, nobody).length, 0);
    book.abandoned(taken!.key);
    assert.equal(book.take(1, nobody).length, 1);
  });

  it('saves a try for when a tracker lists an address again', async () => {
    const told = { host: '203.0.113.1', port: 6881 };
    book.add(told, 'tracker');
    const repeat = clock.setInterval(() => book.add(told, 'tracker', 't', false), 2000);
    assert.deepEqual(await failFor(clock, book, 10 * 60_000), [0, 33_000]);
    repeat.dispose();
    book.add(told, 'tracker', 't', true);
    assert.equal(book.take(1, nobody).length, 1);
  });

  it('believes members more than trackers', async () => {
    const told = { host: '10.0.0.1', port: 6881 };
    book.add(told, 'tracker');
    await failFor(clock, book, 60_000);
    book.add(told, 'pex');
    const { length } = await failFor(clock, book, HOUR - 60_000);
    assert.ok(length > UNPROVEN_TRIES_PER_HOUR.tracker && length + 2 <= UNPROVEN_TRIES_PER_HOUR.pex, `${length} tries`);
  });

  it('does not forget an unproven address while it counts against the limit', async () => {
    book.add({ host: '203.0.113.1', port: 22 }, 'tracker');
    await failFor(clock, book, 60_000);
    for (let i = 0; i < 2 * MAX_ADDRESSES; i++) {
      book.add({ host: `198.51.${i >> 8}.${i & 255}`, port: 1000 }, 'tracker');
    }
    assert.equal(book.size, MAX_ADDRESSES);
    assert.equal(book.add({ host: '203.0.113.1', port: 22 }, 'tracker'), 'known');
  });

  it('takes few unproven ports of one host', () => {
    for (let port = 1; port <= 1000; port++) book.add({ host: '203.0.113.1', port }, 'tracker');
    assert.equal(book.size, UNPROVEN_PER_HOST);
    assert.equal(book.add({ host: '203.0.113.1', port: 2000 }, 'manual'), 'added');
  });

  it('stays within its size and always has room for what the user typed', () => {
    for (let i = 0; i < 20_000; i++) {
      book.add({ host: `198.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 1000 }, 'tracker');
    }
    assert.equal(book.size, MAX_ADDRESSES);
    assert.equal(book.add({ host: '10.0.0.1', port: 6881 }, 'manual'), 'added');
    assert.equal(book.size, MAX_ADDRESSES);
    assert.equal(book.take(1, nobody)[0]?.key, '10.0.0.1:6881');
  });

  it('leaves connected peers alone and returns soon after they are lost', () => {
    book.add({ host: '10.0.0.1', port: 6881 }, 'manual');
    book.take(1, nobody);
    book.succeeded('10.0.0.1:6881', peer);
    assert.deepEqual(
      book.take(1, () => true),
      [],
    );
    book.lost(peer, 60_000);
    assert.equal(book.nextDue(nobody), 500);
  });

  it('backs off from a peer that closes every connection at once', async () => {
    book.add({ host: '10.0.0.1', port: 6881 }, 'manual');
    const start = clock.now();
    let tries = 0;
    while (clock.now() - start < 10 * 60_000) {
      for (const { key } of book.take(1, nobody)) {
        tries++;
        book.succeeded(key, peer);
        book.lost(peer, 50);
      }
      await advance(clock, book.nextDue(nobody) ?? 1);
    }
    assert.ok(tries < 20, `${tries} tries in ten minutes`);
  });

  it('remembers where members were, with who they were', () => {
    book.met({ host: '10.0.0.9', port: 7000 }, peer);
    book.add({ host: '10.0.0.1', port: 6881 }, 'manual');
    book.add({ host: '10.0.0.2', port: 6881 }, 'tracker');
    const stored = readRemembered(JSON.parse(JSON.stringify(book.remembered())));
    const again = new AddressBook(clock, () => 0.5);
    again.load(stored);
    assert.deepEqual(
      again.take(9, nobody).map(({ key }) => key),
      ['10.0.0.9:7000', '10.0.0.1:6881'],
    );
    const third = new AddressBook(clock);
    third.load(stored);
    assert.deepEqual(
      third.take(9, (other) => other.device === peer.device).map(({ key }) => key),
      ['10.0.0.1:6881'],
      'whom we are connected to already is not dialled',
    );
  });

  it('remembers the latest few', () => {
    const identities = Array.from({ length: 50 }, () => createIdentity());
    for (let i = 0; i < MAX_REMEMBERED + 50; i++)
      book.met({ host: `10.0.${i >> 8}.${i & 255}`, port: 6881 }, testPeer(identities[i % identities.length]));
    assert.equal(book.remembered().length, MAX_REMEMBERED);
  });

  it('forgets after thirty days without a meeting, also across restarts', async () => {
    book.met({ host: '10.0.0.9', port: 7000 }, peer);
    await advance(clock, REMEMBERED_FOR - 1000);
    book.expire();
    assert.equal(book.size, 1);
    const stored = book.remembered();
    await advance(clock, 2000);
    book.expire();
    assert.equal(book.size, 0);
    book.load(stored);
    assert.equal(book.size, 0);
  });

  it('does not keep an address for ever because a clock was wrong', async () => {
    const future = clock.wallTime() + 1000 * REMEMBERED_FOR;
    book.load([{ host: '10.0.0.9', port: 7000, origin: 'member', added: future, lastSuccess: future }]);
    assert.equal(book.size, 1);
    await advance(clock, REMEMBERED_FOR + 1000);
    book.expire();
    assert.equal(book.size, 0);
  });

  it('does not dial itself again', async () => {
    book.add({ host: '10.0.0.1', port: 6881 }, 'tracker');
    book.take(1, nobody);
    book.isSelf('10.0.0.1:6881');
    assert.equal(book.add({ host: '10.0.0.1', port: 6881 }, 'tracker'), 'refused');
    await advance(clock, HOUR + 1);
    assert.equal(book.add({ host: '10.0.0.1', port: 6881 }, 'tracker'), 'added', 'the port may be another peer’s now');
  });

  it('forgets a device', () => {
    book.met({ host: '10.0.0.9', port: 7000 }, peer);
    book.forgetDevice(peer.device);
    assert.equal(book.size, 0);
  });

  it('reads stored addresses leniently', () => {
    assert.throws(() => readRemembered({}));
    assert.deepEqual(readRemembered([1, null, {}, { host: 1 }, { host: 'a', port: 'b', added: 0 }]), []);
    assert.deepEqual(readRemembered([{ host: '10.0.0.1', port: 1, added: 5, peer: { device: 'x', instance: 'y' } }]), [
      { host: '10.0.0.1', port: 1, added: 5, origin: 'member' },
    ]);
  });
});
