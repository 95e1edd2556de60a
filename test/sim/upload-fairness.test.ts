import assert from 'node:assert/strict';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import { UploadScheduler } from '../../src/bittorrent/upload-scheduler.ts';
import { extendedHandshake, hostilePeer } from './hostile-peer.ts';
import { type SimPeer, Simulation } from './simulation.ts';

const MiB = 1024 * 1024;
const UPLINK = 250_000;

describe('the uplink of one seeder', () => {
  let sim: Simulation;
  let scheduler: UploadScheduler;
  beforeEach(() => {
    sim = new Simulation(1, [4 * MiB], 65_536);
    scheduler = new UploadScheduler(sim.clock);
    sim.uplink = { scheduler, limiter: new RateLimiter(sim.clock, UPLINK) };
  });
  afterEach(() => {
    sim.dispose();
    scheduler.dispose();
  });

  /** Swarms of the seeder, which share its uplink. */
  function seeds(count: number): SimPeer[] {
    return Array.from({ length: count }, (_, index) => sim.addPeer(`seed${index}`, 'all'));
  }

  /** Downloads by devices that do not share the seeder's uplink. */
  function download(name: string, from: SimPeer): SimPeer {
    const { uplink } = sim;
    sim.uplink = undefined;
    const receiver = sim.addPeer(name, 'none');
    sim.uplink = uplink;
    sim.connect(receiver, from, { latency: 5, rate: 50_000_000 });
    return receiver;
  }

  const sum = (peers: readonly SimPeer[]): number => peers.reduce((total, peer) => total + peer.swarm.fetched, 0);

  it('is shared by device: four connections to each of four swarms get as much as one', async () => {
    const swarms = seeds(5);
    const greedy = swarms
      .slice(0, 4)
      .flatMap((seed, swarm) => [0, 1, 2, 3].map((index) => download(`greedy/${swarm}-${index}`, seed)));
    const modest = download('modest/0', swarms[4]!);
    await sim.clock.run(() => false, 10_000);
    const [much, half] = [sum(greedy), sum([modest])];
    assert.ok(Math.abs(half / (much + half) - 0.5) <= 0.05, `${half} of ${much + half}`);
    assert.ok(much + half >= 0.97 * 10 * UPLINK, `the uplink was idle: ${much + half}`);
  });

  it('serves a late small request at once while two big downloads run', async () => {
    const [big, small] = seeds(2);
    for (const name of ['a/0', 'b/0']) download(name, big!);
    await sim.clock.run(() => false, 5_000);
    const late = download('late/0', small!);
    await sim.clock.run(() => late.have.count >= 1, 5_000);
    assert.ok(sim.clock.now() <= 6_000, `a piece took until ${sim.clock.now()}`);
  });

  it('is no more read from for who asks for single bytes than for who asks for blocks', async () => {
    const [seed] = seeds(1);
    const reads = new Map<string, number>();
    const readFile = seed!.storage.read.bind(seed!.storage);
    seed!.storage.read = (file, offset, views) => {
      const name = views.length > 0 && views[0]!.length === 1 ? 'single' : 'blocks';
      reads.set(name, (reads.get(name) ?? 0) + 1);
      return readFile(file, offset, views);
    };
    /** Every other block, so that none goes on where the last ended; or every other byte. */
    const asker = (name: string, length: number): void => {
      let next = 0;
      const peer = hostilePeer(sim, seed!, `${name}/0`, ({ type }) => {
        if (type === 'unchoke') ask(512);
      });
      const ask = (count: number): void => {
        for (let index = 0; index < count; index++, next += 2 * length) {
          const at = next % (2 * MiB);
          peer.send({ type: 'request', piece: Math.floor(at / 65_536), begin: at % 65_536, length });
        }
      };
      sim.clock.setInterval(() => ask(64), 100);
      peer.send(extendedHandshake({}), { type: 'have-none' }, { type: 'interested' });
    };
    asker('single', 1);
    asker('blocks', 16_384);
    await sim.clock.run(() => false, 20_000);
    const [single = 0, blocks = 0] = [reads.get('single'), reads.get('blocks')];
    assert.ok(blocks >= 100, `${blocks} reads`);
    assert.ok(single <= 1.1 * blocks, `${single} reads of single bytes, ${blocks} of blocks`);
  });

  /** Four devices with four connections each, which ask for everything and read for so long, in ms. Says how each was closed. */
  function deafDevices(seed: SimPeer, readFor: number): string[] {
    const closed: string[] = [];
    const link = { latency: 1, rate: 0, back: 10_000_000, window: 256 * 1024 };
    for (let index = 0; index < 16; index++) {
      const deaf = hostilePeer(
        sim,
        seed,
        `deaf${index % 4}/${index}`,
        (message) => {
          if (message.type !== 'unchoke') return;
          for (let piece = 0; piece < sim.version.info.pieceCount; piece++)
            for (let begin = 0; begin < MiB; begin += 16_384)
              deaf.send({ type: 'request', piece, begin, length: 16_384 });
          sim.clock.setTimeout(() => deaf.connection.pause(), readFor);
        },
        link,
      );
      deaf.send(extendedHandshake({}), { type: 'have-none' }, { type: 'interested' });
      deaf.other.onClosed = (reason) => closed.push(`${reason?.code} after ${Math.floor(sim.clock.now() / 1000)} s`);
    }
    return closed;
  }

  for (const [name, readFor, after] of [
    ['read nothing', 0, 62],
    ['read for a second and then nothing: while they hold all memory, not for long', 1_000, 17],
  ] as const) {
    it(`goes on at full speed beside devices that ${name}; they are let go`, async function () {
      // Some 60 s of a swarm: 5 s here, on a machine with nothing else to do.
      this.timeout(180_000);
      sim = new Simulation(1, [64 * MiB], MiB);
      sim.uplink = { scheduler, limiter: new RateLimiter(sim.clock, 0) };
      const [seed] = seeds(1);
      const closed = deafDevices(seed!, readFor);
      await sim.clock.run(() => false, 2_000);
      assert.ok(scheduler.memory > 0, 'nothing waits for them');
      assert.equal(scheduler.isFull, readFor > 0);
      const honest = download('honest/0', seed!);
      assert.ok(await sim.clock.run(() => honest.completed, 10_000));
      // 64 MiB at 50 MB/s.
      assert.ok(sim.clock.now() < 4_000, `${sim.clock.now()} ms`);
      assert.equal(closed.length, 0);
      await sim.clock.run(() => false, 62_000);
      assert.deepEqual(closed, new Array(16).fill(`timeout after ${after} s`));
      assert.equal(scheduler.memory, 0);
    });
  }

  it('twenty that want everything at once all get on, in bounded memory', async () => {
    const [seed] = seeds(1);
    const takers = Array.from({ length: 20 }, (_, index) => download(`t${index}/0`, seed!));
    let peak = 0;
    await sim.clock.run(() => {
      peak = Math.max(peak, scheduler.memory);
      return false;
    }, 20_000);
    const least = Math.min(...takers.map(({ swarm }) => swarm.fetched));
    assert.ok(least >= 0.75 * UPLINK, `the slowest got ${least}`);
    assert.ok(peak <= 32 * MiB, `${peak} bytes`);
    assert.ok(sum(takers) >= 0.97 * 20 * UPLINK, 'the uplink was idle');
  });

  it('too slow for all at once, it serves them in turns: nobody starves and the uplink is not idle', async () => {
    const slow = 25_000;
    sim.uplink?.limiter.setRate(slow);
    const [seed] = seeds(1);
    const takers = Array.from({ length: 10 }, (_, index) => download(`t${index}/0`, seed!));
    let waiting = 0;
    await sim.clock.run(() => {
      const rates = takers.map(({ swarm }) => swarm.accounts()[0]?.downloadRate ?? 0);
      waiting = Math.max(waiting, rates.filter((rate) => rate === 0).length);
      return false;
    }, 240_000);
    const fair = (slow * 240) / takers.length;
    for (const { name, swarm } of takers)
      assert.ok(Math.abs(swarm.fetched / fair - 1) < 0.35, `${name} got ${swarm.fetched} of ${fair}`);
    assert.ok(sum(takers) >= 0.97 * 240 * slow, `the uplink was idle: ${sum(takers)}`);
    assert.ok(waiting > 0, 'all were served at once');
  });
});
