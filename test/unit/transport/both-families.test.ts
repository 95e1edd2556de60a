/** Trackers whose name leads to IPv4 and IPv6, by real sockets of both; only the name server is ours. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encode } from '../../../src/bittorrent/bencode.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { askBothFamilies, oneLookupAtATime } from '../../../src/transport/both-families.ts';
import { announceByHttp } from '../../../src/transport/http-tracker.ts';
import type { AnnounceRequest } from '../../../src/transport/tracker-client.ts';
import { announceByUdp } from '../../../src/transport/udp-tracker.ts';

const BOTH: LookupAddress[] = [
  { address: '::1', family: 6 },
  { address: '127.0.0.1', family: 4 },
];
const resolve = (): Promise<LookupAddress[]> => Promise.resolve(BOTH);
const PEER4 = { host: '10.0.0.1', port: 6881 };
const PEER6 = { host: '2001:db8::1', port: 6881 };
const COMPACT = { 4: '0a0000011ae1', 6: '20010db80000000000000000000000011ae1' } as const;
const FAMILIES = [
  [4, 'udp4', '127.0.0.1'],
  [6, 'udp6', '::1'],
] as const;
const WHERE = { host: 'tracker.test', name: 'tracker.test:6969' };

describe('a tracker that is reached by both IP families', () => {
  const sockets: Socket[] = [];
  const servers: Server[] = [];

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const request = (url: string, more: Partial<AnnounceRequest> = {}): [URL, AnnounceRequest] => [
    new URL(url),
    { url, infoHash20: Buffer.alloc(20, 1), peerId20: Buffer.alloc(20, 2), port: 6881, ...more },
  ];

  /** Sockets of both families at one port; those of `silent` never answer, those of `refusing` give a reason. */
  async function udpTracker({
    silent = [],
    refusing = [],
  }: {
    silent?: number[];
    refusing?: number[];
  }): Promise<number> {
    for (let port = 0; ; port = 0) {
      const pair: Socket[] = [];
      try {
        for (const [family, type, host] of FAMILIES) {
          const socket = createSocket({ type, ipv6Only: type === 'udp6' });
          pair.push(socket);
          socket.on('message', (message, from) => {
            if (silent.includes(family)) return;
            const connecting = message.length === 16;
            const action = refusing.includes(family) ? 3 : connecting ? 0 : 1;
            const rest = connecting
              ? Buffer.from('connecid')
              : Buffer.from(`${'00000708'}${'00'.repeat(8)}${COMPACT[family]}`, 'hex');
            socket.send(
              Buffer.concat([Buffer.from([0, 0, 0, action]), message.subarray(12, 16), rest]),
              from.port,
              from.address,
            );
          });
          socket.bind(port, host);
          await once(socket, 'listening');
          port = socket.address().port;
        }
        sockets.push(...pair);
        return port;
      } catch {
        for (const socket of pair) socket.close();
      }
    }
  }

  it('is asked by both over UDP, which tells of peers of one family only', async () => {
    const port = await udpTracker({});
    const { peers } = await announceByUdp(...request(`udp://tracker.test:${port}`), resolve);
    assert.deepEqual(peers, [PEER4, PEER6]);
  });

  it('is of use when one of them leads nowhere', async () => {
    for (const [dead, alive] of [
      [4, PEER6],
      [6, PEER4],
    ] as const) {
      const port = await udpTracker({ silent: [dead] });
      const since = performance.now();
      const { peers } = await announceByUdp(...request(`udp://tracker.test:${port}`), resolve);
      assert.deepEqual(peers, [alive]);
      assert.ok(performance.now() - since < 10_000, 'it did not wait for the deadline');
    }
  });

  it('fails with what it says rather than with silence', async () => {
    const port = await udpTracker({ silent: [4], refusing: [6] });
    await assert.rejects(announceByUdp(...request(`udp://tracker.test:${port}`, { timeout: 500 }), resolve), {
      code: 'tracker',
      message: /connecid/,
    });
  });

  it('is asked by both over HTTP, and knows this peer by both of its addresses', async () => {
    const from: string[] = [];
    const server = createServer(({ socket, url }, response) => {
      from.push(`${socket.remoteFamily} ${new URL(String(url), 'http://x').searchParams.get('event')}`);
      const isIPv6 = !String(socket.remoteAddress).startsWith('::ffff:');
      const peers = isIPv6 ? { peers6: Buffer.from(COMPACT[6], 'hex') } : { peers: Buffer.from(COMPACT[4], 'hex') };
      response.end(encode({ interval: isIPv6 ? 60 : 120, 'min interval': 30, ...peers }));
    });
    servers.push(server.listen(0, '::'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = `http://tracker.test:${port}/announce`;
    const { date: _, ...told } = await announceByHttp(...request(url, { event: 'started' }), undefined, resolve);
    assert.deepEqual(told, { interval: 120_000, minInterval: 30_000, peers: [PEER4, PEER6] });
    assert.equal(from.length, 2);
    assert.ok(from.every((entry) => entry.endsWith('started')));
  });

  it('is not asked at an address of this machine, by either family, unless it is a tracker by its path', async () => {
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      response.end();
    });
    servers.push(server.listen(0, '::'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = `http://tracker.test:${port}/secret`;
    await assert.rejects(announceByHttp(...request(url), undefined, resolve), { code: 'unsupported' });
    assert.equal(asked, 0);
  });
});

