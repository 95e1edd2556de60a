import assert from 'node:assert/strict';
import { PieceBuffers } from '../../src/bittorrent/piece-buffers.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { Simulation } from './simulation.ts';

const MiB = 1024 * 1024;

describe('what a swarm promises its owner', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  it('says once that it is disposed', () => {
    sim = new Simulation(1, [1], 65_536);
    const peer = sim.addPeer('peer', 'all');
    let disposed = 0;
    peer.swarm.onDisposed(() => disposed++);
    peer.swarm.dispose();
    peer.swarm.dispose();
    assert.equal(disposed, 1);
  });

  it('content that cannot be uploaded does not stop the download', async () => {
    sim = new Simulation(2, [2 * MiB], 65_536);
    const source = sim.addPeer('source', 'all', 400_000);
    const middle = sim.addPeer('middle', 'none');
    const last = sim.addPeer('last', 'none');
    const unreadable: string[] = [];
    middle.swarm.onUnreadable((error) => unreadable.push(error.code));
    middle.storage.readError = new PeerwireError('stale', 'changed');
    sim.connect(middle, source);
    sim.connect(last, middle);
    assert.ok(await sim.clock.run(() => middle.completed, 60_000), 'it did not complete');
    assert.ok(unreadable.includes('stale'), 'nobody was told');
    assert.deepEqual(middle.problems, []);
  });

  it('a ban holds for every peer of the same member', async () => {
    sim = new Simulation(3, [MiB], 65_536);
    const liar = sim.addPeer('member/1', 'all');
    const other = sim.addPeer('member/2', 'none');
    const receiver = sim.addPeer('receiver', 'none');
    liar.storage.corrupt = (_file, _offset, view) => view.fill(1);
    sim.connect(receiver, other);
    sim.connect(receiver, liar);
    assert.ok(await sim.clock.run(() => receiver.swarm.isBanned('member/3'), 60_000), 'it is not banned');
    await sim.clock.run(() => false, 1_000);
    assert.deepEqual([...receiver.swarm.connectedSources], []);
    const [end] = sim.connect(receiver, other);
    assert.ok(end.closed, 'it may connect again');
  });

  it('a swarm that has no buffer gets one, and the others go on when buffers come free', async () => {
    sim = new Simulation(4, [2 * MiB], 65_536);
    sim.buffers = new PieceBuffers(65_536);
    const source = sim.addPeer('source', 'all');
    const stuck = sim.addPeer('stuck', 'none');
    const receiver = sim.addPeer('receiver', 'none');
    const [mine] = sim.connect(stuck, source);
    await sim.clock.run(() => sim.buffers?.used !== 0, 1_000);
    mine.stalled = true;
    sim.connect(receiver, source);
    assert.ok(await sim.clock.run(() => receiver.completed, 14_000), 'one swarm held all buffers');
  });

  it('closes the sessions that only upload', async () => {
    sim = new Simulation(5, [8 * MiB], 65_536);
    const source = sim.addPeer('source', 'all', 100_000);
    const middle = sim.addPeer('middle', 'none');
    const last = sim.addPeer('last', 'none');
    sim.connect(middle, source);
    await sim.clock.run(() => middle.have.count > 2, 60_000);
    sim.connect(last, middle);
    await sim.clock.run(() => last.have.count > 1, 60_000);
    middle.swarm.disconnectUploads();
    await sim.clock.run(() => false, 100);
    assert.deepEqual([...middle.swarm.connectedSources], ['source']);
  });

  it('a halted swarm reads no further byte, keeps what had arrived whole, and gives all memory back', async () => {
    sim = new Simulation(6, [4 * MiB], 65_536);
    const source = sim.addPeer('source', 'all');
    const receiver = sim.addPeer('receiver', 'none');
    receiver.storage.delay = () => sim.pause(700);
    const [mine] = sim.connect(receiver, source, { latency: 5, rate: 1_000_000 });
    const pieces: number[] = [];
    receiver.swarm.onPiece((piece) => pieces.push(piece));
    await sim.clock.run(() => pieces.length > 3, 10_000);
    const { fetched } = receiver.swarm;
    const whole = Math.floor(fetched / 65_536);
    assert.ok(whole > pieces.length + 2, 'nothing was being written');
    let halted = false;
    void receiver.swarm.halt().then(() => {
      halted = true;
    });
    assert.ok(mine.closed, 'it goes on reading');
    assert.ok(await sim.clock.run(() => halted, 1_000), 'it does not end');
    assert.equal(receiver.swarm.fetched, fetched);
    assert.equal(receiver.buffers.used, 0);
    assert.ok(pieces.length >= whole - 2, `${pieces.length} of ${whole} pieces were kept`);
    assert.equal(receiver.have.count, pieces.length);
    assert.equal(sim.wrongPiece(receiver), undefined);
    sim.connect(receiver, source);
    await sim.clock.run(() => false, 1_000);
    assert.equal(receiver.swarm.connectedSources.size, 0, 'it takes new connections');

    const resumed = sim.add('resumed', { storage: receiver.storage, have: receiver.have, knowsMetadata: true });
    resumed.swarm.download(sim.allPieces());
    sim.connect(resumed, source);
    assert.ok(await sim.clock.run(() => resumed.completed, 20_000));
    assert.equal(resumed.swarm.fetched, sim.version.info.size - pieces.length * 65_536, 'it fetched pieces again');
  });

  it('what a limit holds back is not read any more once we close', async () => {
    sim = new Simulation(7, [4 * MiB], 65_536);
    const source = sim.addPeer('source', 'all');
    const receiver = sim.addPeer('receiver', 'none');
    receiver.download.setRate(50_000);
    const [mine] = sim.connect(receiver, source, { latency: 5, rate: 0, window: MiB, chunk: 400_000 });
    await sim.clock.run(() => receiver.swarm.fetched > 0, 10_000);
    assert.ok(!mine.closed);
    const { fetched } = receiver.swarm;
    await receiver.swarm.halt();
    await sim.clock.run(() => false, 1_000);
    // It would land in memory that has been given back.
    assert.equal(receiver.swarm.fetched, fetched);
  });
});
