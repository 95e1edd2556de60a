import assert from 'node:assert/strict';
import { BandwidthManager } from '../../src/bittorrent/bandwidth-manager.ts';
import { type SimPeer, Simulation } from './simulation.ts';

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

  for (const [rate, sources] of [
    [50_000, 1],
    [50_000, 8],
    [1_000_000, 1],
    [1_000_000, 8],
  ] as const) {
    it(`reads ${rate} bytes/s from ${sources} ${sources === 1 ? 'source' : 'sources'}, in every window of 5 s`, async () => {
      sim = new Simulation(4, [rate < 100_000 ? MiB : 9 * MiB], 65_536);
      const receiver = sim.addPeer('receiver', 'none');
      receiver.download.setRate(rate);
      const read = countReads(receiver);
      for (let index = 0; index < sources; index++) {
        const source = sim.addPeer(`source-${index}`, 'all');
        // Buffers of a connection, as the system has them: full at once, and emptied at the rate that we read at.
        sim.connect(receiver, source, { latency: 5, rate: 0, window: 256 * 1024, chunk: 65_536 });
      }
      await sim.clock.run(() => read() > 0, 1_000);
      await checkWindows(sim, read, rate);
      const each = receiver.swarm.accounts().map((account) => account.downloadRate);
      assert.ok(Math.max(...each) < (1.5 * rate) / sources, `${each}`);
    });
  }

  for (const [rate, receivers] of [
    [50_000, 1],
    [1_000_000, 1],
    [1_000_000, 8],
  ] as const) {
    it(`sends ${rate} bytes/s to ${receivers} ${receivers === 1 ? 'receiver' : 'receivers'}, in every window of 5 s`, async () => {
      sim = new Simulation(5, [rate < 100_000 ? MiB : 9 * MiB], 65_536);
      const source = sim.addPeer('source', 'all', rate);
      let sent = 0;
      for (let index = 0; index < receivers; index++) {
        const receiver = sim.addPeer(`receiver-${index}`, 'none');
        const [, theirs] = sim.connect(receiver, source, { latency: 5, rate: 0 });
        theirs.onLeave = (bytes) => {
          sent += bytes.length;
        };
      }
      await sim.clock.run(() => sent > 16_384, 1_000);
      await checkWindows(sim, () => sent, rate);
    });
  }

  it('one transfer keeps its own limit, and the other gets the rest of the one for all', async () => {
    sim = new Simulation(6, [8 * MiB], 65_536);
    sim.bandwidth = new BandwidthManager(sim.clock, 1_000_000);
    const source = sim.addPeer('source', 'all');
    const [slow, fast] = [sim.addPeer('slow', 'none'), sim.addPeer('fast', 'none')];
    slow.download.setRate(100_000);
    const reads = [countReads(slow), countReads(fast)] as const;
    for (const peer of [slow, fast]) sim.connect(peer, source, { latency: 5, rate: 0, window: 256 * 1024 });
    await sim.clock.run(() => false, 1_000);
    const before = reads.map((read) => read());
    await sim.clock.run(() => false, 5_000);
    within5Percent(reads[0]() - before[0]!, 500_000);
    within5Percent(reads[1]() - before[1]!, 4_500_000);
  });

  it('a download of high priority comes first, one of low priority lives on what is left', async () => {
    sim = new Simulation(7, [16 * MiB], 65_536);
    sim.bandwidth = new BandwidthManager(sim.clock, 1_000_000);
    const source = sim.addPeer('source', 'all');
    const [high, low] = [sim.addPeer('high', 'none'), sim.addPeer('low', 'none')];
    high.download.setPriority('high');
    low.download.setPriority('low');
    const reads = [countReads(high), countReads(low)] as const;
    for (const peer of [low, high]) sim.connect(peer, source, { latency: 5, rate: 0, window: 256 * 1024 });
    await sim.clock.run(() => false, 1_000);
    const before = reads.map((read) => read());
    await sim.clock.run(() => false, 10_000);
    within5Percent(reads[0]() - before[0]!, (10_000_000 * 100) / 101);
    const got = reads[1]() - before[1]!;
    assert.ok(got > 50_000 && got < 200_000, `low got ${got}`);
    assert.ok(await sim.clock.run(() => high.completed, 20_000));
    const later = reads[1]();
    await sim.clock.run(() => false, 5_000);
    within5Percent(reads[1]() - later, 5_000_000);
    assert.deepEqual([...low.swarm.connectedSources], ['source'], 'it was taken for silent');
  });
});

/** Bytes that the peer was let read so far. */
function countReads({ download }: SimPeer): () => number {
  let total = 0;
  const connect = download.connection.bind(download);
  download.connection = (onGrant) => {
    const connection = connect((bytes) => {
      total += bytes;
      onGrant(bytes);
    });
    const take = connection.take.bind(connection);
    connection.take = (bytes) => {
      const now = take(bytes);
      total += now;
      return now;
    };
    return connection;
  };
  return () => total;
}

function within5Percent(actual: number, expected: number): void {
  const off = (actual / expected - 1) * 100;
  assert.ok(Math.abs(off) < 5, `${actual} of ${expected} bytes, off by ${off.toFixed(1)} %`);
}

/** Every window of 5 s that begins at a whole second, for 7 s. */
async function checkWindows(sim: Simulation, count: () => number, rate: number): Promise<void> {
  const marks = [count()];
  for (let second = 1; second <= 7; second++) {
    await sim.clock.run(() => false, 1_000);
    marks.push(count());
    const before = marks[second - 5];
    if (before !== undefined) within5Percent(count() - before, 5 * rate);
  }
}