describe('asking by both IP families', () => {
  const never = (): Promise<never> => new Promise(() => {});

  it('ends at its deadline though the name server never answers, and asks that once', async () => {
    let looked = 0;
    const hanging = oneLookupAtATime(() => {
      looked++;
      return never();
    });
    const ask = (): Promise<never> => assert.fail('nobody was found');
    const all = Array.from({ length: 20 }, () => askBothFamilies(WHERE, { timeout: 50 }, ask, hanging));
    for (const result of await Promise.allSettled(all)) {
      assert.ok(result.status === 'rejected' && result.reason instanceof PeerwireError);
      assert.equal(result.reason.code, 'timeout');
    }
    assert.equal(looked, 1);
    const { signal } = new AbortController();
    const aborted = askBothFamilies(
      WHERE,
      { timeout: 5000, signal: AbortSignal.any([signal, AbortSignal.abort()]) },
      ask,
      hanging,
    );
    await assert.rejects(aborted, { code: 'cancelled' });
  });

  it('has no more names looked up at once than are worth it', async () => {
    let looked = 0;
    const hanging = oneLookupAtATime(() => {
      looked++;
      return never();
    });
    for (let n = 0; n < 64; n++) void hanging(`${n}.test`);
    await assert.rejects(hanging('more.test'), { code: 'busy' });
    assert.equal(looked, 64);
    assert.deepEqual(await hanging('10.0.0.1'), [{ address: '10.0.0.1', family: 4 }]);
  });

  it('looks again at a name whose lookup failed, and says what is wrong', async () => {
    let looked = 0;
    const failing = oneLookupAtATime(() => {
      looked++;
      return Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND tracker.test'), { code: 'ENOTFOUND' }));
    });
    for (let n = 1; n <= 2; n++) {
      await assert.rejects(askBothFamilies(WHERE, { timeout: 5000 }, never, failing), {
        code: 'connection',
        message: /no host of this name/,
      });
      assert.equal(looked, n);
    }
  });

  it('takes back what it asked when it ends', async () => {
    const signals: AbortSignal[] = [];
    const ask = (_: readonly LookupAddress[], signal: AbortSignal): Promise<never> => {
      signals.push(signal);
      return never();
    };
    await assert.rejects(askBothFamilies(WHERE, { timeout: 50 }, ask, resolve), { code: 'timeout' });
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true],
    );
  });
});
