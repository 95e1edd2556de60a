import assert from 'node:assert/strict';
import type { Clock } from '../../../src/common/clock.ts';
import { Emitter } from '../../../src/common/event.ts';
import { silentLogger } from '../../../src/common/log.ts';
import { ANNOUNCE_PAUSE, ANNOUNCE_PERIOD, LanDiscovery, type LanPeer } from '../../../src/transport/lan-discovery.ts';
import type { LanDatagram, LanTransport } from '../../../src/transport/lan-sockets.ts';
import { decodeLsdAnnounce, encodeLsdAnnounce, type LsdAnnounce } from '../../../src/transport/lsd-announce.ts';
import type { LanInterface } from '../../../src/transport/network-interfaces.ts';
import { NetworkWatch } from '../../../src/transport/network-watch.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { advance } from '../peer/network/support.ts';

const [OURS, OTHER] = [Buffer.alloc(20, 1), Buffer.alloc(20, 2)];

function face(name: string, address: string, family: 4 | 6 = 4): LanInterface {
  return { name, family, addresses: [address], internal: false, zone: name, isOnLink: () => true };
}

interface Sent {
  readonly at: number;
  readonly on: string;
  readonly announce: LsdAnnounce;
}

/** A LAN whose only other host is the test. */
class FakeLan implements LanTransport {
  readonly datagrams = new Emitter<LanDatagram>();
  readonly onDatagram = this.datagrams.event;
  readonly sent: Sent[] = [];
  readonly #clock: VirtualClock;
  /** Whether what is sent is heard by the sender. */
  echo = true;
  broken: string | undefined;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  use(): void {}

