import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Clock } from '../../../src/common/clock.ts';
import { toDisposable } from '../../../src/common/disposable.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { announce as announceAt } from '../../../src/transport/tracker-client.ts';
import { Tracker, type TrackerOptions } from '../../../tracker/tracker.ts';

/** Time that stands still until it is told to move. */
class ManualClock implements Clock {
  #now = 1_000_000;
  readonly #intervals = new Set<() => void>();

  now(): number {
    return this.#now;
  }
  wallTime(): number {
    return this.#now;
  }
  setTimeout(): never {
    throw new Error('The tracker uses no timeouts.');
  }
  setInterval(callback: () => void, period: number) {
    assert.equal(period, 1000);
    this.#intervals.add(callback);
    return toDisposable(() => this.#intervals.delete(callback));
  }
  advance(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.#now += 1000;
      for (const callback of this.#intervals) callback();
    }
  }
  get timers(): number {
    return this.#intervals.size;
  }
}

const HASH = '%AA'.repeat(20);
const announce = (port: number, extra = ''): string =>
  `/announce?info_hash=${HASH}&peer_id=-PW0001-00000000000${String(port % 10)}&port=${port}&uploaded=0&downloaded=0&left=1${extra}`;
const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

function assertEnd(text: string, end: string): void {
  assert.equal(text.slice(-end.length), end);
}

describe('Tracker', () => {
  const open: { trackers: Tracker[]; sockets: Socket[] } = { trackers: [], sockets: [] };

  async function start(options: TrackerOptions = {}): Promise<Tracker> {
    const tracker = await Tracker.start({ host: '127.0.0.1', port: 0, ...options });
    open.trackers.push(tracker);
    return tracker;
  }

  async function dial(tracker: Tracker): Promise<Socket> {
    const { hostname, port } = new URL(tracker.httpUrl);
    const socket = connect({ host: hostname.replaceAll(/[[\]]/g, ''), port: Number(port) });
    socket.on('error', () => undefined);
    open.sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  /** Everything that the tracker sends until it closes. */
  async function readAll(socket: Socket): Promise<string> {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await once(socket, 'close');
    return Buffer.concat(chunks).toString('latin1');
  }

  /** Reads until the text ends so. */
  async function readUntil(socket: Socket, end: string): Promise<string> {
    let text = '';
    while (!text.endsWith(end)) text += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1');
    return text;
  }

  async function request(tracker: Tracker, path: string): Promise<string> {
    const socket = await dial(tracker);
    socket.write(get(path, 'Connection: close\r\n'));
    return readAll(socket);
  }

  const body = (response: string): string => response.slice(response.indexOf('\r\n\r\n') + 4);

  afterEach(async () => {
    for (const socket of open.sockets.splice(0)) socket.destroy();
    for (const tracker of open.trackers.splice(0)) await tracker.close();
  });

  it('answers announces with exactly these bytes', async () => {
    const tracker = await start({ interval: 1800 });
    assert.equal(
      await request(tracker, announce(258)),
      'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 76\r\nConnection: close\r\n\r\n' +
        'd8:completei0e10:incompletei1e8:intervali1800e12:min intervali180e5:peers0:e',
    );
    assert.equal(
      body(await request(tracker, announce(772, '&left=0&event=completed&compact=1'))),
      'd8:completei1e10:incompletei1e8:intervali1800e12:min intervali180e5:peers6:\x7f\x00\x00\x01\x01\x02e',
    );
    assert.equal(
      body(await request(tracker, announce(772, '&left=0&compact=0'))),
      'd8:completei1e10:incompletei1e8:intervali1800e12:min intervali180e5:peers' +
        'ld2:ip9:127.0.0.17:peer id20:-PW0001-0000000000084:porti258eeee',
    );
    assert.equal(
      body(await request(tracker, announce(772, '&left=0&compact=0&no_peer_id=1'))),
      'd8:completei1e10:incompletei1e8:intervali1800e12:min intervali180e5:peersld2:ip9:127.0.0.14:porti258eeee',
    );
    assert.equal(
      body(await request(tracker, `/scrape?info_hash=${HASH}&info_hash=${'b'.repeat(20)}`)),
      `d5:filesd20:${'\xaa'.repeat(20)}d8:completei1e10:downloadedi1e10:incompletei1eeee`,
    );
    assert.equal(
      body(await request(tracker, announce(772, '&event=stopped'))),
      'd8:completei0e10:incompletei1e8:intervali1800e12:min intervali180e5:peers0:e',
    );
  });

  it('gives IPv6 peers as peers6', async function () {
    const tracker = await start({ host: '::' }).catch(() => this.skip());
    const { port } = new URL(tracker.httpUrl);
    const six = connect({ host: '::1', port: Number(port) });
    open.sockets.push(six);
    six.write(get(announce(513, '&numwant=0'), 'Connection: close\r\n'));
    await readAll(six);
    const four = connect({ host: '127.0.0.1', port: Number(port) });
    open.sockets.push(four);
    four.write(get(announce(514), 'Connection: close\r\n'));
    assertEnd(body(await readAll(four)), `5:peers0:6:peers618:${'\0'.repeat(15)}\x01\x02\x01e`);
    // The mapped address of the IPv4 client was stored as IPv4.
    assertEnd(
      body(await request(tracker, announce(515))),
      `5:peers6:\x7f\0\0\x01\x02\x026:peers618:${'\0'.repeat(15)}\x01\x02\x01e`,
    );
  });

  it('answers both IP families over HTTP and UDP, unless told otherwise', async function () {
    const tracker = await Tracker.start({ port: 0 });
    open.trackers.push(tracker);
    const { port } = new URL(tracker.httpUrl);
    const peer = { infoHash20: Buffer.alloc(20, 1), peerId20: Buffer.alloc(20, 2), left: 1 };
    const ask = (scheme: string, host: string, own: number) =>
      announceAt({ ...peer, url: `${scheme}://${host}:${port}/announce`, port: own });
    // Where there is no IPv6 it falls back to IPv4.
    const hosts = (await ask('udp', '[::1]', 600).catch(() => undefined)) ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
    if (hosts.length === 1) this.test!.title += ' (there is no IPv6 here)';
    let own = 700;
    for (const scheme of ['http', 'udp']) for (const host of hosts) await ask(scheme, host, own++);
    for (const host of hosts) {
      const family = host.startsWith('[') ? 6 : 4;
      const seen = (await ask('udp', host, own)).peers.map((found) => found.port).filter((found) => found >= 700);
      assert.deepEqual(
        seen.filter((found) => found < own).sort(),
        family === 4 ? [700, ...(hosts.length > 1 ? [702] : [701])] : [701, 703],
      );
    }
    const { peers } = await ask('http', '127.0.0.1', own);
    assert.equal(peers.filter(({ port: found }) => found >= 700 && found < own).length, own - 700);
  });

  it('says in bencode why it refuses', async () => {
    const tracker = await start();
    assert.equal(body(await request(tracker, '/announce?port=1')), 'd14:failure reason21:info_hash is missing.e');
    assert.match(body(await request(tracker, '/scrape')), /^d14:failure reason\d+:info_hash is missing/);
    assert.equal(tracker.stats.httpRefused, 2);
  });

  it('warns a peer that it does not store', async () => {
    const tracker = await start({ limits: { peers: 1 } });
    await request(tracker, announce(1));
    assertEnd(
      body(await request(tracker, announce(2))),
      '5:peers6:\x7f\0\0\x01\0\x0115:warning message49:The tracker is full: others cannot find you here.e',
    );
    assert.match(body(await request(tracker, announce(2, '&compact=0'))), /15:warning message49:The tracker is full/);
  });

  it('serves a page for people and one for programs', async () => {
    const tracker = await start();
    await request(tracker, announce(5));
    assert.equal(body(await request(tracker, '/')), 'Peerwire tracker: 1 swarms, 1 peers.\n');
    const stats = JSON.parse(body(await request(tracker, '/stats?x')));
    assert.equal(stats.peers, 1);
    assert.equal(stats.httpAnnounces, 1);
    assert.match(await request(tracker, '/other'), /^HTTP\/1\.1 404 /);
    assert.match(await request(tracker, 'ftp://x/'), /^HTTP\/1\.1 400 /);
    assert.equal(
      body(await request(tracker, 'http://tracker.example:6969/')),
      'Peerwire tracker: 1 swarms, 1 peers.\n',
    );
  });

  it('keeps connections open, reads requests in any pieces, and answers pipelined ones in order', async () => {
    const tracker = await start();
    const socket = await dial(tracker);
    for (const character of get('/')) {
      socket.write(character);
      if (character === '\n') await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await readUntil(socket, 'peers.\n'), /^HTTP\/1\.1 200 OK/);
    socket.write(
      `${get('/')}${get('/nothing')}\r\n${get(announce(1))}${get('/', 'CONNECTION: Close\r\n')}${get('/ignored')}`,
    );
    const text = await readAll(socket);
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]);
    assert.deepEqual(statuses, ['200', '404', '200', '200']);
    assert.match(text, /1 swarms, 1 peers\.\n$/);
  });

  const last: [string, string, RegExp][] = [
    ['another method', 'POST / HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 405 [\s\S]*Allow: GET/],
    ['no HTTP', 'hello there\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['TLS', '\x16\x03\x01\x02\x00\x01\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 [\s\S]*Connection: close/],
    [
      'a request with a body',
      'GET / HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET /stats HTTP/1.1',
      /^HTTP\/1\.1 200 [\s\S]*peers\.\n$/,
    ],
    [
      'a chunked body',
      'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 200 [\s\S]*peers\.\n$/,
    ],
    ['a head that does not end', `GET /${'x'.repeat(9000)}`, /^HTTP\/1\.1 431 /],
    ['a long head', get(`/${'x'.repeat(9000)}`), /^HTTP\/1\.1 431 /],
  ];
  for (const [name, bytes, expected] of last) {
    it(`closes after ${name}`, async () => {
      const tracker = await start();
      const socket = await dial(tracker);
      socket.write(bytes, 'latin1');
      assert.match(await readAll(socket), expected);
    });
  }

  it('closes a connection that dribbles, and one that idles', async () => {
    const clock = new ManualClock();
    const tracker = await start({ clock });
    const slow = await dial(tracker);
    const slowClosed = once(slow, 'close');
    slow.write('GET / HT');
    const idle = await dial(tracker);
    const idleClosed = once(idle, 'close');
    idle.write(get('/'));
    await readUntil(idle, 'peers.\n');
    clock.advance(9);
    slow.write('TP');
    // The tracker has read the bytes above once it answers what was sent after them.
    await request(tracker, '/');
    clock.advance(2);
    await slowClosed;
    assert.equal(idle.destroyed, false);
    clock.advance(50);
    await idleClosed;
  });

  it('forgets peers after two intervals', async () => {
    const clock = new ManualClock();
    const tracker = await start({ clock, interval: 60 });
    await request(tracker, announce(1));
    clock.advance(60);
    await request(tracker, announce(2));
    clock.advance(60);
    assert.equal(tracker.stats.peers, 2);
    clock.advance(1);
    assert.equal(tracker.stats.peers, 1);
    clock.advance(60);
    assert.equal(tracker.stats.peers, 0);
    assert.equal(tracker.stats.swarms, 0);
  });

  it('takes at most so many connections', async () => {
    const tracker = await start({ limits: { connections: 2 } });
    const first = await dial(tracker);
    const second = await dial(tracker);
    for (const socket of [first, second]) {
      socket.write(get('/'));
      await readUntil(socket, 'peers.\n');
    }
    const third = await dial(tracker);
    await once(third, 'close');
    first.destroy();
    second.destroy();
  });

  it('speaks UDP on the same port', async () => {
    const tracker = await start();
    const url = new URL(tracker.udpUrl ?? '');
    assert.equal(url.port, new URL(tracker.httpUrl).port);
    const socket = createSocket('udp4');
    try {
      socket.send(Buffer.from('00000417271019800000000012345678', 'hex'), Number(url.port), '127.0.0.1');
      const [reply] = (await once(socket, 'message')) as [Buffer];
      assert.equal(reply.subarray(0, 8).toString('hex'), '0000000012345678');
      assert.equal(tracker.stats.udpConnects, 1);
    } finally {
      socket.close();
    }
  });

  it('can do without UDP', async () => {
    assert.equal((await start({ udpPort: 'none' })).udpUrl, undefined);
  });

  it('names loopback when it listens everywhere, and itself to others', async () => {
    const tracker = await start({ host: '0.0.0.0' });
    assert.match(tracker.httpUrl, /^http:\/\/127\.0\.0\.1:\d+\/announce$/);
    for (const url of tracker.lanUrls) assert.doesNotMatch(url, /127\.0\.0\.1/);
    assert.deepEqual((await start()).lanUrls, []);
  });

  it('says which port is taken, and leaves nothing open', async () => {
    const port = Number(new URL((await start()).httpUrl).port);
    await assert.rejects(start({ port }), (error) => {
      assert.ok(error instanceof PeerwireError);
      assert.match(error.message, new RegExp(`^TCP port ${port} of 127\\.0\\.0\\.1 is in use`));
      return true;
    });
    const udp = createSocket('udp4').bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const free = udp.address().port;
    await assert.rejects(start({ port: free }), /^PeerwireError: UDP port \d+ of 127\.0\.0\.1 is in use/);
    udp.close();
    await once(udp, 'close');
    await start({ port: free });
  });

  it('closes everything it opened', async () => {
    const clock = new ManualClock();
    const tracker = await start({ clock });
    const socket = await dial(tracker);
    const closed = once(socket, 'close');
    await tracker.close();
    await closed;
    assert.equal(clock.timers, 0);
    await assert.rejects(dial(tracker), /ECONNREFUSED/);
  });
});
