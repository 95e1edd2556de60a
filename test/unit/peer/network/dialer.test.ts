import assert from 'node:assert/strict';
import type { Connection } from '../../../../src/bittorrent/connection.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { silentLogger } from '../../../../src/common/log.ts';
import { AddressBook, MAX_REMEMBERED } from '../../../../src/peer/network/address-book.ts';
import type { MemberChannel } from '../../../../src/peer/network/channel.ts';
import { Dialer, type DialTarget, MAX_ATTEMPTS, MAX_ATTEMPTS_ALONE } from '../../../../src/peer/network/dialer.ts';
import { RefusedError } from '../../../../src/transport/refused-error.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { advance, NETWORK, testPeer } from './support.ts';

function channelTo(closed: string[]): MemberChannel {
  const { device, instance } = testPeer();
  const connection: Connection = {
    remote: '10.0.0.1:1',
    writableLength: 0,
    closed: false,
    start() {},
    write() {},
    pause() {},
    resume() {},
    close: () => void closed.push(device),
  };
  return {
    ...connection,
    device,
    instance,
    network: NETWORK,
    initiator: true,
    remoteAddress: '10.0.0.1',
    remotePort: 1,
  };
}

describe('Dialer', () => {
  let clock: VirtualClock;
  let book: AddressBook;
  let dialed: (DialTarget & { resolve: (channel: MemberChannel) => void; reject: (error: unknown) => void })[];
  let channels: string[];
  let refusals: string[];
  let room: boolean;
  let alone: boolean;
  let dialer: Dialer;

  beforeEach(() => {
    clock = new VirtualClock();
    alone = false;
    book = new AddressBook(
      clock,
      () => 0.5,
      () => alone,
    );
    dialed = [];
    channels = [];
    refusals = [];
    room = true;
    dialer = new Dialer({
      book,
      clock,
      logger: silentLogger,
      dial: (target) => new Promise((resolve, reject) => dialed.push({ ...target, resolve, reject })),
      isConnected: () => false,
      isAlone: () => alone,
      hasRoom: () => room,
      onRefused: ({ code }) => refusals.push(code),
      onChannel: (_channel, address) => channels.push(address),
    });
  });

  afterEach(() => dialer.dispose());

  it('dials a few at a time', async () => {
    for (let i = 0; i < 20; i++) book.add({ host: `10.0.0.${i}`, port: 1 }, 'tracker');
    dialer.poke();
    assert.equal(dialed.length, MAX_ATTEMPTS);
    dialed[0]?.reject(new Error('refused'));
    await advance(clock, 1);
    assert.equal(dialed.length, MAX_ATTEMPTS + 1);
  });

  it('begins anew what is being opened when the network changed', async () => {
    book.add({ host: '10.0.0.1', port: 1 }, 'manual');
    dialer.poke();
    const [first] = dialed;
    first?.signal.addEventListener('abort', () => first.reject(first.signal.reason));
    dialer.breakOff();
    await advance(clock, 1);
    assert.equal(dialed.length, 2);
    assert.equal(book.take(1, () => false).length, 0, 'it is dialled once at a time');
    dialed[1]?.resolve(channelTo([]));
    await advance(clock, 1);
    assert.deepEqual(channels, ['10.0.0.1:1']);
  });

  it('hands over what it opened, and does not dial it again by itself', async () => {
    book.add({ host: '10.0.0.1', port: 1 }, 'manual');
    dialer.poke();
    dialed[0]?.resolve(channelTo([]));
    await advance(clock, 60_000);
    assert.deepEqual(channels, ['10.0.0.1:1']);
    assert.equal(dialed.length, 1);
  });

  it('tries again when the book says so', async () => {
    book.add({ host: '10.0.0.1', port: 1 }, 'manual');
    dialer.poke();
    dialed[0]?.reject(new PeerwireError('connection', 'refused'));
    await advance(clock, 499);
    assert.equal(dialed.length, 1);
    await advance(clock, 2);
    assert.equal(dialed.length, 2);
  });

  it('does not dial itself twice', async () => {
    book.add({ host: '10.0.0.1', port: 1 }, 'manual');
    dialer.poke();
    dialed[0]?.reject(new PeerwireError('exists', 'ourselves'));
    await advance(clock, 60_000);
    assert.equal(dialed.length, 1);
    assert.equal(book.size, 0);
  });

  it('tells when members refuse us', async () => {
    book.add({ host: '10.0.0.1', port: 1 }, 'manual');
    book.add({ host: '10.0.0.2', port: 1 }, 'manual');
    dialer.poke();
    dialed[0]?.reject(new RefusedError('expired', 'too old'));
    // It is they whom we would not have.
    dialed[1]?.reject(new PeerwireError('revoked', 'removed'));
    await advance(clock, 1);
    assert.deepEqual(refusals, ['expired']);
  });

  it('alone, tries all whom it remembers within a minute, though nobody answers', async () => {
    const { device, instance } = testPeer();
    const peer = { device, instance };
    const hosts = Array.from({ length: MAX_REMEMBERED }, (_, i) => `10.0.0.${i}`);
    const added = clock.wallTime();
    book.load(hosts.map((host) => ({ host, port: 1, origin: 'member' as const, added, lastSuccess: added, peer })));
    // What others told waits its turn meanwhile, and no longer than usual.
    for (let i = 0; i < 20; i++) book.add({ host: `10.1.0.${i}`, port: 1 }, 'pex', '10.9.9.9');
    const tries = new Map<string, number[]>();
    const dialing = new Set<string>();
    let most = 0;
    let mostUnproven = 0;
    alone = true;
    dialer.dispose();
    dialer = new Dialer({
      ...{ book, clock, logger: silentLogger, isConnected: () => false, isAlone: () => alone, hasRoom: () => true },
      ...{ onRefused: () => {}, onChannel: () => {} },
      dial: ({ host }) => {
        tries.set(host, [...(tries.get(host) ?? []), clock.now()]);
        dialing.add(host);
        most = Math.max(most, dialing.size);
        mostUnproven = Math.max(mostUnproven, [...dialing].filter((one) => one.startsWith('10.1.')).length);
        return new Promise((_, reject) =>
          clock.setTimeout(() => {
            dialing.delete(host);
            reject(new PeerwireError('timeout', 'nobody'));
          }, 10_000),
        );
      },
    });
    dialer.poke();
    await advance(clock, 60 * 60_000);
    for (const host of hosts) {
      const times = tries.get(host) ?? [];
      assert.ok(times.length >= 60, `${host}: ${times.length}`);
      for (const [i, time] of times.entries()) assert.ok(time - (times[i - 1] ?? 0) <= 60_000, `${host} at ${time}`);
    }
    assert.ok(most <= MAX_ATTEMPTS + MAX_ATTEMPTS_ALONE, `${most} at once`);
    assert.ok(mostUnproven <= MAX_ATTEMPTS, `${mostUnproven} at once that others told of`);
    assert.equal(tries.size, MAX_REMEMBERED + 20);
  });

  it('does not wait as it did in company, once alone', async () => {
    const { device, instance } = testPeer();
    const peer = { device, instance };
    const added = clock.wallTime();
    book.load([{ host: '10.0.0.1', port: 1, origin: 'member', added, lastSuccess: added, peer }]);
    for (let i = 0; i < 40; i++) {
      dialer.poke();
      dialed.at(-1)?.reject(new PeerwireError('connection', 'refused'));
      await advance(clock, 70_000);
    }
    await advance(clock, 5 * 60_000);
    dialed.at(-1)?.reject(new PeerwireError('connection', 'refused'));
    await advance(clock, 1);
    const before = dialed.length;
    alone = true;
    book.alone();
    dialer.poke();
    await advance(clock, 31_000);
    assert.equal(dialed.length, before + 1);
  });

  it('waits while there is no room', async () => {
    room = false;
    book.add({ host: '10.0.0.1', port: 1 }, 'manual');
    dialer.poke();
    assert.equal(dialed.length, 0);
    room = true;
    dialer.poke();
    assert.equal(dialed.length, 1);
  });

  it('closes what opens after its end, and leaves no timer', async () => {
    const closed: string[] = [];
    book.add({ host: '10.0.0.1', port: 1 }, 'manual');
    book.add({ host: '10.0.0.2', port: 1 }, 'manual');
    dialer.poke();
    dialer.dispose();
    assert.ok(dialed.every(({ signal }) => signal.aborted));
    dialed[0]?.resolve(channelTo(closed));
    dialed[1]?.reject(new Error('aborted'));
    await advance(clock, 60_000);
    assert.equal(closed.length, 1);
    assert.deepEqual(channels, []);
    assert.equal(clock.pending, 0);
  });
});
