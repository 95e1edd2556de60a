import assert from 'node:assert/strict';
import { type IncomingWire, readHandshake } from '../../../src/bittorrent/incoming-wire.ts';
import { encodeHandshake, HANDSHAKE_SIZE } from '../../../src/bittorrent/wire/handshake.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { type MemoryConnection, memoryPair } from '../../sim/memory-connection.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

const handshake = encodeHandshake({ infoHash: Buffer.alloc(20, 0x11), peerId: Buffer.alloc(20, 0x22) });

describe('readHandshake', () => {
  let clock: VirtualClock;
  let dialer: MemoryConnection;
  let listener: MemoryConnection;

  beforeEach(() => {
    clock = new VirtualClock();
    [dialer, listener] = memoryPair(clock, { latency: 1, rate: 0 }, () => 0.5);
  });

  /** What comes of it, within so many ms. */
  async function outcome(reading: Promise<IncomingWire>, within: number): Promise<IncomingWire | PeerwireError> {
    let result: IncomingWire | PeerwireError | undefined;
    reading.then(
      (incoming) => {
        result = incoming;
      },
      (error: unknown) => {
        assert.ok(error instanceof PeerwireError);
        result = error;
      },
    );
    assert.ok(await clock.run(() => result !== undefined, within));
    return result!;
  }

  it('reads a handshake byte by byte, keeps what comes behind it, and leaves the connection open and paused', async () => {
    const reading = readHandshake(listener, clock);
    for (const byte of handshake) dialer.write([Buffer.of(byte)]);
    dialer.write([Buffer.from('abc')]);
    const incoming = await outcome(reading, 100);
    assert.ok(!(incoming instanceof PeerwireError));
    assert.deepEqual(incoming.handshake.infoHash, Buffer.alloc(20, 0x11));
    dialer.write([Buffer.from('def')]);
    await clock.run(() => false, 20_000);
    assert.equal(listener.closed, false, 'it timed out behind a handshake that came');
    const received: Buffer[] = [incoming.rest];
    listener.start({ onData: (chunk) => received.push(Buffer.from(chunk)), onDrain() {}, onClose() {} });
    listener.resume();
    await clock.run(() => false, 10);
    assert.equal(Buffer.concat(received).toString(), 'abcdef');
  });

  it('closes a connection that brings only a part of one in time', async () => {
    const reading = readHandshake(listener, clock, 500);
    dialer.write([handshake.subarray(0, HANDSHAKE_SIZE - 1)]);
    const error = await outcome(reading, 501);
    assert.ok(error instanceof PeerwireError);
    assert.equal(error.code, 'timeout');
    assert.equal(clock.now(), 500);
    assert.equal(listener.closed, true);
  });

  it('closes a connection that brings something else', async () => {
    const reading = readHandshake(listener, clock);
    dialer.write([Buffer.alloc(HANDSHAKE_SIZE, 'GET / HTTP/1.1')]);
    const error = await outcome(reading, 100);
    assert.ok(error instanceof PeerwireError);
    assert.equal(error.code, 'protocol');
    assert.equal(listener.closed, true);
    assert.ok(await clock.run(() => clock.pending === 0, 100), 'its timer goes on');
  });

  it('says that a connection closed before', async () => {
    const reading = readHandshake(listener, clock);
    dialer.close();
    const error = await outcome(reading, 100);
    assert.ok(error instanceof PeerwireError);
    assert.equal(error.code, 'closed');
    assert.ok(await clock.run(() => clock.pending === 0, 100), 'its timer goes on');
  });
});
