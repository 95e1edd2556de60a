import assert from 'node:assert/strict';
import { BLOCK_SIZE } from '../../src/bittorrent/merkle.ts';
import { LARGEST_BLOCK } from '../../src/bittorrent/peer-session.ts';
import { encodeBlockHeader, type Message } from '../../src/bittorrent/wire/messages.ts';
import { extendedHandshake, type HostilePeer, hostilePeer } from './hostile-peer.ts';
import { type SimPeer, Simulation } from './simulation.ts';

const MiB = 1024 * 1024;

/** A peer that has all and answers every request, fast enough for the largest ones. */
function server(sim: Simulation, victim: SimPeer, largest: number | undefined): HostilePeer {
  const content = sim.version.files[0]!;
  const peer = hostilePeer(sim, victim, 'server', (message, self) => {
    if (message.type !== 'request') return;
    const { piece, begin, length } = message;
    const at = piece * sim.version.info.pieceLength + begin;
    self.connection.write([encodeBlockHeader(piece, begin, length), content.subarray(at, at + length)]);
  });
  sim.clock.setTimeout(() => {
    if (largest !== undefined) peer.send(extendedHandshake({}, { pw_block: largest }));
    peer.send({ type: 'have-all' }, { type: 'unchoke' });
  }, 10);
  return peer;
}

function lengths({ received }: HostilePeer): number[] {
  return received.flatMap((message: Message) => (message.type === 'request' ? [message.length] : []));
}

describe('larger blocks between our own peers', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  for (const [largest, expected] of [
    [undefined, BLOCK_SIZE],
    [0, BLOCK_SIZE],
    [100_000, 6 * BLOCK_SIZE],
    [2 ** 31, LARGEST_BLOCK],
  ] as const) {
    it(`a peer that serves ${largest} is asked for up to ${expected} bytes at once`, async () => {
      sim = new Simulation(1, [16 * MiB + 5], MiB);
      const victim = sim.addPeer('victim', 'none');
      const peer = server(sim, victim, largest);
      assert.ok(await sim.clock.run(() => victim.completed, 10_000), `only ${victim.have.count} pieces`);
      assert.ok(sim.isComplete(victim));
      assert.equal(Math.max(...lengths(peer)), expected);
      assert.equal(victim.swarm.fetched, sim.version.info.size);
    });
  }

  it('our own peers use them, and few requests cross the wire', async () => {
    sim = new Simulation(2, [16 * MiB], MiB);
    const source = sim.addPeer('source', 'all');
    const receiver = sim.addPeer('receiver', 'none');
    const [mine] = sim.connect(receiver, source, { latency: 1, rate: 0 });
    let sent = 0;
    const write = mine.write.bind(mine);
    mine.write = (chunks, onSent) => {
      for (const chunk of chunks) sent += chunk.length;
      write(chunks, onSent);
    };
    assert.ok(await sim.clock.run(() => receiver.completed, 10_000));
    assert.ok(sim.isComplete(receiver));
    // Block by block they would be 1024 requests of 17 bytes.
    assert.ok(sent < 5_000, `${sent} bytes`);
  });

  it('who lies in one block of a larger one is banned, and only who does', async () => {
    sim = new Simulation(4, [8 * MiB], 8 * MiB);
    const receiver = sim.addPeer('receiver', 'none');
    const liar = sim.addPeer('liar', 'all');
    // Once, in the middle of what is read and sent at once.
    let lied = 0;
    liar.storage.corrupt = (_file, _offset, view) => {
      if (lied > 0 || view.length < 4 * BLOCK_SIZE) return;
      lied = view.length;
      view[lied >> 1] = (view[lied >> 1] ?? 0) ^ 1;
    };
    const corrupt: string[] = [];
    receiver.swarm.onCorrupt((source) => corrupt.push(source));
    // Both bring parts of the only piece.
    for (const source of [sim.addPeer('honest', 'all'), liar]) sim.connect(receiver, source);
    assert.ok(await sim.clock.run(() => receiver.completed, 60_000), 'it did not complete');
    assert.ok(sim.isComplete(receiver));
    assert.ok(lied > 0);
    assert.deepEqual(corrupt, ['liar']);
    // The other blocks are kept.
    assert.equal(receiver.swarm.fetched, sim.version.info.size + BLOCK_SIZE);
  });

  it('who sends or asks for more than was agreed is let go', async () => {
    sim = new Simulation(3, [MiB], MiB);
    const seed = sim.addPeer('seed', 'all');
    const bad = [
      { begin: 0, length: LARGEST_BLOCK + BLOCK_SIZE },
      { begin: 1, length: 2 * BLOCK_SIZE },
      { begin: 0, length: 2 * BLOCK_SIZE - 1 },
      { begin: MiB - BLOCK_SIZE, length: 2 * BLOCK_SIZE },
    ];
    for (const request of bad) {
      const peer = hostilePeer(sim, seed, 'greedy');
      peer.send({ type: 'interested' });
      await sim.clock.run(() => false, 100);
      assert.ok(!peer.connection.closed);
      peer.send({ type: 'request', piece: 0, ...request });
      assert.ok(await sim.clock.run(() => peer.connection.closed, 1_000), JSON.stringify(request));
    }
    const victim = sim.addPeer('victim', 'none');
    const sender = hostilePeer(sim, victim, 'sender');
    await sim.clock.run(() => false, 100);
    sender.connection.write([encodeBlockHeader(0, 0, 2 * BLOCK_SIZE)]);
    assert.ok(await sim.clock.run(() => sender.connection.closed, 1_000), 'it may send what nobody can have asked for');
  });
});
