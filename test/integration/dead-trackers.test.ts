/** Trackers that are of no use in every way that there is, with real sockets: what they cost, and what remains of them. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '../../src/common/clock.ts';
import { TrackerAnnouncer } from '../../src/peer/network/tracker-announcer.ts';
import { announce } from '../../src/transport/tracker-client.ts';

/** Milliseconds in which leaving must be over: one for the good-bye, the rest for a busy machine. */
const LEAVING = 5000;

describe('trackers that are of no use', function () {
  this.timeout(60_000);
  const closing: (() => void)[] = [];
  const timers = new Set<NodeJS.Timeout>();

  afterEach(() => {
    for (const timer of timers) clearInterval(timer);
    for (const close of closing.splice(0)) close();
  });

  /** What a TCP server does with each connection; `open`: those that there are. */
  async function tcp(serve: (socket: Socket) => void): Promise<{ port: number; open: Set<Socket> }> {
    const open = new Set<Socket>();
    const server: Server = createServer((socket) => {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('error', () => {});
      serve(socket);
      socket.resume(); // Otherwise its end is not noticed.
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => {
      for (const socket of open) socket.destroy();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, open };
  }

  async function silentUdp(): Promise<number> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    closing.push(() => socket.close());
    return socket.address().port;
  }

  it('cost one connection each and infohash, keep nobody from leaving, and leave nothing behind', async () => {
    const drip = (socket: Socket): void => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nd8:interval');
      timers.add(setInterval(() => socket.writable && socket.write('1'), 20));
    };
    const slow = await Promise.all([tcp(drip), tcp(drip), tcp(() => {}), tcp(() => {})]);
    const rude = await tcp((socket) => socket.destroy());
    const babbling = await tcp((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'));
    const good = await tcp((socket) => {
      socket.once('data', () => {
        const body = 'd8:intervali1800e5:peers6:\n\0\0\x01\x1a\xe1e';
        socket.end(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`, 'latin1'));
      });
    });
    const gone = await tcp(() => {});
    closing.pop()?.();
    const udp = await Promise.all([silentUdp(), silentUdp()]);
    const trackers = [
      ...[...slow, rude, babbling, gone].map(({ port }) => `http://127.0.0.1:${port}/announce`),
      ...udp.map((port) => `udp://127.0.0.1:${port}/announce`),
      `https://127.0.0.1:${slow[2]?.port}/announce`,
      `http://127.0.0.1:${good.port}/announce`,
    ];
    const before = process.getActiveResourcesInfo().length;
    let found: (() => void) | undefined;
    const met = new Promise<void>((resolve) => {
      found = resolve;
    });
    const announcer = new TrackerAnnouncer({
      trackers: () => trackers,
      infoHashes: () => [Buffer.alloc(20, 1), Buffer.alloc(20, 2)],
      peerId: Buffer.alloc(20, 3),
      port: () => 6881,
      lonely: () => true,
      announce,
      onPeers: () => found?.(),
      onWarning: () => {},
      clock: systemClock,
    });
    announcer.start();
    // One that works is not held up by those that do not.
    await met;
    const failed = (): number => announcer.status().filter(({ ok }) => ok === false).length;
    while (failed() < 3) await new Promise((resolve) => announcer.onStateChanged(() => resolve(undefined)));
    for (let n = 0; n < 50; n++) announcer.retryNow();
    await new Promise((resolve) => setImmediate(resolve));
    for (const { open } of slow) assert.ok(open.size <= 4, `${open.size} connections`);
    assert.equal(announcer.failing, false);

    const since = performance.now();
    await announcer.stop();
    assert.ok(performance.now() - since < LEAVING, 'it waited for trackers that do not answer');
    while (slow.some(({ open }) => open.size > 0)) await new Promise((resolve) => setImmediate(resolve));
    // Sockets and timers end with the announces; what a closed socket leaves is gone a moment later.
    while (process.getActiveResourcesInfo().length > before + timers.size + 2) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
});
