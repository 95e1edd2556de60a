import assert from 'node:assert/strict';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { type BlockRequest, encodeBlockHeader } from '../../src/bittorrent/wire/messages.ts';
import { type HostilePeer, hostilePeer } from './hostile-peer.ts';
import { MemoryStorage } from './memory-storage.ts';
import { type SimPeer, Simulation } from './simulation.ts';

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
    assert.ok(firstAfter < 900, `${firstAfter} ms`);
    assert.ok(took < 1_300, `${took} ms`);
    assert.ok(others.length <= 6, `${others.length} other pieces came before the window was there`);
    assert.ok(await sim.clock.run(() => receiver.completed, 60_000));
    assert.ok(sim.isComplete(receiver));
  });

  it('are wanted no longer when nobody waits, unless they are downloaded anyway', async () => {
    sim = new Simulation(2, [16 * MiB], 256 * KiB);
    const source = sim.addPeer('source', 'all');
    const { info } = sim.version;
    const reader = sim.add('reader', {
      storage: new MemoryStorage(info),
      have: new Bitfield(info.pieceCount),
      knowsMetadata: true,
    });
    sim.connect(reader, source, { latency: 10, rate: 2_000_000 });
    const before = reader.swarm.prioritize(Array.from({ length: 30 }, (_, index) => index));
    assert.ok(await sim.clock.run(() => reader.have.has(0), 60_000));
    // The reader goes elsewhere; both its places have the last piece of all, and a download wants the piece before.
    const next = reader.swarm.prioritize([40, 29]);
    reader.swarm.download([28]);
    before.dispose();
    const wanted = (): boolean => [40, 29, 28].every((piece) => reader.have.has(piece));
    assert.ok(await sim.clock.run(wanted, 60_000));
    next.dispose();
    const got = reader.have.count;
    await sim.clock.run(() => false, 30_000);
    assert.equal(reader.have.count, got, 'nothing more comes');
    // What was begun: no more than what a connection is asked for at a time.
    assert.ok(got < 22, `${got} pieces came`);
    // It can be wanted again.
    reader.swarm.prioritize([20]);
    assert.ok(await sim.clock.run(() => reader.have.has(20), 60_000));
    reader.swarm.download(sim.allPieces());
    assert.ok(await sim.clock.run(() => reader.have.complete, 60_000));
  });

  it('jump the queue of a source that has not sent what was asked for before', async () => {
    sim = new Simulation(3, [16 * MiB], 256 * KiB);
    // Its limit, not the link, is what makes requests wait there, where they can be cancelled.
    const source = sim.addPeer('source', 'all', 500_000);
    const receiver = sim.addPeer('receiver', 'none');
    sim.connect(receiver, source, { latency: 10, rate: 50_000_000 });
    await sim.clock.run(() => receiver.have.count >= 8, 60_000);
    const piece = sim.allPieces().findLast((index) => !receiver.have.has(index))!;
    const start = sim.clock.now();
    receiver.swarm.prioritize([piece]);
    assert.ok(await sim.clock.run(() => receiver.have.has(piece), 60_000));
    assert.ok(sim.clock.now() - start < 800, `${sim.clock.now() - start} ms`);
  });

  it('are asked of a second peer when the first is late', async () => {
    sim = new Simulation(4, [4 * MiB], 256 * KiB);
    const { info } = sim.version;
    const reader = sim.add('reader', {
      storage: new MemoryStorage(info),
      have: new Bitfield(info.pieceCount),
      knowsMetadata: true,
    });
    const links = ['one', 'two'].map(
      (name) => sim.connect(reader, sim.addPeer(name, 'all'), { latency: 10, rate: 2_000_000 })[0],
    );
    const before = reader.swarm.prioritize([0, 1, 2, 3]);
    assert.ok(await sim.clock.run(() => [0, 1, 2, 3].every((piece) => reader.have.has(piece)), 60_000));
    before.dispose();
    // What it sends is lost on the way for a while, as on a wireless link.
    links[0]?.hold();
    const start = sim.clock.now();
    reader.swarm.prioritize([8]);
    assert.ok(await sim.clock.run(() => reader.have.has(8), 60_000));
    assert.ok(sim.clock.now() - start < 500, `${sim.clock.now() - start} ms`);
  });

  /** A source of the only file that sends 2 MB/s; but the piece that it drips comes first, a byte every 100 ms. */
  function dripper(reader: SimPeer): { drips: number } {
    const state = { drips: -1 };
    const waiting: BlockRequest[] = [];
    let sending = false;
    const send = (self: HostilePeer): void => {
      const first = waiting.findIndex(({ piece }) => piece === state.drips);
      const [request] = waiting.splice(Math.max(0, first), 1);
      sending = request !== undefined;
      if (!request) return;
      const { piece, begin, length } = request;
      const at = piece * sim.version.info.pieceLength + begin;
      const bytes = sim.version.files[0]!.subarray(at, at + length);
      self.connection.write([encodeBlockHeader(piece, begin, length)]);
      const size = piece === state.drips ? 1 : length;
      const go = (sent: number): void => {
        self.connection.write([bytes.subarray(sent, sent + size)]);
        sim.clock.setTimeout(
          () => (sent + size < length ? go(sent + size) : send(self)),
          size === 1 ? 100 : size / 2_000,
        );
      };
      go(0);
    };
    const peer = hostilePeer(sim, reader, 'dripper', (message, self) => {
      if (message.type !== 'request') return;
      waiting.push(message);
      if (!sending) send(self);
    });
    sim.clock.setTimeout(() => peer.send({ type: 'have-all' }, { type: 'unchoke' }), 10);
    return state;
  }

  for (const [name, busy, known] of [
    ['a busy source', true, true],
    ['an idle one', false, true],
    ['one that was never asked', false, false],
  ] as const) {
    it(`come within a second from ${name}, though another that proved fast drips its answer`, async () => {
      sim = new Simulation(5, [32 * MiB], 256 * KiB);
      const { info } = sim.version;
      const reader = sim.add('reader', {
        storage: new MemoryStorage(info),
        have: new Bitfield(info.pieceCount),
        knowsMetadata: true,
      });
      const evil = dripper(reader);
      const connectGood = (): unknown =>
        sim.connect(reader, sim.addPeer('good', 'all'), { latency: 10, rate: 5_000_000 });
      if (known) connectGood();
      if (busy) reader.swarm.download(sim.allPieces());
      else reader.swarm.prioritize([0, 1, 2, 3]);
      assert.ok(await sim.clock.run(() => reader.have.count >= 4, 60_000));
      if (!known) connectGood();
      await sim.clock.run(() => false, 100);
      const piece = sim.allPieces().findLast((index) => !reader.have.has(index))!;
      evil.drips = piece;
      const start = sim.clock.now();
      reader.swarm.prioritize([piece]);
      assert.ok(await sim.clock.run(() => reader.have.has(piece), 60_000));

      assert.ok(sim.clock.now() - start < 1_000, `${sim.clock.now() - start} ms`);
    });
  }
});
