import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import type { Clock } from '../../src/common/clock.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { parsePeerInstance } from '../../src/common/ids.ts';
import { silentLogger } from '../../src/common/log.ts';
import { type MemberChannel, peerKey } from '../../src/peer/network/channel.ts';
import type { DialTarget } from '../../src/peer/network/dialer.ts';
import { NetworkNode } from '../../src/peer/network/network-node.ts';
import { StateStore } from '../../src/peer/state-store.ts';
import { NetworkTrust } from '../../src/peer/trust/membership.ts';
import { createIdentity, type Identity } from '../../src/transport/identity.ts';
import type { AnnounceRequest, AnnounceResult } from '../../src/transport/tracker-client.ts';
import { share, shareNames } from '../unit/peer/network/support.ts';
import { type MemoryConnection, memoryPair } from './memory-connection.ts';
import { VirtualClock } from './virtual-clock.ts';

const SEED = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const PORT = 6881;
const TRACKER = 'http://tracker.example/announce';
const MINUTE = 60_000;

type SimChannel = MemoryConnection & MemberChannel;

interface SimPeer {
  readonly host: string;
  readonly identity: Identity;
  readonly instance: ReturnType<typeof parsePeerInstance>;
  readonly trust: NetworkTrust;
  readonly dir: string;
  /** Does not listen. */
  readonly outboundOnly: boolean;
  offered: string[];
  node: NetworkNode | undefined;
}

/** Dates are whole milliseconds, as those of the system are. */
class WholeClock extends VirtualClock {
  override wallTime(): number {
    return Math.floor(super.wallTime());
  }
}

/** Some peers, a tracker and the wires between them, under one clock. */
class World {
  readonly clock = new WholeClock();
  readonly random: () => number;
  readonly peers: SimPeer[] = [];
  readonly channels: { a: SimPeer; b: SimPeer; ends: [SimChannel, SimChannel] }[] = [];
  readonly #swarms = new Map<string, Map<string, { host: string; port: number }>>();
  trackerUp = true;
  /** Peers of different sides do not reach each other. */
  side = (_peer: SimPeer): number => 0;

  constructor(seed: number) {
    this.random = mulberry32(seed);
  }

  async add(trust: (identity: Identity) => NetworkTrust, outboundOnly = false): Promise<SimPeer> {
    const identity = createIdentity();
    const peer: SimPeer = {
      host: `10.0.0.${this.peers.length + 1}`,
      identity,
      instance: parsePeerInstance(randomBytes(8).toString('hex')),
      trust: trust(identity),
      dir: await mkdtemp(join(tmpdir(), 'peerwire-sim-')),
      outboundOnly,
      offered: [],
      node: undefined,
    };
    this.peers.push(peer);
    return peer;
  }

  async start(peer: SimPeer): Promise<void> {
    const node = new NetworkNode({
      identity: peer.identity,
      instance: peer.instance,
      deviceName: peer.host,
      trust: peer.trust,
      store: new StateStore(peer.dir),
      clock: this.clock,
      logger: silentLogger,
      listenPort: () => (peer.outboundOnly ? undefined : PORT),
      version: '0',
      random: this.random,
      dial: (target) => this.#dial(peer, target),
      announce: (request) => this.#announce(peer, request),
    });
    peer.node = node;
    node.setOwn(
      peer.offered.map((name) => share({ name })),
      [],
    );
    await node.start();
  }

  async stop(peer: SimPeer): Promise<void> {
    const node = peer.node;
    peer.node = undefined;
    // Trackers are told, which takes time.
    await Promise.all([node?.close(), this.pass(100)]);
  }

  offer(peer: SimPeer, names: string[]): void {
    peer.offered = names;
    peer.node?.setOwn(
      names.map((name) => share({ name })),
      [],
    );
  }

  openChannels(a: SimPeer, b: SimPeer): number {
    return this.channels.filter(
      (entry) =>
        ((entry.a === a && entry.b === b) || (entry.a === b && entry.b === a)) && entry.ends.some((end) => !end.closed),
    ).length;
  }

  async pass(ms: number): Promise<void> {
    const end = this.clock.setTimeout(() => {}, ms);
    await this.clock.run(() => false, ms);
    end.dispose();
  }

  async remove(): Promise<void> {
    for (const peer of this.peers) {
      await this.stop(peer);
      await rm(peer.dir, { recursive: true, force: true });
    }
  }

