import assert from 'node:assert/strict';
import { pieceAt } from '../../src/bittorrent/metainfo.ts';
import { LARGEST_BLOCK } from '../../src/bittorrent/peer-session.ts';
import { PieceBuffers } from '../../src/bittorrent/piece-buffers.ts';
import { type BlockRequest, encodeBlockHeader } from '../../src/bittorrent/wire/messages.ts';
import { extendedHandshake, type HostilePeer, hostilePeer } from './hostile-peer.ts';
import { type SimPeer, Simulation } from './simulation.ts';

const PIECE = 64 * 1024;
const MiB = 1024 * 1024;

type Request = BlockRequest;

/** Sizes of small files, as a project has them; now and then an empty one. */
function smallFiles(count: number): number[] {
  return Array.from({ length: count }, (_, index) => (index % 97 === 5 ? 0 : 1 + ((index * 7919) % 8192)));
}

/** What a run, or a block, holds. */
function answer(sim: Simulation, { piece, begin, length }: Request): Buffer {
  const parts: Buffer[] = [];
  for (let next = piece, left = length; left > 0; next++) {
    const { fileIndex, offset, length: pieceLength } = pieceAt(sim.version.info, next);
    const from = offset + (next === piece ? begin : 0);
    const part = sim.version.files[fileIndex]!.subarray(from, Math.min(from + left, offset + pieceLength));
    parts.push(part);
    left -= part.length;
  }
  return Buffer.concat(parts);
}

function isRun(sim: Simulation, { piece, length }: Request): boolean {
  return length > pieceAt(sim.version.info, piece).length;
}

/** A peer that has all and says that it serves runs; `onRequest` says what becomes of a request, by default it is answered. */
function server(
  sim: Simulation,
  victim: SimPeer,
  source: string,
  onRequest: (request: Request, peer: HostilePeer) => 'answer' | 'nothing' = () => 'answer',
  fields = { pw_block: LARGEST_BLOCK, pw_run: 1 },
): HostilePeer {
  const peer = hostilePeer(sim, victim, source, (message, self) => {
    if (message.type !== 'request' || onRequest(message, self) === 'nothing') return;
    self.connection.write([encodeBlockHeader(message.piece, message.begin, message.length), answer(sim, message)]);
  });
  sim.clock.setTimeout(() => {
    peer.send(extendedHandshake({}, fields), { type: 'have-all' }, { type: 'unchoke' });
  }, 10);
  return peer;
}

function requestsOf({ received }: HostilePeer): Request[] {
  return received.flatMap((message) => (message.type === 'request' ? [message] : []));
}

