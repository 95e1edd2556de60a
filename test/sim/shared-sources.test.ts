import assert from 'node:assert/strict';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import { SharedSources } from '../../src/bittorrent/shared-sources.ts';
import { UploadScheduler } from '../../src/bittorrent/upload-scheduler.ts';
import { type SimPeer, Simulation } from './simulation.ts';

const MiB = 1024 * 1024;

describe('transfers that fetch from the same device', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  /** Two swarms of one peer, each connected to the same device, which sends `rate` bytes per second to all. */
  function twoTransfers(rate: number, latency: number): { high: SimPeer; low: SimPeer } {
    const limiter = new RateLimiter(sim.clock, rate);
    sim.uplink = { scheduler: new UploadScheduler(sim.clock), limiter };
    const sources = [sim.addPeer('source/0', 'all'), sim.addPeer('source/1', 'all')] as const;
    sim.uplink = undefined;
    sim.sources = new SharedSources();
    const [high, low] = [sim.addPeer('receiver/0', 'none'), sim.addPeer('receiver/1', 'none')];
    high.download.setPriority('high');
    low.download.setPriority('low');
    // The one of low priority was first.
    sim.connect(low, sources[0], { latency, rate: 20_000_000 });
    sim.connect(high, sources[1], { latency, rate: 20_000_000 });
    return { high, low };
  }

  async function fetched(peers: readonly SimPeer[], ms: number): Promise<number[]> {
    const before = peers.map(({ swarm }) => swarm.fetched);
    await sim.clock.run(() => false, ms);
    return peers.map(({ swarm }, index) => swarm.fetched - before[index]!);
  }

  // The slower the uplink, the shorter the turns that the source serves them in; the one of low priority gets a block in each.
  for (const [rate, latency, ratio] of [
    [1_000_000, 5, 1.8],
    [4_000_000, 1, 5],
    [4_000_000, 50, 5],
  ] as const) {
    it(`get of its ${rate} bytes/s, ${latency} ms away, what their priority says, and all of it`, async () => {
      sim = new Simulation(1, [64 * MiB], 256 * 1024);
      const { high, low } = twoTransfers(rate, latency);
      await sim.clock.run(() => high.swarm.fetched > MiB, 20_000);
      const [most, least] = await fetched([high, low], 5_000);
      assert.ok(most! > ratio * least!, `${most} and ${least} bytes`);
      assert.ok(least! > 0, 'it starves');
      assert.ok(most! + least! > 0.95 * 5 * rate, `${most! + least!} bytes`);
      // Exchanged, while both run.
      high.download.setPriority('low');
      low.download.setPriority('high');
      await sim.clock.run(() => false, 2_000);
      const [now, then] = await fetched([low, high], 5_000);
      assert.ok(now! > ratio * then!, `${now} and ${then} bytes`);
      // The same for both.
      high.download.setPriority('high');
      await sim.clock.run(() => false, 2_000);
      const even = await fetched([low, high], 5_000);
      assert.ok(Math.max(...even) < 1.3 * Math.min(...even), `${even} bytes`);
    });
  }

  it('leave nothing unused: where one of high priority is held up by its own limit, or has ended', async () => {
    sim = new Simulation(2, [16 * MiB], 256 * 1024);
    const { high, low } = twoTransfers(2_000_000, 5);
    high.download.setRate(100_000);
    await sim.clock.run(() => high.swarm.fetched > 100_000, 20_000);
    const [limited, free] = await fetched([high, low], 3_000);
    assert.ok(limited! < 400_000 && free! > 5_000_000, `${limited} and ${free} bytes`);
    high.download.setRate(0);
    assert.ok(await sim.clock.run(() => high.completed, 60_000));
    assert.ok(!low.completed);
    const [alone] = await fetched([low], 1_000);
    assert.ok(alone! > 1_900_000, `${alone} bytes`);
  });

  it('get on where one of high priority is sent nothing', async () => {
    sim = new Simulation(3, [16 * MiB], 256 * 1024);
    const { high, low } = twoTransfers(2_000_000, 5);
    await sim.clock.run(() => high.swarm.fetched > MiB, 20_000);
    for (const end of sim.connections.slice(2)) end.stalled = true;
    await sim.clock.run(() => false, 2_000);
    const [free] = await fetched([low], 3_000);
    assert.ok(free! > 5_500_000, `${free} bytes`);
    assert.ok(!high.completed);
  });
});