  #after(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimeout(resolve, ms));
  }

  async #announce(peer: SimPeer, request: AnnounceRequest): Promise<AnnounceResult> {
    await this.#after(20 * this.random());
    if (!this.trackerUp) throw new PeerwireError('connection', 'The tracker is down.');
    const hash = Buffer.from(request.infoHash20).toString('hex');
    const swarm = this.#swarms.get(hash) ?? new Map<string, { host: string; port: number }>();
    this.#swarms.set(hash, swarm);
    const id = Buffer.from(request.peerId20).toString('hex');
    if (request.event === 'stopped') swarm.delete(id);
    else if (request.port > 0) swarm.set(id, { host: peer.host, port: request.port });
    return { interval: 5 * MINUTE, peers: [...swarm.entries()].filter(([key]) => key !== id).map(([, at]) => at) };
  }

  /** What the transport does: both sides see each other's credentials, then each has one end. */
  async #dial(from: SimPeer, { host, port, signal, expectDevice }: DialTarget): Promise<MemberChannel> {
    await this.#after(5 + 40 * this.random());
    const to = this.peers.find((peer) => peer.host === host && port === PORT && !peer.outboundOnly);
    if (to === from) throw new PeerwireError('exists', 'ourselves');
    if (to === undefined || to.node === undefined || this.side(from) !== this.side(to)) {
      throw new PeerwireError('connection', 'unreachable');
    }
    if (expectDevice !== undefined && expectDevice !== to.identity.device) throw new PeerwireError('protocol', 'other');
    const node = to.node;
    if (signal.aborted) throw new PeerwireError('cancelled', 'cancelled');
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      const { device, spki } = other.identity;
      if (one.trust.isRevoked(device)) throw new PeerwireError('revoked', 'revoked');
      const { countersignature } = one.trust.admit(device, spki, other.trust.credentials());
      if (countersignature) other.trust.acceptCountersignature(countersignature);
    }
    const [mine, theirs] = memoryPair(this.clock, { latency: 5 + 40 * this.random(), rate: 0 }, this.random);
    const ends: [SimChannel, SimChannel] = [asChannel(mine, to, true), asChannel(theirs, from, false)];
    this.channels.push({ a: from, b: to, ends });
    readHandshake(ends[1], this.clock).then(
      (incoming) => node.acceptControl(ends[1], incoming),
      () => ends[1].close(),
    );
    return ends[0];
  }
}