describe('runs of small files between our own peers', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  async function completes(receiver: SimPeer, within: number): Promise<void> {
    assert.ok(await sim.clock.run(() => receiver.completed, within), `only ${receiver.have.count} pieces`);
    assert.ok(sim.isComplete(receiver));
    assert.equal(receiver.buffers.used, 0);
  }

  it('many come in one answer', async () => {
    sim = new Simulation(1, smallFiles(4000), PIECE);
    const source = sim.addPeer('source', 'all');
    const receiver = sim.addPeer('receiver', 'none');
    const [mine] = sim.connect(receiver, source, { latency: 1, rate: 0 });
    let writes = 0;
    const write = mine.write.bind(mine);
    mine.write = (chunks, onSent) => {
      writes += chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      write(chunks, onSent);
    };
    await completes(receiver, 20_000);
    assert.equal(receiver.swarm.fetched, sim.version.info.size);
    // Requests are 17 bytes, and would be 4000; haves are 9.
    assert.ok(writes < 4000 * 9 + 6_000, `${writes} bytes`);
  });

  it('come beside large files, from several sources, each file once', async () => {
    sim = new Simulation(2, [...smallFiles(500), 3 * MiB, ...smallFiles(500), 20_000, 16_384, 16_385], PIECE);
    const receiver = sim.addPeer('receiver', 'none');
    for (const name of ['a', 'b', 'c']) sim.connect(receiver, sim.addPeer(name, 'all'), { latency: 2, rate: 5e6 });
    await completes(receiver, 30_000);
    assert.ok(receiver.swarm.fetched < sim.version.info.size * 1.1, `${receiver.swarm.fetched} bytes`);
  });

  it('are asked only of who serves them', async () => {
    for (const fields of [
      { pw_block: LARGEST_BLOCK, pw_run: 0 },
      { pw_block: 0, pw_run: 1 },
    ]) {
      sim = new Simulation(3, smallFiles(300), PIECE);
      const receiver = sim.addPeer('receiver', 'none');
      const peer = server(sim, receiver, 'standard', () => 'answer', fields);
      await completes(receiver, 10_000);
      assert.ok(requestsOf(peer).every((request) => !isRun(sim, request)));
      sim.dispose();
    }
    sim = new Simulation(3, smallFiles(300), PIECE);
    const receiver = sim.addPeer('receiver', 'none');
    const peer = server(sim, receiver, 'ours');
    await completes(receiver, 10_000);
    assert.ok(requestsOf(peer).some((request) => isRun(sim, request)));
    assert.ok(requestsOf(peer).every(({ length }) => length <= LARGEST_BLOCK));
  });

  it('who rejects them is asked for the files one by one', async () => {
    sim = new Simulation(4, smallFiles(300), PIECE);
    const receiver = sim.addPeer('receiver', 'none');
    let rejected = 0;
    server(sim, receiver, 'refuser', (request, peer) => {
      if (!isRun(sim, request)) return 'answer';
      rejected++;
      peer.send({ ...request, type: 'reject' });
      return 'nothing';
    });
    await completes(receiver, 5_000);
    assert.ok(rejected > 0 && rejected < 60, `${rejected} rejects`);
  });

  it('a wrong byte in one bans who sent it, and the file comes from another', async () => {
    sim = new Simulation(5, smallFiles(600), PIECE);
    const receiver = sim.addPeer('receiver', 'none');
    const corrupt: string[] = [];
    receiver.swarm.onCorrupt((source) => corrupt.push(source));
    let lies = 0;
    const liar = hostilePeer(sim, receiver, 'liar', (message, self) => {
      if (message.type !== 'request') return;
      const bytes = answer(sim, message);
      if (isRun(sim, message)) {
        lies++;
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      }
      self.connection.write([encodeBlockHeader(message.piece, message.begin, message.length), bytes]);
    });
    sim.clock.setTimeout(() => {
      liar.send(
        extendedHandshake({}, { pw_block: LARGEST_BLOCK, pw_run: 1 }),
        { type: 'have-all' },
        { type: 'unchoke' },
      );
    }, 10);
    await sim.clock.run(() => corrupt.length > 0, 5_000);
    assert.deepEqual(corrupt, ['liar']);
    assert.ok(lies > 0);
    assert.equal(sim.wrongPiece(receiver), undefined);
    sim.connect(receiver, sim.addPeer('honest', 'all'));
    await completes(receiver, 20_000);
  });

  for (const [what, misbehave] of [
    ['goes', (peer: HostilePeer) => peer.connection.close()],
    [
      'goes in the middle of an answer',
      (peer: HostilePeer, request: Request) => {
        const bytes = answer(sim, request);
        const header = encodeBlockHeader(request.piece, request.begin, request.length);
        peer.connection.write([header, bytes.subarray(0, bytes.length >> 1)]);
        sim.clock.setTimeout(() => peer.connection.close(), 50);
      },
    ],
    ['chokes', (peer: HostilePeer) => peer.send({ type: 'choke' })],
    ['says nothing', () => {}],
  ] as [string, (peer: HostilePeer, request: Request) => void][]) {
    it(`others are asked when who was asked ${what}`, async () => {
      sim = new Simulation(6, smallFiles(600), PIECE);
      const receiver = sim.addPeer('receiver', 'none');
      let done = false;
      server(sim, receiver, 'bad', (request, peer) => {
        if (!done && !isRun(sim, request)) return 'answer';
        done = true;
        misbehave(peer, request);
        return 'nothing';
      });
      assert.ok(await sim.clock.run(() => done, 5_000));
      sim.connect(receiver, sim.addPeer('honest', 'all'));
      await completes(receiver, 60_000);
    });
  }

  it('what somebody waits for is not held up by them', async () => {
    sim = new Simulation(7, smallFiles(2000), PIECE);
    const receiver = sim.addPeer('receiver', 'none');
    sim.connect(receiver, sim.addPeer('source', 'all'), { latency: 5, rate: 1e6 });
    await sim.clock.run(() => receiver.have.count > 100, 5_000);
    const wanted = sim
      .allPieces()
      .filter((piece) => !receiver.have.has(piece))
      .at(-1)!;
    const started = sim.clock.now();
    receiver.swarm.prioritize([wanted]);
    assert.ok(await sim.clock.run(() => receiver.have.has(wanted), 5_000));
    // As without runs: what is on its way comes first.
    assert.ok(sim.clock.now() - started < 800, `${sim.clock.now() - started} ms`);
  });

  it('of who drips are given up for what somebody waits for, when another can bring it', async () => {
    sim = new Simulation(9, [...smallFiles(300), 24 * MiB], PIECE);
    const receiver = sim.addPeer('receiver', 'none');
    let dripping: Request | undefined;
    let runs = 0;
    server(sim, receiver, 'drip', (request, peer) => {
      if (dripping) return 'nothing';
      if (!isRun(sim, request) || ++runs < 3) return 'answer';
      dripping = request;
      const bytes = answer(sim, request);
      peer.connection.write([encodeBlockHeader(request.piece, request.begin, request.length)]);
      let at = 0;
      sim.clock.setInterval(() => {
        peer.connection.write([bytes.subarray(at, at + 50)]);
        at += 50;
      }, 100);
      return 'nothing';
    });
    assert.ok(await sim.clock.run(() => dripping !== undefined, 5_000));
    // It has more to bring than anybody waits for.
    sim.connect(receiver, sim.addPeer('honest', 'all'), { latency: 5, rate: 1e6 });
    await sim.clock.run(() => receiver.swarm.fetched > 3 * MiB, 10_000);
    const wanted = dripping!.piece + 2;
    assert.ok(!receiver.have.has(wanted));
    receiver.swarm.prioritize([wanted]);
    const started = sim.clock.now();
    assert.ok(await sim.clock.run(() => receiver.have.has(wanted), 10_000), 'it waits for who drips');
    assert.ok(sim.clock.now() - started < 2_000, `${sim.clock.now() - started} ms`);
    await completes(receiver, 60_000);
  });

  it('go on at once with who choked us for a moment', async () => {
    sim = new Simulation(10, smallFiles(600), PIECE);
    const receiver = sim.addPeer('receiver', 'none');
    let mood: 'good' | 'bad' | 'good again' = 'good';
    const peer = server(sim, receiver, 'moody', (request, self) => {
      if (mood === 'good' && isRun(sim, request)) {
        mood = 'bad';
        self.send({ type: 'choke' });
        sim.clock.setTimeout(() => {
          mood = 'good again';
          self.send({ type: 'unchoke' });
        }, 300);
      }
      if (mood !== 'bad') return 'answer';
      self.send({ ...request, type: 'reject' });
      return 'nothing';
    });
    await completes(receiver, 4_000);
    assert.equal(mood, 'good again');
    // One by one they would be as many as there are files.
    assert.ok(requestsOf(peer).length < 350, `${requestsOf(peer).length} requests`);
  });

  it('fit the memory that there is', async () => {
    sim = new Simulation(8, smallFiles(2000), PIECE);
    const capacity = MiB;
    sim.buffers = new PieceBuffers(capacity);
    const receiver = sim.addPeer('receiver', 'none');
    let most = 0;
    const { take } = receiver.buffers;
    receiver.buffers.take = function (...args) {
      const buffer = take.apply(this, args);
      most = Math.max(most, this.used);
      return buffer;
    };
    sim.connect(receiver, sim.addPeer('source', 'all'), { latency: 20, rate: 0 });
    await completes(receiver, 30_000);
    assert.ok(most > LARGEST_BLOCK && most <= capacity, `${most} bytes`);
  });
});
