import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { encode } from '../../../src/bittorrent/bencode.ts';
import { type AnnounceRequest, announce, scrape } from '../../../src/transport/tracker-client.ts';
import { TrackerRefusal } from '../../../src/transport/tracker-error.ts';
import { tcpServer } from './support.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

describe('tracker client', () => {
  let server: Server;
  let port: number;
  let handler: Handler;
  const requests: string[] = [];

  before(async () => {
    server = createServer((request, response) => {
      requests.push(request.url ?? '');
      handler(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    port = address.port;
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  beforeEach(() => {
    requests.length = 0;
  });

  const answer = (body: Uint8Array | string, status = 200, headers = {}): void => {
    handler = (_request, response) => {
      response.writeHead(status, headers);
      response.end(body);
    };
  };

  const request = (more: Partial<AnnounceRequest> = {}): AnnounceRequest => ({
    url: `http://127.0.0.1:${port}/announce`,
    infoHash20: Buffer.from('00ff102030405060708090a0b0c0d0e0f0253d26', 'hex'),
    peerId20: Buffer.from('-PW0100-abcdefghijkl'),
    port: 6881,
    ...more,
  });

  const peers = (more: object = {}, interval = 1800): Buffer => encode({ interval, ...more });

  it('hears what time it is there, if it is a time', async () => {
    for (const [date, expected] of [
      ['Mon, 23 Nov 2026 02:30:00 GMT', Date.UTC(2026, 10, 23, 2, 30)],
      ['soon', undefined],
      ['', undefined],
    ] as const) {
      answer(peers({ peers: '' }), 200, { date });
      assert.equal((await announce(request())).date, expected);
    }
  });

  it('asks as BEP 3, 7 and 23 say', async () => {
    answer(peers({ peers: '' }));
    await announce(request({ event: 'started', uploaded: 1, downloaded: 2, left: 3, numWant: 50 }));
    const url = new URL(requests[0] ?? '', 'http://x');
    assert.equal(url.pathname, '/announce');
    assert.ok(url.search.includes('info_hash=%00%ff%10%20%30%40%50%60%70%80%90%a0%b0%c0%d0%e0%f0%25%3d%26&'));
    assert.equal(url.searchParams.get('peer_id'), '-PW0100-abcdefghijkl');
    assert.deepEqual(
      ['port', 'uploaded', 'downloaded', 'left', 'numwant', 'event', 'compact'].map((name) =>
        url.searchParams.get(name),
      ),
      ['6881', '1', '2', '3', '50', 'started', '1'],
    );
    await announce(request());
    assert.ok(!requests[1]?.includes('event') && !requests[1]?.includes('numwant'));
  });

  it('reads compact peers of both families', async () => {
    answer(
      peers({
        'min interval': 60,
        'warning message': 'be\u202e nice\n',
        peers: Buffer.from('0a0000011ae1c0a8010200500000', 'hex').subarray(0, 12),
        peers6: Buffer.from('20010db80000000000000000000000011ae1', 'hex'),
      }),
    );
    const { date, ...told } = await announce(request());
    assert.equal(typeof date, 'number');
    assert.deepEqual(told, {
      interval: 1_800_000,
      minInterval: 60_000,
      warning: 'be  nice',
      peers: [
        { host: '10.0.0.1', port: 6881 },
        { host: '192.168.1.2', port: 80 },
        { host: '2001:db8::1', port: 6881 },
      ],
    });
  });

  it('hears what the tracker calls it and where it sees it, and says the former again', async () => {
    for (const [address, expected] of [
      [Buffer.from([203, 0, 113, 5]), '203.0.113.5'],
      [Buffer.from('20010db8000000000000000000000001', 'hex'), '2001:db8::1'],
      [Buffer.alloc(5), undefined],
    ] as const) {
      answer(peers({ peers: '', 'tracker id': Buffer.from('a&b'), 'external ip': address }));
      const { trackerId, externalAddress } = await announce(request());
      assert.equal(externalAddress, expected);
      assert.ok(trackerId);
      await announce(request({ trackerId }));
      assert.match(requests.at(-1) ?? '', /&trackerid=%61%26%62/);
    }
    answer(peers({ peers: '', 'tracker id': Buffer.alloc(257) }));
    assert.equal((await announce(request())).trackerId, undefined);
    assert.doesNotMatch(requests.at(-1) ?? '', /trackerid/);
  });

  it('hears when a tracker that refuses may be asked again', async () => {
    for (const [retry, expected] of [
      [5, 5 * 60_000],
      [2 ** 40, 24 * 3_600_000],
      [-1, undefined],
      ['never', Number.POSITIVE_INFINITY],
      ['soon', undefined],
      [[], undefined],
    ] as const) {
      answer(encode({ 'failure reason': 'no', 'retry in': retry as never }));
      await assert.rejects(announce(request()), (error) => {
        assert.ok(error instanceof TrackerRefusal);
        assert.equal(error.retryIn, expected);
        return true;
      });
    }
  });

  it('reads the long form, and asks no resolver about it', async () => {
    answer(
      peers({
        peers: [
          { 'peer id': 'x', ip: '10.0.0.1', port: 1 },
          { ip: 'internal.test', port: 2 },
          { ip: '2001:DB8::1', port: 3 },
          { ip: '::ffff:10.0.0.9', port: 4 },
        ],
      }),
    );
    assert.deepEqual((await announce(request())).peers, [
      { host: '10.0.0.1', port: 1 },
      { host: '2001:db8::1', port: 3 },
      { host: '10.0.0.9', port: 4 },
    ]);
  });

  it('takes no impossible addresses from a hostile tracker, and not too many', async () => {
    answer(
      peers({
        peers: [
          ['0.0.0.0', 1],
          ['10.0.0.1', 0],
          ['10.0.0.1', -1],
          ['10.0.0.1', 65_536],
          ['224.0.0.1', 1],
          ['255.255.255.255', 1],
          ['169.254.169.254', 80],
          ['fe80::1', 1],
          ['::', 1],
          ['ff02::1', 1],
          ['10.0.0.2', 65_535],
          ['10.0.0.2', 65_535],
        ].map(([ip, port]) => ({ ip: String(ip), port: Number(port) })),
      }),
    );
    assert.deepEqual((await announce(request())).peers, [{ host: '10.0.0.2', port: 65_535 }]);
    const many = Buffer.alloc(6 * 10_000);
    for (let n = 0; n < 10_000; n++) many.writeUIntBE(0x0a0000001ae1 + n * 65_536, n * 6, 6);
    answer(peers({ peers: many }));
    assert.equal((await announce(request())).peers.length, 200);
  });

  it('takes loopback addresses from a tracker on this machine only', async () => {
    const loopback = peers({ peers: Buffer.from('7f0000011ae1', 'hex') });
    answer(loopback);
    assert.deepEqual((await announce(request())).peers, [{ host: '127.0.0.1', port: 6881 }]);
    const get = async () => ({ status: 200, body: loopback });
    assert.deepEqual((await announce(request({ url: 'http://tracker.test/announce' }), get)).peers, []);
  });

  it('keeps intervals between five seconds and a day', async () => {
    for (const [seconds, milliseconds] of [
      [0, 5000],
      [-1, 5000],
      [2 ** 50, 24 * 3_600_000],
    ] as const) {
      answer(peers({}, seconds));
      assert.equal((await announce(request())).interval, milliseconds);
    }
  });

  const malformed: [string, Uint8Array | string][] = [
    ['empty', ''],
    ['no bencoding', '<html>hello</html>'],
    ['cut off', peers({ peers: 'abcdef' }).subarray(0, -3)],
    ['followed by more', Buffer.concat([peers(), Buffer.from('x')])],
    ['a list', 'le'],
    ['without an interval', encode({ peers: '' })],
    ['an interval of text', encode({ interval: 'soon' })],
    ['peers that end within an entry', peers({ peers: 'abcdefg' })],
    ['peers6 that end within an entry', peers({ peers6: Buffer.alloc(17) })],
    ['peers of a wrong type', peers({ peers: 5 })],
    ['a peer of a wrong type', peers({ peers: [5] })],
    ['a peer without a port', peers({ peers: [{ ip: '10.0.0.1' }] })],
    ['nested without end', 'l'.repeat(60_000)],
    ['a string of 2^31 bytes', 'd8:interval2147483648:'],
  ];
  for (const [name, body] of malformed) {
    it(`refuses an answer that is malformed: ${name}`, async () => {
      answer(body);
      await assert.rejects(announce(request()), { code: 'tracker' });
    });
  }

  it('passes on why the tracker refused, in one printable line', async () => {
    for (const status of [200, 400, 503]) {
      answer(encode({ 'failure reason': `not\n\u001b[31m allowed ${'x'.repeat(500)}` }), status);
      await assert.rejects(announce(request()), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'tracker');
        assert.match(error.message, /“not {2}\[31m allowed x+”/);
        assert.ok(error.message.length < 350);
        return true;
      });
    }
    answer('gone', 404);
    await assert.rejects(announce(request()), { code: 'tracker', message: /HTTP status 404/ });
  });

  it('follows no redirect', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      answer(peers(), status, { location: `http://127.0.0.1:${port}/secret` });
      await assert.rejects(announce(request()), { code: 'tracker', message: /redirect/ });
    }
    assert.ok(requests.every((url) => url.startsWith('/announce?')));
  });

  it('reads no more than 64 KiB, with or without a length', async () => {
    const exact = peers({ peers: '', x: Buffer.alloc(65_536 - peers({ peers: '', x: '' }).length - 4) });
    assert.equal(exact.length, 65_536);
    answer(exact);
    await announce(request());
    answer(Buffer.alloc(65_537));
    await assert.rejects(announce(request()), { code: 'tracker', message: /too long/ });
    let written = 0;
    let closed: Promise<unknown> | undefined;
    handler = (_request, response) => {
      closed = once(response, 'close');
      response.on('error', () => {});
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16_384))) written += 16_384;
      };
      response.on('drain', more);
      more();
    };
    await assert.rejects(announce(request()), { code: 'tracker', message: /too long/ });
    await closed;
    assert.ok(written < 32 * 1024 * 1024, 'the connection was closed, not drained');
  });

  it('inflates nothing', async () => {
    answer(peers(), 200, { 'content-encoding': 'gzip' });
    await assert.rejects(announce(request()), { code: 'tracker', message: /encoding/ });
  });

  it('reports a tracker that hangs up early, or is not there', async () => {
    handler = (_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('d8:interval');
      setImmediate(() => response.destroy());
    };
    await assert.rejects(announce(request()), { code: 'connection' });
    const gone = await tcpServer(() => {});
    await gone.close();
    await assert.rejects(announce(request({ url: `http://127.0.0.1:${gone.port}/announce` })), { code: 'connection' });
  });

  it('waits for its deadline at most, though bytes keep trickling in', async () => {
    let timer: NodeJS.Timeout | undefined;
    handler = (_request, response) => {
      timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
      response.on('error', () => {});
    };
    await assert.rejects(announce(request({ timeout: 200 })), { code: 'timeout' });
    clearInterval(timer);
  });

  it('can be cancelled, before and during', async () => {
    answer(peers());
    await assert.rejects(announce(request({ signal: AbortSignal.abort() })), { code: 'cancelled' });
    const controller = new AbortController();
    handler = () => controller.abort();
    await assert.rejects(announce(request({ signal: controller.signal })), { code: 'cancelled' });
  });

  it('asks no URL that is not a tracker', async () => {
    for (const url of ['file:///etc/passwd', `http://127.0.0.1:${port}/admin`, `http://localhost:${port}/x`]) {
      await assert.rejects(announce(request({ url })), { code: 'unsupported' });
    }
    assert.equal(requests.length, 0);
  });

  it('asks no service of this machine by a name that leads here', async () => {
    const { lookup } = await import('node:dns/promises');
    const { hostname } = await import('node:os');
    const found = await lookup(hostname()).catch(() => undefined);
    const { isLocalService } = await import('../../../src/transport/tracker-url.ts');
    // Where the name of the machine leads to its loopback address, as on Debian.
    const name = found && isLocalService(found.address) ? hostname() : 'localhost.';
    await assert.rejects(announce(request({ url: `http://${name}:${port}/admin` })), { code: 'unsupported' });
    assert.equal(requests.length, 0);
  });

  it('finds a tracker by name', async () => {
    answer(peers());
    assert.equal((await announce(request({ url: `http://localhost:${port}/announce` }))).interval, 1_800_000);
  });

  it('asks for counts where the URL says how', async () => {
    const hash = request().infoHash20;
    const files = (more: object) => encode({ files: new Map([[Buffer.from(hash).toString('latin1'), more]]) } as never);
    answer(files({ complete: 3, incomplete: 4, downloaded: 5 }));
    assert.deepEqual(await scrape(request()), { complete: 3, incomplete: 4, downloaded: 5 });
    assert.match(requests[0] ?? '', /^\/scrape\?info_hash=%00%ff/);
    answer(encode({ files: {} }));
    assert.deepEqual(await scrape(request()), { complete: 0, incomplete: 0, downloaded: 0 });
    for (const bad of [encode({}), files({ complete: -1 }), encode({ files: 5 })]) {
      answer(bad);
      await assert.rejects(scrape(request()), { code: 'tracker' });
    }
    await assert.rejects(scrape(request({ url: 'http://tracker.test/a' })), { code: 'unsupported' });
  });
});