function asChannel(connection: MemoryConnection, peer: SimPeer, initiator: boolean): SimChannel {
  return Object.assign(connection, {
    device: peer.identity.device,
    instance: peer.instance,
    network: peer.trust.network,
    initiator,
    remoteAddress: peer.host,
    remotePort: initiator ? PORT : 50_000,
  });
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

async function team(world: World, size: number, outboundOnly = 0): Promise<SimPeer[]> {
  const clock: Clock = world.clock;
  const creator = await world.add((identity) => NetworkTrust.createNetwork(identity, 'sim', [TRACKER], { clock }));
  for (let i = 1; i < size; i++) {
    const invite = creator.trust.createInvite({ inviterName: 'creator' });
    await world.add((identity) => NetworkTrust.joinNetwork(identity, invite, { clock }), i >= size - outboundOnly);
  }
  return world.peers;
}

const knows = (one: SimPeer, other: SimPeer): boolean =>
  one.node?.directory.isConnected({ device: other.identity.device, instance: other.instance }) === true;

/** What one peer believes that each peer offers. */
function view(peer: SimPeer): Map<string, string[]> {
  const seen = new Map((peer.node?.directory.catalogues() ?? []).map((one) => [peerKey(one), shareNames(one.shares)]));
  return seen.set(peerKey({ device: peer.identity.device, instance: peer.instance }), [...peer.offered].sort());
}

function pairs<T>(items: readonly T[]): [T, T][] {
  return items.flatMap((a, i) => items.slice(i + 1).map((b): [T, T] => [a, b]));
}

describe(`a simulated network (SIM_SEED=${SEED})`, function () {
  this.timeout(300_000);

  let world: World;

  beforeEach(() => {
    world = new World(SEED);
  });

  afterEach(() => world.remove());

  function assertMesh(peers: readonly SimPeer[]): void {
    for (const [a, b] of pairs(peers)) {
      if (a.outboundOnly && b.outboundOnly) continue;
      assert.ok(knows(a, b) && knows(b, a), `${a.host} and ${b.host} are connected`);
      assert.equal(world.openChannels(a, b), 1, `${a.host} and ${b.host} have one connection`);
    }
    const expected = new Map(
      peers.map((peer) => [
        peerKey({ device: peer.identity.device, instance: peer.instance }),
        [...peer.offered].sort(),
      ]),
    );
    for (const peer of peers) assert.deepEqual(view(peer), expected, `what ${peer.host} knows`);
  }

  it('meets within seconds when all start at once', async () => {
    const peers = await team(world, 10, 2);
    for (const peer of peers) world.offer(peer, [`from ${peer.host}`]);
    await Promise.all(peers.map((peer) => world.start(peer)));
    await world.pass(40_000);
    assertMesh(peers);
  });

  it('recovers from restarts, silent cuts, partitions and a tracker that comes and goes', async () => {
    const peers = await team(world, 7, 1);
    for (const peer of peers) await world.start(peer);
    const { random } = world;
    const pick = (): SimPeer => peers[Math.floor(random() * peers.length)] ?? assert.fail();
    for (let step = 0; step < 60; step++) {
      const dice = random();
      if (dice < 0.3) {
        world.offer(pick(), [`v${step}`, `w${step}`].slice(0, 1 + Math.floor(2 * random())));
      } else if (dice < 0.5) {
        const peer = pick();
        await world.stop(peer);
        await world.pass(random() * 5000);
        await world.start(peer);
      } else if (dice < 0.7) {
        const open = world.channels.filter(({ ends }) => ends.every((end) => !end.closed));
        const victim = open[Math.floor(random() * open.length)];
        for (const end of victim?.ends ?? []) end.stalled = true;
      } else if (dice < 0.85) {
        world.trackerUp = !world.trackerUp;
      } else {
        const border = Math.floor(random() * peers.length);
        world.side = (peer) => (peers.indexOf(peer) < border ? 0 : 1);
        for (const { a, b, ends } of world.channels) {
          if (world.side(a) !== world.side(b)) for (const end of ends) end.stalled = true;
        }
      }
      await world.pass(random() * 20_000);
    }
    world.side = () => 0;
    world.trackerUp = true;
    // Time for cut connections to be noticed (150 s) and for the longest pause between tries (300 s).
    await world.pass(12 * MINUTE);
    assertMesh(peers);
  });

  it('gets everyone back without a tracker', async () => {
    const peers = await team(world, 6);
    await Promise.all(peers.map((peer) => world.start(peer)));
    await world.pass(2 * MINUTE);
    world.trackerUp = false;
    for (const peer of peers) await world.stop(peer);
    for (const peer of peers) await world.start(peer);
    await world.pass(30_000);
    assertMesh(peers);
    assert.equal(peers[0]?.node?.state().problem, 'tracker.example: The tracker is down.');
  });

  it('carries a revocation across a partition that heals', async () => {
    const peers = await team(world, 6);
    await Promise.all(peers.map((peer) => world.start(peer)));
    await world.pass(MINUTE);
    const [creator, ...others] = peers as [SimPeer, ...SimPeer[]];
    const evicted = others.pop() ?? assert.fail();
    world.side = (peer) => (peers.indexOf(peer) < 3 ? 0 : 1);
    for (const { a, b, ends } of world.channels)
      if (world.side(a) !== world.side(b)) for (const end of ends) end.close();
    creator.trust.revoke(evicted.identity.device);
    await world.pass(MINUTE);
    assert.ok(
      others.some((peer) => knows(peer, evicted)),
      'the other side does not know yet',
    );
    world.side = () => 0;
    await world.pass(10 * MINUTE);
    for (const peer of [creator, ...others]) {
      assert.equal(knows(peer, evicted), false);
      assert.ok(peer.trust.isRevoked(evicted.identity.device));
    }
    assertMesh([creator, ...others]);
  });

  it('leaves no timer behind', async () => {
    const peers = await team(world, 3);
    await Promise.all(peers.map((peer) => world.start(peer)));
    await world.pass(MINUTE);
    for (const peer of peers) await world.stop(peer);
    await world.pass(1000);
    assert.equal(world.clock.pending, 0);
  });
});
