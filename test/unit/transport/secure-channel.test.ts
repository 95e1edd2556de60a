/** The channel as a `Connection`: order, back-pressure, and the memory that it lends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { ConnectionSink } from '../../../src/bittorrent/connection.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { dial } from '../../../src/transport/dial.ts';
import { createIdentity } from '../../../src/transport/identity.ts';
import { ReadBuffer } from '../../../src/transport/read-buffer.ts';
import type { SecureChannel } from '../../../src/transport/secure-channel.ts';
import { ALPN, tlsOptions } from '../../../src/transport/tls-identity.ts';
import { TlsStream } from '../../../src/transport/tls-stream.ts';
import { Collector, content, listen, newPeer, OpenNetwork, tcpServer, until } from './support.ts';

const MIB = 1024 * 1024;

describe('a secure channel', () => {
  const cleanUp: (() => unknown)[] = [];

  afterEach(async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
  });

  async function pair(): Promise<{ dialed: SecureChannel<string>; accepted: SecureChannel<string> }> {
    const network = new OpenNetwork();
    const listening = await listen([network]);
    cleanUp.push(() => listening.listener.dispose());
    const { port } = listening.listener;
    const dialed = await dial({ ...newPeer(), host: '127.0.0.1', port, access: network });
    const accepted = await listening.nextChannel();
    cleanUp.push(() => {
      dialed.close();
      accepted.close();
    });
    return { dialed, accepted };
  }

  for (const direction of ['dialed to accepted', 'accepted to dialed'] as const) {
    describe(direction, () => {
      async function ends(): Promise<[from: SecureChannel<string>, to: SecureChannel<string>]> {
        const { dialed, accepted } = await pair();
        return direction === 'dialed to accepted' ? [dialed, accepted] : [accepted, dialed];
      }

      it('keeps bytes in order, whatever the sizes of the chunks', async () => {
        const [from, to] = await ends();
        const data = content(direction, 2 * MIB);
        const collector = new Collector(to);
        from.start(new Collector());
        for (let at = 0, size = 1; at < data.length; at += size, size = (size * 7) % 40_009) {
          const half = at + Math.ceil(size / 2);
          from.write([data.subarray(at, half), data.subarray(half, at + size)]);
        }
        await collector.received(data.length);
        assert.ok(collector.bytes.equals(data));
      });

      it('delivers nothing before it is started, and loses nothing', async () => {
        const [from, to] = await ends();
        const data = content('early', 200_000);
        let sent = false;
        from.write([data], () => {
          sent = true;
        });
        from.start(new Collector());
        await until(() => sent);
        const collector = new Collector();
        to.start(collector);
        assert.equal(collector.size, 0, 'not before start returns');
        await collector.received(data.length);
        assert.ok(collector.bytes.equals(data));
      });

      it('stops delivering while paused, also what was already on its way', async () => {
        const [from, to] = await ends();
        const data = content('paused', 3 * MIB);
        let pausedAt = 0;
        const collector = new Collector();
        const pausing: ConnectionSink = {
          onData(chunk) {
            assert.equal(pausedAt, 0, 'no chunk after pause');
            collector.onData(chunk);
            if (collector.size > 100_000) {
              pausedAt = collector.size;
              to.pause();
            }
          },
          onDrain() {},
          onClose() {},
        };
        to.start(pausing);
        from.start(new Collector());
        from.write([data]);
        await until(() => pausedAt > 0);
        // Until the sender has stalled, since nobody reads, or has got rid of everything.
        let before = -1;
        while (from.writableLength !== before) {
          before = from.writableLength;
          for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
        }
        assert.equal(collector.size, pausedAt);
        pausedAt = 0;
        to.start(collector);
        to.resume();
        await collector.received(data.length);
        assert.ok(collector.bytes.equals(data));
      });

      it('can move to another sink in the middle', async () => {
        const [from, to] = await ends();
        const data = content('moved', MIB);
        const [first, second] = [new Collector(), new Collector()];
        to.start({
          onData(chunk) {
            first.onData(chunk);
            if (first.size > 50_000) to.start(second);
          },
          onDrain() {},
          onClose() {},
        });
        from.start(new Collector());
        from.write([data]);
        await until(() => first.size + second.size === data.length);
        assert.ok(Buffer.concat([first.bytes, second.bytes]).equals(data));
        assert.ok(first.size > 50_000 && second.size > 0);
      });

      it('says when chunks have been sent, in order, and when none are left', async () => {
        const [from, to] = await ends();
        to.start(new Collector());
        const collector = new Collector(from);
        const sent: number[] = [];
        for (let round = 0; round < 20; round++) {
          from.write([content('x', 13), content('y', 100_000)], () => {
            assert.ok(from.writableLength <= (20 - round) * 100_013);
            sent.push(round);
          });
        }
        assert.equal(sent.length, 0, 'not before write returns');
        assert.ok(from.writableLength > 0);
        await until(() => collector.drains > 0);
        assert.deepEqual(
          sent,
          Array.from({ length: 20 }, (_, round) => round),
        );
        assert.equal(from.writableLength, 0);
        // Also after a write so small that the socket never complains of being full.
        const drains = collector.drains;
        from.write([Buffer.from('small')]);
        await until(() => collector.drains > drains);
      });

      it('lends each chunk for the time of the call only', async () => {
        const [from, to] = await ends();
        const seen: { chunk: Uint8Array; copy: Buffer }[] = [];
        let size = 0;
        to.start({
          onData(chunk) {
            seen.push({ chunk, copy: Buffer.from(chunk) });
            size += chunk.length;
          },
          onDrain() {},
          onClose() {},
        });
        from.start(new Collector());
        from.write([content('lent', MIB)]);
        await until(() => size === MIB);
        assert.ok(
          seen.some(({ chunk, copy }) => !copy.equals(chunk)),
          'the memory was used again: no allocation for each record',
        );
        assert.ok(seen.every(({ chunk }) => chunk.buffer === seen[0]!.chunk.buffer));
      });
    });
  }

  it('closes both ends, each exactly once, with the reason on the side that closed', async () => {
    const { dialed, accepted } = await pair();
    const [ours, theirs] = [new Collector(dialed), new Collector(accepted)];
    const reason = new PeerwireError('protocol', 'enough');
    dialed.close(reason);
    dialed.close();
    assert.equal(ours.closes, 0, 'not before close returns');
    assert.ok(dialed.closed);
    dialed.write([Buffer.from('ignored')]);
    assert.equal(await ours.closed, reason);
    assert.equal(await theirs.closed, undefined);
    assert.ok(accepted.closed);
    assert.deepEqual([ours.closes, theirs.closes], [1, 1]);
    assert.match(dialed.remote, /^127\.0\.0\.1:\d+$/);
  });

  it('gives all memory back, also of what has not left when it closes, or comes after that', async () => {
    const { dialed, accepted } = await pair();
    accepted.pause();
    const done: number[] = [];
    const write = (number: number): void => dialed.write([content('x', MIB)], () => done.push(number));
    for (let number = 0; number < 16; number++) write(number);
    await until(() => done.length > 0);
    assert.ok(dialed.writableLength > 0, 'all of it left');
    dialed.close();
    const before = done.length;
    write(16);
    assert.equal(done.length, before, 'not before close and write return');
    await until(() => done.length >= 17);
    assert.deepEqual(
      done.sort((a, b) => a - b),
      Array.from({ length: 17 }, (_, number) => number),
      'each once',
    );
  });

  it('tells a sink that comes after the end', async () => {
    const { dialed, accepted } = await pair();
    dialed.close();
    const late = new Collector(accepted);
    assert.equal(await late.closed, undefined);
    const reason = new PeerwireError('closed', 'x');
    const { dialed: again } = await pair();
    again.close(reason);
    assert.equal(await new Collector(again).closed, reason);
  });

  it('delivers what came before the end, also when it was paused', async () => {
    const { dialed, accepted } = await pair();
    const data = content('last words', 300_000);
    const collector = new Collector(accepted);
    accepted.pause();
    dialed.start(new Collector());
    dialed.write([data], () => dialed.close());
    await until(() => dialed.closed);
    accepted.resume();
    await collector.closed;
    assert.ok(collector.bytes.equals(data));
  });

  it('delivers what came with the farewell of the other end, also when it was paused', async () => {
    const [own, other] = [createIdentity(), createIdentity()];
    const data = content('farewell', 600_000);
    const server = createTlsServer({ key: other.keyPem, cert: other.certPem, ALPNProtocols: [ALPN] }, (socket) => {
      socket.on('error', () => {});
      socket.end(data);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUp.push(() => server.close());
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const stream = TlsStream.connect({ ...tlsOptions(own), host: '127.0.0.1', port: address.port });
    const collector = new Collector();
    stream.start({
      onData(chunk) {
        collector.onData(chunk);
        stream.pause();
        setImmediate(() => stream.resume());
      },
      onDrain() {},
      onClose: (reason) => collector.onClose(reason),
    });
    assert.equal(await collector.closed, undefined);
    assert.ok(collector.chunks.length > 1 && collector.bytes.equals(data));
  });

  it('reports a connection that was cut', async () => {
    const network = new OpenNetwork();
    const listening = await listen([network]);
    cleanUp.push(() => listening.listener.dispose());
    const sockets: Socket[] = [];
    const relay = await tcpServer((socket) => {
      const onward = connect(listening.listener.port, '127.0.0.1');
      onward.on('error', () => {});
      sockets.push(socket, onward);
      socket.pipe(onward).pipe(socket);
    });
    cleanUp.push(relay.close);
    const dialed = await dial({ ...newPeer(), host: '127.0.0.1', port: relay.port, access: network });
    const accepted = await listening.nextChannel();
    const [ours, theirs] = [new Collector(dialed), new Collector(accepted)];
    for (const socket of sockets) socket.resetAndDestroy();
    for (const collector of [ours, theirs]) {
      const reason = await collector.closed;
      assert.ok(reason === undefined || (reason instanceof PeerwireError && reason.code === 'connection'));
      assert.equal(collector.closes, 1);
    }
  });

  it('works by data events too, where the socket offers no buffer of ours', async () => {
    const [own, other] = [createIdentity(), createIdentity()];
    const collector = new Collector();
    let stream: TlsStream | undefined;
    const server = await tcpServer((raw) => {
      const attach = ReadBuffer.prototype.attach;
      // What a future Node would look like: no internals to be found.
      ReadBuffer.prototype.attach = function (socket) {
        socket.on('data', (chunk: Buffer) => this.onChunk(chunk));
      };
      try {
        stream = TlsStream.accept(raw, tlsOptions(own));
      } finally {
        ReadBuffer.prototype.attach = attach;
      }
      stream.start(collector);
    });
    cleanUp.push(server.close);
    const client = TlsStream.connect({ ...tlsOptions(other), host: '127.0.0.1', port: server.port });
    cleanUp.push(() => client.close());
    client.start(new Collector());
    await once(client.socket, 'secureConnect');
    const data = content('plain', MIB);
    client.write([data]);
    await collector.received(200_000);
    stream?.pause();
    const paused = collector.size;
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(collector.size, paused);
    stream?.resume();
    await collector.received(data.length);
    assert.ok(collector.bytes.equals(data));
  });

  it('hands large chunks to the socket one at a time, and small ones together', async () => {
    const [own, other] = [createIdentity(), createIdentity()];
    const collector = new Collector();
    const server = await tcpServer((raw) => TlsStream.accept(raw, tlsOptions(own)).start(collector));
    cleanUp.push(server.close);
    const client = TlsStream.connect({ ...tlsOptions(other), host: '127.0.0.1', port: server.port });
    cleanUp.push(() => client.close());
    client.start(new Collector());
    await once(client.socket, 'secureConnect');
    const written: number[] = [];
    const { socket } = client;
    const write = socket._write;
    socket._write = (chunk: Buffer, ...rest) => {
      written.push(chunk.length);
      // More would be copied into one piece of memory first.
      assert.equal(socket.writableLength, chunk.length);
      write.call(socket, chunk, ...rest);
    };
    const data = content('queue', 4 * MIB);
    const sent: number[] = [];
    const sizes = [MIB, 10, 20, 30, MIB, 40, MIB - 100];
    let at = 0;
    for (const [index, size] of sizes.entries()) {
      client.write([data.subarray(at, at + size)], () => sent.push(index));
      at += size;
    }
    assert.equal(client.writableLength, at);
    await collector.received(at);
    await until(() => client.writableLength === 0);
    assert.ok(collector.bytes.equals(data.subarray(0, at)));
    assert.deepEqual(written, [MIB, 60, MIB, 40, MIB - 100]);
    assert.deepEqual(sent, [0, 1, 2, 3, 4, 5, 6]);
  });

  it('passes on several records at once, and a lone one without delay', async () => {
    const { dialed, accepted } = await pair();
    for (const [from, to] of [
      [dialed, accepted],
      [accepted, dialed],
    ] as const) {
      const collector = new Collector(to);
      from.start(new Collector());
      from.write([content('one', 1000)]);
      await collector.received(1000);
      from.write([content('many', 4 * MIB)]);
      await collector.received(4 * MIB + 1000);
      const largest = Math.max(...collector.chunks.map(({ length }) => length));
      assert.ok(largest > 16_384 && largest <= 65_536, String(largest));
    }
  });
});
