import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AnnounceRequest, announce } from '../../../src/transport/tracker-client.ts';

type Answer = (message: Buffer, reply: (bytes: Uint8Array) => void, from: RemoteInfo) => void;

describe('UDP tracker client', () => {
  let server: Socket;
  let port: number;
  let answer: Answer;
  let received: Buffer[];

  beforeEach(async () => {
    received = [];
    server = createSocket('udp4');
    server.on('message', (message, from) => {
      received.push(message);
      answer(message, (bytes) => server.send(bytes, from.port, from.address), from);
    });
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    port = server.address().port;
  });

  afterEach(() => {
    server.close();
  });

  const request = (more: Partial<AnnounceRequest> = {}): AnnounceRequest => ({
    url: `udp://127.0.0.1:${port}`,
    infoHash20: Buffer.alloc(20, 1),
    peerId20: Buffer.alloc(20, 2),
    port: 6881,
    ...more,
  });

  const isConnect = (message: Buffer): boolean => message.length === 16;
  const connected = (message: Buffer): Buffer =>
    Buffer.concat([Buffer.alloc(4), message.subarray(12, 16), Buffer.from('connecid')]);
  const announced = (message: Buffer, peers: string, interval = 1800): Buffer => {
    const head = Buffer.alloc(12);
    head.writeUInt32BE(interval, 0);
    return Buffer.concat([Buffer.from([0, 0, 0, 1]), message.subarray(12, 16), head, Buffer.from(peers, 'hex')]);
  };
  const good: Answer = (message, reply) =>
    reply(isConnect(message) ? connected(message) : announced(message, '0a0000011ae17f0000010050a9fea9fe0050'));

  it('says the path and the query of the URL where they matter (BEP 41)', async () => {
    answer = good;
    await announce(request({ url: `udp://127.0.0.1:${port}/announce` }));
    assert.equal(received[1]?.length, 98);
    const query = `?key=${'x'.repeat(300)}`;
    await announce(request({ url: `udp://127.0.0.1:${port}/announce${query}` }));
    const options = received[3]?.subarray(98) ?? Buffer.alloc(0);
    assert.deepEqual([options[0], options[1]], [2, 255]);
    assert.deepEqual([options[257], options[258]], [2, options.length - 259]);
    const said = Buffer.concat([options.subarray(2, 257), options.subarray(259)]).toString('latin1');
    assert.equal(said, `/announce${query}`);
  });

  it('asks as BEP 15 says', async () => {
    answer = good;
    const result = await announce(request({ event: 'started', downloaded: 1, left: 2, uploaded: 3, numWant: 50 }));
    assert.deepEqual(result, {
      interval: 1_800_000,
      peers: [
        { host: '10.0.0.1', port: 6881 },
        { host: '127.0.0.1', port: 80 },
      ],
    });
    const [connect, ask] = received;
    assert.equal(connect?.toString('hex', 0, 12), '000004172710198000000000');
    assert.equal(ask?.length, 98);
    assert.equal(ask?.toString('latin1', 0, 8), 'connecid');
    assert.equal(
      ask?.toString('hex', 16, 84),
      `${'01'.repeat(20)}${'02'.repeat(20)}${[1, 2, 3].map((n) => n.toString(16).padStart(16, '0')).join('')}00000002`,
    );
    assert.equal(ask?.readUInt32BE(84), 0, 'no address of our own');
    assert.equal(ask?.readInt32BE(92), 50);
    assert.equal(ask?.readUInt16BE(96), 6881);
    await announce(request());
    assert.deepEqual([received[3]?.readUInt32BE(80), received[3]?.readInt32BE(92)], [0, -1]);
  });

  it('asks again when a datagram is lost', async () => {
    let lost = 0;
    answer = (message, ...rest) => {
      if (lost++ === 0) return;
      good(message, ...rest);
    };
    assert.equal((await announce(request())).peers.length, 2);
    assert.equal(received.length, 3);
    assert.deepEqual(received[0], received[1], 'with the same transaction');
  });

  it('ignores answers to other transactions', async () => {
    answer = (message, reply, from) => {
      const forged = isConnect(message) ? connected(message) : announced(message, '0a0000090050');
      forged[4]! ^= 1;
      reply(forged);
      reply(Buffer.alloc(7));
      good(message, reply, from);
    };
    assert.equal((await announce(request())).peers[0]?.host, '10.0.0.1');
  });

  const malformed: [string, (message: Buffer) => Buffer][] = [
    ['a short answer', (message) => announced(message, '').subarray(0, 19)],
    ['another action', (message) => Buffer.concat([Buffer.from([0, 0, 0, 2]), announced(message, '').subarray(4)])],
    ['peers that end within an entry', (message) => announced(message, '0a0000011a')],
  ];
  for (const [name, make] of malformed) {
    it(`refuses ${name}`, async () => {
      answer = (message, reply) => reply(isConnect(message) ? connected(message) : make(message));
      await assert.rejects(announce(request()), { code: 'tracker' });
    });
  }

  it('passes on why the tracker refused', async () => {
    answer = (message, reply) =>
      reply(Buffer.concat([Buffer.from([0, 0, 0, 3]), message.subarray(12, 16), Buffer.from('go\n away')]));
    await assert.rejects(announce(request()), { code: 'tracker', message: /“go {2}away”/ });
  });

  it('gives up in time, and can be cancelled', async () => {
    answer = () => {};
    await assert.rejects(announce(request({ timeout: 100 })), { code: 'timeout' });
    await assert.rejects(announce(request({ signal: AbortSignal.abort() })), { code: 'cancelled' });
    const controller = new AbortController();
    answer = () => controller.abort();
    await assert.rejects(announce(request({ signal: controller.signal })), { code: 'cancelled' });
  });

  it('reports a tracker that is not there', async () => {
    const gone = createSocket('udp4');
    gone.bind(0, '127.0.0.1');
    await once(gone, 'listening');
    const url = `udp://127.0.0.1:${gone.address().port}`;
    gone.close();
    await once(gone, 'close');
    await assert.rejects(announce(request({ url, timeout: 3000 })), { code: /^(connection|timeout)$/ });
  });
});
