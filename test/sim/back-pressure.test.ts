/** Whoever cannot keep up stops those who bring more: at each stage memory is bounded, and nothing is lost. */
import assert from 'node:assert/strict';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { PieceBuffers } from '../../src/bittorrent/piece-buffers.ts';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import { SharedMemory } from '../../src/bittorrent/shared-memory.ts';
import { UploadScheduler } from '../../src/bittorrent/upload-scheduler.ts';
import { MemoryStorage } from './memory-storage.ts';
import { type SimPeer, Simulation } from './simulation.ts';
import { hasher } from './test-version.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const PIECE = 128 * KiB;
const BUDGET = 8 * PIECE;
/** Buffers of a connection, as the system has them. */
const WINDOW = 256 * KiB;

describe('back-pressure', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  /** A download into buffers of 1 MiB, with a stage that can be held. */
  function receiver(stage: { hold?: Promise<void>; disk?: Promise<void> }): SimPeer {
    const { info } = sim.version;
    const storage = new MemoryStorage(info);
    storage.delay = () => stage.disk ?? Promise.resolve();
    const peer = sim.add('receiver', {
      storage,
      have: new Bitfield(info.pieceCount),
      knowsMetadata: true,
      buffers: new PieceBuffers(BUDGET),
      hasher: {
        ...hasher,
        hashBlocks: async (...args) => {
          await stage.hold;
          return await hasher.hashBlocks(...args);
        },
      },
    });
    peer.swarm.download(sim.allPieces());
    return peer;
  }

  for (const stage of ['hold', 'disk'] as const) {
    it(`a ${stage === 'hold' ? 'hasher' : 'disk'} that does not keep up stops the requests`, async () => {
      sim = new Simulation(1, [12 * MiB], PIECE);
      const source = sim.addPeer('source', 'all');
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const peer = receiver(stage === 'hold' ? { hold: held } : { disk: held });
      sim.connect(peer, source, { latency: 5, rate: 0, window: WINDOW });
      await sim.clock.run(() => false, 10_000);
      assert.equal(peer.have.count, 0);
      assert.ok(peer.swarm.fetched >= BUDGET / 2, 'it hardly began');
      assert.ok(peer.swarm.fetched <= BUDGET, `${peer.swarm.fetched} bytes came for ${BUDGET} of memory`);
      assert.ok(peer.buffers.used <= BUDGET);
      release();
      assert.ok(await sim.clock.run(() => peer.completed, 60_000), 'it does not go on');
      assert.ok(sim.isComplete(peer));
      assert.equal(peer.swarm.fetched, sim.version.info.size, 'blocks came twice');
    });
  }

  it('a receiver that does not read stops the sender: its memory does not grow with the file', async () => {
    sim = new Simulation(2, [16 * MiB], PIECE);
    const source = sim.addPeer('source', 'all');
    const peer = sim.addPeer('receiver', 'none');
    let read = 0;
    const readFile = source.storage.read.bind(source.storage);
    source.storage.read = (file, offset, views) => {
      read += views.reduce((sum, view) => sum + view.length, 0);
      return readFile(file, offset, views);
    };
    const [mine, theirs] = sim.connect(peer, source, { latency: 5, rate: 0, window: WINDOW });
    await sim.clock.run(() => peer.swarm.fetched > 2 * MiB, 10_000);
    peer.download.setRate(1_000);
    await sim.clock.run(() => false, 30_000);
    assert.ok(read - peer.swarm.fetched < 4 * MiB, `${read - peer.swarm.fetched} bytes were read ahead`);
    assert.ok(theirs.mostQueued < 4 * MiB, `${theirs.mostQueued} bytes waited to be sent`);
    assert.ok(mine.unread <= WINDOW);
    peer.download.setRate(0);
    assert.ok(await sim.clock.run(() => peer.completed, 60_000));
  });

  it('a slow disk of the sender stops the reading ahead', async () => {
    sim = new Simulation(3, [16 * MiB], PIECE);
    const source = sim.addPeer('source', 'all');
    const peer = sim.addPeer('receiver', 'none');
    source.storage.readDelay = () => sim.pause(500);
    let reading = 0;
    let most = 0;
    const readFile = source.storage.read.bind(source.storage);
    source.storage.read = async (file, offset, views) => {
      const bytes = views.reduce((sum, view) => sum + view.length, 0);
      reading += bytes;
      most = Math.max(most, reading);
      await readFile(file, offset, views);
      reading -= bytes;
    };
    sim.connect(peer, source, { latency: 5, rate: 0, window: WINDOW });
    assert.ok(await sim.clock.run(() => peer.completed, 120_000));
    assert.ok(most > 0 && most < 4 * MiB, `${most} bytes were being read at once`);
  });

  for (const readsAtOnce of [false, true]) {
    it(`${readsAtOnce ? 'nothing' : 'something'} is read ahead of a busy connection where reads ${readsAtOnce ? 'do not ' : ''}have to wait`, async () => {
      sim = new Simulation(5, [24 * MiB], PIECE);
      const scheduler = new UploadScheduler(sim.clock);
      sim.uplink = { scheduler, limiter: new RateLimiter(sim.clock, 0) };
      const source = sim.addPeer('source', 'all');
      source.storage.readsAtOnce = readsAtOnce;
      const peer = sim.addPeer('receiver', 'none');
      let most = 0;
      const readFile = source.storage.read.bind(source.storage);
      source.storage.read = async (file, offset, views) => {
        most = Math.max(most, scheduler.memory);
        await readFile(file, offset, views);
      };
      sim.connect(peer, source, { latency: 5, rate: 20_000_000, window: WINDOW });
      assert.ok(await sim.clock.run(() => peer.completed, 120_000));
      // A batch is of 1 MiB.
      if (readsAtOnce) assert.ok(most < 1.2 * MiB, `${most} bytes were read ahead`);
      else assert.ok(most > 2 * MiB, `only ${most} bytes were read ahead`);
    });
  }

  it('memory that comes free is for the download of the highest priority', async () => {
    sim = new Simulation(4, [12 * MiB], PIECE);
    sim.buffers = new PieceBuffers(4 * PIECE);
    const source = sim.addPeer('source', 'all');
    const [low, high] = [sim.addPeer('low', 'none'), sim.addPeer('high', 'none')];
    low.download.setPriority('low');
    high.download.setPriority('high');
    // The disk is the bottleneck, so that buffers are what they compete for.
    for (const peer of [low, high]) {
      peer.storage.delay = () => sim.pause(200);
      sim.connect(peer, source, { latency: 5, rate: 0, window: WINDOW });
    }
    assert.ok(await sim.clock.run(() => high.completed, 60_000));
    assert.ok(low.have.count > 0, 'low got nothing at all');
    assert.ok(low.have.count < high.have.count / 2, `low got ${low.have.count} of ${high.have.count}`);
    assert.ok(await sim.clock.run(() => low.completed, 60_000), 'low does not go on alone');
  });

  it('what was read for somebody who goes before it has left comes back', async () => {
    sim = new Simulation(9, [12 * MiB], PIECE);
    // Keeps no more than is lent.
    const memory = new SharedMemory(0);
    sim.uplink = { scheduler: new UploadScheduler(sim.clock, memory), limiter: new RateLimiter(sim.clock, 0) };
    const source = sim.addPeer('source', 'all');
    const [, connection] = sim.connect(sim.addPeer('receiver', 'none'), source, { latency: 5, rate: 1_000_000 });
    assert.ok(await sim.clock.run(() => connection.writableLength > PIECE, 10_000), 'nothing waits');
    assert.ok(memory.bytes > 0);
    connection.cut();
    assert.ok(await sim.clock.run(() => memory.bytes === 0, 1_000), `${memory.bytes} bytes are lost`);
  });
});
