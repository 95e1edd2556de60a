import assert from 'node:assert/strict';
import { Simulation } from './simulation.ts';

const first = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const count = Number(process.env.SIM_SEEDS ?? 40);

/** Sources and receivers with random rates, delays and stalls; everybody is connected to everybody. */
function randomSwarm(seed: number): { sim: Simulation; receivers: ReturnType<Simulation['addPeer']>[] } {
  const sim = new Simulation(seed, [1_000_777, 100, 0, 150_000], 16_384 << (seed % 4));
  sim.writingThreads = seed % 8 >= 4;
  const random = sim.random;
  const limit = (): number => (random() < 0.5 ? 100_000 + random() * 1_000_000 : 0);
  const sources = Array.from({ length: 1 + (seed % 3) }, (_, index) => sim.addPeer(`source${index}`, 'all', limit()));
  const receivers = Array.from({ length: 1 + (seed % 4) }, (_, index) =>
    sim.addPeer(`receiver${index}`, 'none', limit()),
  );
  const link = (): { latency: number; rate: number } => ({
    latency: random() * 100,
    rate: 100_000 + random() * 3_000_000,
  });
  for (const receiver of receivers) {
    for (const source of sources) {
      const ends = sim.connect(receiver, source, link());
      if (source === sources[0] || random() > 0.3) continue;
      const [stalling] = random() < 0.5 ? ends : [ends[1]];
      sim.clock.setTimeout(() => {
        stalling.stalled = true;
      }, random() * 3_000);
    }
    for (const other of receivers.slice(receivers.indexOf(receiver) + 1)) sim.connect(receiver, other, link());
  }
  return { sim, receivers };
}

describe(`${count} random swarms from SIM_SEED=${first}`, function () {
  this.timeout(180_000);

  it('everybody gets every byte, and no memory stays behind', async () => {
    for (let seed = first; seed < first + count; seed++) {
      const { sim, receivers } = randomSwarm(seed);
      const completed = await sim.clock.run(() => receivers.every((receiver) => receiver.completed), 600_000);
      assert.ok(completed, `SIM_SEED=${seed} SIM_SEEDS=1: not complete`);
      for (const receiver of receivers) {
        assert.ok(
          sim.isComplete(receiver),
          `SIM_SEED=${seed} SIM_SEEDS=1: ${receiver.name} has wrong or missing bytes`,
        );
      }
      sim.dispose();
      for (const receiver of receivers) {
        assert.equal(receiver.buffers.used, 0, `SIM_SEED=${seed} SIM_SEEDS=1: ${receiver.name} leaked`);
      }
    }
  });
});
