import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { decode, dictOf } from '../../src/bittorrent/bencode.ts';
import { HttpRoutes } from '../../tracker/http-routes.ts';
import { DEFAULT_LIMITS } from '../../tracker/limits.ts';
import { newTrackerStats } from '../../tracker/stats.ts';
import { SwarmStore } from '../../tracker/swarm-store.ts';
import { Tracker } from '../../tracker/tracker.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 5000);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() & 0x7fffffff);

const byte = fc.integer({ min: 0, max: 255 });
const rawText = fc.array(byte, { maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const escaped = (length: fc.Arbitrary<number>): fc.Arbitrary<string> =>
  length
    .chain((n) => fc.array(byte, { minLength: n, maxLength: n }))
    .map((bytes) => bytes.map((value) => `%${value.toString(16).padStart(2, '0')}`).join(''));
const twenty = escaped(fc.constantFrom(20, 20, 20, 20, 0, 19, 21));
const number = fc.oneof(
  fc.integer().map(String),
  fc.nat(70_000).map(String),
  fc.constantFrom('', '0', '-0', '1e3', '0x10', '9'.repeat(40), ' 1', '65535', '65536'),
  rawText,
);
const parameter = fc.oneof(
  fc.tuple(fc.constantFrom('info_hash', 'peer_id'), fc.oneof(twenty, rawText)),
  fc.tuple(fc.constantFrom('port', 'left', 'numwant', 'compact', 'no_peer_id', 'uploaded', 'ip'), number),
  fc.tuple(fc.constant('event'), fc.constantFrom('started', 'stopped', 'completed', 'paused', '')),
  fc.tuple(rawText, rawText),
);
const query = fc
  .array(parameter, { maxLength: 12 })
  .map((parameters) => parameters.map(([name, value]) => `${name}=${value}`).join('&'));
const complete = fc
  .tuple(twenty, twenty, fc.nat(65_535), query)
  .map(([hash, id, port, rest]) => `info_hash=${hash}&peer_id=${id}&port=${port}&${rest}`);
const target = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('/announce?', '/scrape?', '/announce', '/stats?', '/?', 'http://x/announce?', ''),
      fc.oneof(query, complete),
    )
    .map((parts) => parts.join('')),
  rawText,
);
const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);

describe(`fuzz: HTTP tracker (FUZZ_SEED=${SEED})`, function () {
  this.timeout(300_000);

  it('answers every request target with one well-formed response', () => {
    const limits = { ...DEFAULT_LIMITS, peers: 300, peersPerAddress: 50, numWant: 20 };
    const store = new SwarmStore(limits);
    const stats = newTrackerStats();
    let now = 0;
    const routes = new HttpRoutes({
      store,
      stats,
      intervals: { interval: 60, minInterval: 12 },
      now: () => now,
      describe: () => ({ ...stats }),
    });
    fc.assert(
      fc.property(target, address, fc.boolean(), (text, from, keepAlive) => {
        now += 100;
        store.expire(now - 120_000, 100);
        const reply = routes.respond(text, from, keepAlive);
        const end = reply.indexOf('\r\n\r\n') + 4;
        const head = reply.subarray(0, end).toString('latin1');
        assert.match(head, /^HTTP\/1\.1 (200 OK|400 Bad Request|404 Not Found)\r\n/);
        assert.equal(Number(/Content-Length: (\d+)\r\n/.exec(head)?.[1]), reply.length - end);
        assert.equal(head.includes('Connection: close'), !keepAlive);
        if (
          head.includes(' 200 ') &&
          head.includes('text/plain') &&
          !reply.subarray(end).toString().startsWith('Peerwire')
        ) {
          const answer = dictOf(decode(reply.subarray(end)));
          assert.ok(answer.has('failure reason') || answer.has('files') || answer.has('peers'));
        }
        assert.ok(store.counts.peers <= limits.peers);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    assert.ok(stats.httpAnnounces > 0 && stats.httpRefused > 0);
  });

  it('answers the same however the bytes are cut, and survives any bytes', async () => {
    const tracker = await Tracker.start({ host: '127.0.0.1', port: 0, udpPort: 'none' });
    const port = Number(new URL(tracker.httpUrl).port);
    const send = async (pieces: readonly Buffer[]): Promise<string> => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('error', () => undefined);
      const closed = once(socket, 'close');
      for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve));
      socket.end();
      await closed;
      return Buffer.concat(chunks).toString('latin1');
    };
    const line = fc.oneof(
      fc.constantFrom(
        'GET / HTTP/1.1\r\n',
        'GET /nowhere HTTP/1.1\r\n',
        'Connection: close\r\n',
        'Host: x\r\n',
        '\r\n',
        '\r\n\r\n',
        'Content-Length: 0\r\n',
      ),
      rawText,
    );
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(line, { maxLength: 12 }),
          fc.array(fc.nat(200), { maxLength: 6 }),
          async (lines, cuts) => {
            // With a request at the end that is answered and closes, the reply does not depend on timing.
            const bytes = Buffer.from(`${lines.join('')}`, 'latin1');
            const points = [...new Set([0, ...cuts, bytes.length])]
              .filter((cut) => cut <= bytes.length)
              .sort((a, b) => a - b);
            const pieces = points.slice(1).map((to, i) => bytes.subarray(points[i], to));
            const whole = await send([bytes]);
            const cut = await send(pieces);
            assert.equal(cut, whole);
          },
        ),
        { numRuns: Math.min(300, RUNS), seed: SEED },
      );
      assert.equal(tracker.stats.peers, 0);
    } finally {
      await tracker.close();
    }
  });
});
