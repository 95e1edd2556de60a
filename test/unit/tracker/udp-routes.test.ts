import assert from 'node:assert/strict';
import { DEFAULT_LIMITS } from '../../../tracker/limits.ts';
import { newTrackerStats } from '../../../tracker/stats.ts';
import { SwarmStore } from '../../../tracker/swarm-store.ts';
import { UdpRoutes } from '../../../tracker/udp-routes.ts';

const HASH = Buffer.alloc(20, 0xab);
const CLIENT = Uint8Array.of(10, 0, 0, 1);

function setup() {
  const time = { now: 50_000 };
  const stats = newTrackerStats();
  const store = new SwarmStore(DEFAULT_LIMITS);
  const routes = new UdpRoutes({ store, stats, intervals: { interval: 1800, minInterval: 360 }, now: () => time.now });
  return { time, stats, store, routes };
}

function connectPacket(): Buffer {
  return Buffer.from('0000041727101980' + '00000000' + 'cafebabe', 'hex');
}

function connectionId(routes: UdpRoutes, address: Uint8Array = CLIENT): Buffer {
  return routes.answer(connectPacket(), address)!.subarray(8, 16);
}

function announcePacket(
  id: Buffer,
  change: { event?: number; numWant?: number; port?: number; left?: bigint; hash?: Buffer } = {},
): Buffer {
  const packet = Buffer.alloc(98);
  id.copy(packet, 0);
  packet.writeUInt32BE(1, 8);
  packet.writeUInt32BE(0x11223344, 12);
  (change.hash ?? HASH).copy(packet, 16);
  packet.fill('P', 36, 56);
  packet.writeBigUInt64BE(change.left ?? 5n, 64);
  packet.writeUInt32BE(change.event ?? 2, 80);
  packet.writeUInt32BE(0x09090909, 84); // "My address is 9.9.9.9": ignored.
  packet.writeInt32BE(change.numWant ?? -1, 92);
  packet.writeUInt16BE(change.port ?? 6881, 96);
  return packet;
}

function scrapePacket(id: Buffer, hashes: Buffer[]): Buffer {
  return Buffer.concat([id, Buffer.from('00000002' + '55667788', 'hex'), ...hashes]);
}

describe('UDP tracker', () => {
  it('connects, 16 bytes for 16', () => {
    const { routes } = setup();
    const reply = routes.answer(connectPacket(), CLIENT)!;
    assert.equal(reply.length, 16);
    assert.equal(reply.subarray(0, 8).toString('hex'), '00000000cafebabe');
  });

  it('answers announces with the bytes of BEP 15', () => {
    const { routes, store } = setup();
    const first = routes.answer(announcePacket(connectionId(routes)), CLIENT)!;
    //                                       action  transaction interval  leechers  seeders
    assert.equal(first.toString('hex'), '0000000111223344000007080000000100000000');
    const other = Uint8Array.of(10, 0, 0, 2);
    const second = routes.answer(
      announcePacket(connectionId(routes, other), { left: 0n, event: 1, port: 7000 }),
      other,
    )!;
    assert.equal(second.toString('hex'), '00000001112233440000070800000001000000010a0000011ae1');
    assert.deepEqual(store.scrape(HASH.toString('latin1')), { complete: 1, incomplete: 1, downloaded: 1 });
    const stopped = routes.answer(announcePacket(connectionId(routes, other), { event: 3, port: 7000 }), other)!;
    assert.equal(stopped.toString('hex'), '0000000111223344000007080000000100000000');
  });

  it('gives IPv6 clients IPv6 peers in entries of 18 bytes', () => {
    const { routes } = setup();
    const [a, b] = [1, 2].map((last) =>
      Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 0x20 : i === 15 ? last : 0)),
    ) as [Uint8Array, Uint8Array];
    routes.answer(announcePacket(connectionId(routes), { port: 1 }), CLIENT);
    routes.answer(announcePacket(connectionId(routes, a), { port: 0x1111 }), a);
    const reply = routes.answer(announcePacket(connectionId(routes, b), { port: 2 }), b)!;
    assert.equal(reply.subarray(20).toString('hex'), '20000000000000000000000000000001' + '1111');
  });

  it('answers scrapes: seeders, completed, leechers', () => {
    const { routes, stats } = setup();
    routes.answer(announcePacket(connectionId(routes)), CLIENT);
    const reply = routes.answer(scrapePacket(connectionId(routes), [Buffer.alloc(20), HASH]), CLIENT)!;
    assert.equal(reply.toString('hex'), '0000000255667788' + '000000000000000000000000' + '000000000000000000000001');
    assert.equal(stats.udpScrapes, 1);
  });

  it('reads announces with BEP 41 options behind', () => {
    const { routes } = setup();
    const packet = Buffer.concat([announcePacket(connectionId(routes)), Buffer.from('02092f616e6e6f756e6365', 'hex')]);
    assert.equal(routes.answer(packet, CLIENT)?.length, 20);
  });

  it('keeps replies within one packet', () => {
    const { routes } = setup();
    for (let port = 1; port <= 500; port++) {
      const address = Uint8Array.of(10, 1, port >> 8, port & 255);
      routes.answer(announcePacket(connectionId(routes, address), { port }), address);
    }
    const reply = routes.answer(announcePacket(connectionId(routes), { numWant: 100_000 }), CLIENT)!;
    assert.equal(reply.length, 20 + 200 * 6);
    assert.equal(routes.answer(announcePacket(connectionId(routes)), CLIENT)!.length, 20 + 50 * 6);
    assert.equal(routes.answer(announcePacket(connectionId(routes), { numWant: 0 }), CLIENT)!.length, 20);
  });

  const silent: [string, (id: Buffer) => Buffer][] = [
    ['a connect with a wrong protocol id', () => Buffer.from('0000041727101981' + '00000000' + 'cafebabe', 'hex')],
    ['a short connect', () => connectPacket().subarray(0, 15)],
    ['an announce with a made-up connection id', () => announcePacket(Buffer.alloc(8, 1))],
    ['an announce with the protocol id', () => announcePacket(connectPacket().subarray(0, 8))],
    ['a scrape with a made-up connection id', () => scrapePacket(Buffer.alloc(8, 1), [HASH])],
    ['a short announce', (id) => announcePacket(id).subarray(0, 97)],
    ['an unknown event', (id) => announcePacket(id, { event: 4 })],
    ['an unknown action', (id) => Buffer.concat([id, Buffer.from('00000003' + '00000000', 'hex')])],
    ['a scrape of nothing', (id) => scrapePacket(id, [])],
    [
      'a scrape of too much',
      (id) =>
        scrapePacket(
          id,
          Array.from({ length: 75 }, () => HASH),
        ),
    ],
    ['nothing', () => Buffer.alloc(0)],
  ];
  for (const [name, make] of silent) {
    it(`is silent on ${name}`, () => {
      const { routes, stats, store } = setup();
      assert.equal(routes.answer(make(connectionId(routes)), CLIENT), undefined);
      assert.equal(stats.udpDropped, 1);
      assert.equal(store.counts.peers, 0);
    });
  }

  it('is silent on another address’s or an old connection id', () => {
    const { routes, time } = setup();
    const id = connectionId(routes);
    assert.equal(routes.answer(announcePacket(id), Uint8Array.of(10, 0, 0, 9)), undefined);
    time.now += 120_000;
    assert.ok(routes.answer(announcePacket(id), CLIENT));
    time.now += 1000;
    assert.equal(routes.answer(announcePacket(id), CLIENT), undefined);
  });
});
