import assert from 'node:assert/strict';
import { Simulation } from './simulation.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

describe('pieces that somebody waits for', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  it('come first and in order, while a big download saturates the link', async () => {
    sim = new Simulation(1, [16 * MiB], 256 * KiB);
    const source = sim.addPeer('source', 'all');
    const receiver = sim.addPeer('receiver', 'none');
    sim.connect(receiver, source, { latency: 10, rate: 2_000_000 });
    const order: number[] = [];
    receiver.swarm.onPiece((piece) => order.push(piece));
    await sim.clock.run(() => receiver.have.count >= 8, 60_000);
    const window = [40, 41, 42, 43].filter((piece) => !receiver.have.has(piece));
    const before = order.length;
    const start = sim.clock.now();
    receiver.swarm.prioritize(window);
    const first = (): boolean => window[0] !== undefined && receiver.have.has(window[0]);
    assert.ok(await sim.clock.run(first, 60_000));
    const firstAfter = sim.clock.now() - start;
    assert.ok(await sim.clock.run(() => window.every((piece) => receiver.have.has(piece)), 60_000));
    const took = sim.clock.now() - start;
    const others = order.slice(before).filter((piece) => !window.includes(piece));
    assert.ok(firstAfter < 1_500, `${firstAfter} ms`);
    assert.ok(took < 2_000, `${took} ms`);
    assert.ok(others.length <= 8, `${others.length} other pieces came before the window was there`);
    assert.ok(await sim.clock.run(() => receiver.completed, 60_000));
    assert.ok(sim.isComplete(receiver));
  });
});