  async send(on: LanInterface, data: Buffer): Promise<void> {
    if (on.name === this.broken) throw new Error('ENETDOWN');
    const announce = decodeLsdAnnounce(data);
    assert.ok(announce);
    this.sent.push({ at: this.#clock.now(), on: on.name, announce });
    if (this.echo) this.datagrams.fire({ data, address: on.addresses[0]!, interface: on });
  }

  dispose(): void {}
}

describe('LanDiscovery', () => {
  let clock: VirtualClock;
  let lan: FakeLan;
  let interfaces: LanInterface[];
  let hashes: Buffer[];
  let listening: { host: string; port: number } | undefined;
  let watch: NetworkWatch;
  let discovery: LanDiscovery;
  let found: string[];

  beforeEach(() => {
    clock = new VirtualClock();
    lan = new FakeLan(clock);
    interfaces = [face('eth0', '10.0.0.1')];
    hashes = [OURS];
    listening = { host: '0.0.0.0', port: 6881 };
    found = [];
    watch = new NetworkWatch(clock, () => [...interfaces]);
    discovery = new LanDiscovery({
      ...{ transport: lan, watch, clock, logger: silentLogger, random: () => 0.5 },
      ...{ infoHashes: () => hashes, listening: () => listening },
    });
    discovery.onPeer(({ infoHash, host, port }: LanPeer) => found.push(`${infoHash[0]} ${host}:${port}`));
  });
  afterEach(() => {
    discovery.dispose();
    watch.dispose();
  });

  function hear(announce: Partial<LsdAnnounce>, address = '10.0.0.2', on = interfaces[0]!): void {
    const data = encodeLsdAnnounce({ port: 7000, infoHashes: [OURS], cookie: 'theirs', ...announce }, on.family);
    lan.datagrams.fire({ data, address, interface: on });
  }
  /** Past the announce and its repetitions. */
  async function settled(): Promise<void> {
    discovery.start();
    await advance(clock, 10_000);
    lan.sent.length = 0;
  }

  it('announces at once on every interface, again soon after in case it was lost, then every five minutes', async () => {
    interfaces.push(face('wlan0', '10.1.0.1'), face('eth0', 'fd00::1', 6));
    watch.check();
    discovery.start();
    await advance(clock, 0);
    assert.deepEqual(
      lan.sent.map(({ on, announce }) => [on, announce.port, announce.infoHashes]),
      // The listener hears IPv4 only.
      [...[6881, 6881, 0].map((port, index) => [['eth0', 'wlan0', 'eth0'][index], port, [OURS]])],
    );
    await advance(clock, ANNOUNCE_PAUSE - 1);
    const times = lan.sent.filter(({ on }) => on === 'wlan0').map(({ at }) => at);
    assert.deepEqual(times, [0, 1000, 4000]);
    await advance(clock, 3 * ANNOUNCE_PERIOD);
    assert.equal(lan.sent.filter(({ on }) => on === 'wlan0').length, 6);
  });

  it('hurries no more than once a minute, except for what is new', async () => {
    await settled();
    discovery.announce();
    await advance(clock, 0);
    assert.equal(lan.sent.length, 0);
    hashes.push(OTHER);
    discovery.announce();
    await advance(clock, 0);
    assert.deepEqual(
      lan.sent.map(({ announce }) => announce.infoHashes),
      [[OTHER]],
    );
    await advance(clock, ANNOUNCE_PAUSE + 5000);
    lan.sent.length = 0;
    discovery.announce();
    await advance(clock, 0);
    assert.deepEqual(
      lan.sent.map(({ announce }) => announce.infoHashes),
      [[OURS, OTHER]],
    );
  });

  it('announces at once on an interface that came, or came back', async () => {
    await settled();
    interfaces = [];
    await advance(clock, 3000);
    assert.equal(lan.sent.length, 0);
    interfaces = [face('eth0', '10.0.0.1')];
    await advance(clock, 2000);
    assert.ok(lan.sent.length > 0);
  });

  it('reports who has a network in common, at the source of the datagram, and not itself', async () => {
    await settled();
    hear({});
    hear({ infoHashes: [OTHER] });
    hear({ infoHashes: [OTHER, OURS], port: 7001 }, '10.0.0.3');
    lan.datagrams.fire({ data: Buffer.from('BT-SEARCH'), address: '10.0.0.4', interface: interfaces[0]! });
    assert.deepEqual(found, ['1 10.0.0.2:7000', '1 10.0.0.3:7001']);
  });

  it('prefers any other address of a peer to its link-local one', async () => {
    interfaces.push(face('eth0', 'fe80::1', 6));
    await settled();
    hear({ cookie: 'both' }, 'fe80::2', interfaces[1]);
    hear({ cookie: 'both' });
    hear({ cookie: 'link-local alone' }, 'fe80::3', interfaces[1]);
    await advance(clock, 600);
    assert.deepEqual(found, ['1 10.0.0.2:7000', '1 fe80::3:7000']);
  });

  it('answers a newcomer within a fraction of a second, once, with what both have', async () => {
    hashes.push(OTHER);
    await settled();
    hear({});
    await advance(clock, 200);
    assert.deepEqual(
      lan.sent.map(({ announce }) => announce.infoHashes),
      [[OURS]],
    );
    hear({});
    await advance(clock, 5000);
    assert.equal(lan.sent.length, 1, 'it is known by now');
    hear({ cookie: 'started again' });
    await advance(clock, 200);
    assert.equal(lan.sent.length, 2);
  });

  it('answers who asks without a port each time, but once a second for all of them', async () => {
    await settled();
    for (let i = 0; i < 100; i++) {
      hear({ port: 0, cookie: `c${i}` });
      await advance(clock, 50);
    }
    assert.deepEqual(found, []);
    assert.ok(lan.sent.length >= 4 && lan.sent.length <= 6, `${lan.sent.length} answers in 5 s`);
  });

  it('leaves the answer to others when there are enough of them', async () => {
    await settled();
    hear({ port: 0 });
    for (let i = 0; i < 6; i++) hear({ cookie: `answer ${i}` }, `10.0.1.${i}`);
    await advance(clock, 1000);
    assert.equal(lan.sent.length, 0);
  });

  it('asks without offering anything when it cannot be dialled, and answers nobody', async () => {
    listening = undefined;
    discovery.start();
    await advance(clock, 10_000);
    assert.deepEqual([...new Set(lan.sent.map(({ announce }) => announce.port))], [0]);
    lan.sent.length = 0;
    hear({});
    await advance(clock, 4 * ANNOUNCE_PERIOD);
    assert.deepEqual([lan.sent.length, found.length], [0, 1]);
    listening = { host: '10.0.0.1', port: 5 };
    discovery.announce();
    await advance(clock, 0);
    assert.deepEqual(
      lan.sent.map(({ announce }) => announce.port),
      [5],
    );
  });

  it('reads no more than 200 datagrams a second', async () => {
    await settled();
    for (let i = 0; i < 1000; i++) hear({ port: 1000 + i });
    assert.equal(found.length, 200);
    await advance(clock, 1000);
    hear({ port: 9 });
    assert.equal(found.length, 201);
  });

  it('puts infohashes of many networks into several datagrams', async () => {
    hashes = Array.from({ length: 60 }, (_, index) => Buffer.alloc(20, index));
    discovery.start();
    await advance(clock, 0);
    assert.deepEqual(
      lan.sent.map(({ announce }) => announce.infoHashes.length),
      [24, 24, 12],
    );
  });

  it('tests multicast on each interface', async () => {
    interfaces.push(face('tun0', '10.9.0.1'));
    lan.broken = 'tun0';
    await settled();
    assert.deepEqual(await discovery.selfTest(), [
      { interface: 'eth0', address: '10.0.0.1', family: 4, ok: true },
      { interface: 'tun0', address: '10.9.0.1', family: 4, ok: false, problem: 'ENETDOWN' },
    ]);
    lan.echo = false;
    const [results] = await Promise.all([discovery.selfTest(), advance(clock, 2000)]);
    assert.deepEqual(
      results.map(({ ok }) => ok),
      [false, false],
    );
  });
});

describe('NetworkWatch', () => {
  it('tells of interfaces that come, go or get another address, and of sleep', async () => {
    const clock = new VirtualClock();
    let interfaces = [face('eth0', '10.0.0.1')];
    let slept = 0;
    const wallTime = (): number => clock.wallTime() + slept;
    const setInterval: Clock['setInterval'] = (callback, period) => clock.setInterval(callback, period);
    const time = { now: () => clock.now(), wallTime, setTimeout: () => assert.fail(), setInterval };
    const watch = new NetworkWatch(time, () => [...interfaces]);
    const told: string[] = [];
    watch.onChanged((change) => told.push(change));
    await advance(clock, 10_000);
    assert.deepEqual(told, []);
    for (const next of [[], [face('eth0', '10.0.0.1')], [face('eth0', '10.0.0.2')]]) {
      interfaces = next;
      await advance(clock, 3000);
    }
    slept = 60_000;
    await advance(clock, 10_000);
    assert.deepEqual(told, ['interfaces', 'interfaces', 'interfaces', 'woke']);
    watch.dispose();
  });
});
