import assert from 'node:assert/strict';
import type { Connection } from '../../../../src/bittorrent/connection.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { silentLogger } from '../../../../src/common/log.ts';
import { AddressBook } from '../../../../src/peer/network/address-book.ts';
import type { MemberChannel } from '../../../../src/peer/network/channel.ts';
import { Dialer, type DialTarget, MAX_ATTEMPTS } from '../../../../src/peer/network/dialer.ts';
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
  let dialer: Dialer;

  beforeEach(() => {
    clock = new VirtualClock();
    book = new AddressBook(clock, () => 0.5);
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
