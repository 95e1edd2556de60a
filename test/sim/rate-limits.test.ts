import assert from 'node:assert/strict';
import { Simulation } from './simulation.ts';

const MiB = 1024 * 1024;

describe('rate limits of a running swarm', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  it('a raised upload limit works at once, however deep the debt', async () => {
    sim = new Simulation(1, [4 * MiB], 65_536);
    const source = sim.addPeer('source', 'all', 100);
    const receiver = sim.addPeer('receiver', 'none');
    sim.connect(receiver, source);
    await sim.clock.run(() => false, 3_000);
    source.upload.setRate(0);
    assert.ok(await sim.clock.run(() => receiver.completed, 3_000), 'it slept on');
  });

  it('a raised download limit works at once, and our own slowness is not the silence of the peer', async () => {
    sim = new Simulation(2, [4 * MiB], 65_536);
    const source = sim.addPeer('source', 'all');
    const receiver = sim.addPeer('receiver', 'none');
    receiver.download.setRate(300);
    sim.connect(receiver, source);
    await sim.clock.run(() => false, 400_000);
    assert.deepEqual([...receiver.swarm.connectedSources], ['source']);
    const requests = receiver.swarm.fetched;
    receiver.download.setRate(0);
    assert.ok(await sim.clock.run(() => receiver.completed, 5_000), 'it slept on');
    assert.ok(requests < MiB);
    assert.equal(receiver.swarm.fetched, sim.version.info.size, 'blocks came twice');
  });

  it('leaves no timer behind', async () => {
    sim = new Simulation(3, [4 * MiB], 65_536);
    const source = sim.addPeer('source', 'all', 1_000);
    const receiver = sim.addPeer('receiver', 'none');
    receiver.download.setRate(1_000);
    const [mine] = sim.connect(receiver, source);
    await sim.clock.run(() => receiver.swarm.fetched > 0, 60_000);
    sim.dispose();
    mine.close();
    await sim.clock.run(() => false, 10);
    assert.equal(sim.clock.pending, 0);
  });
});
