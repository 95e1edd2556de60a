import assert from 'node:assert/strict';
import { readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import { BLOCK_SIZE } from '../../src/bittorrent/merkle.ts';
import { encodeHandshake } from '../../src/bittorrent/wire/handshake.ts';
import { encodeBlockHeader } from '../../src/bittorrent/wire/messages.ts';
import { encodeMetadataMessage } from '../../src/bittorrent/wire/ut-metadata.ts';
import { extendedHandshake, hostilePeer } from './hostile-peer.ts';
import { memoryPair } from './memory-connection.ts';
import { Simulation } from './simulation.ts';

const MiB = 1024 * 1024;

describe('peers that do not play fair', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  it('who asks and never reads is not read from: answers do not pile up', async () => {
    // Metadata of some 16 KiB, and a file whose hashes are as much.
    sim = new Simulation(1, [...new Array<number>(200).fill(1), 512 * BLOCK_SIZE], BLOCK_SIZE);
    const seed = sim.addPeer('seed', 'all');
    const root = sim.version.info.files[200]!.root!;
    const kinds = {
      rejects: { type: 'request', piece: 0, begin: 0, length: BLOCK_SIZE },
      metadata: { type: 'extended', id: 1, payload: encodeMetadataMessage({ type: 'request', piece: 0 }) },
      hashes: { type: 'hash-request', root, base: 0, index: 0, length: 512, proofLayers: 8 },
    } as const;
    for (const [kind, request] of Object.entries(kinds)) {
      const peer = hostilePeer(sim, seed, kind);
      await sim.clock.run(() => false, 100);
      let queued = 0;
      const write = peer.other.write.bind(peer.other);
      let stuck: { chunks: readonly Uint8Array[]; onSent: (() => void) | undefined }[] = [];
      Object.defineProperty(peer.other, 'writableLength', { get: () => queued });
      peer.other.write = (chunks, onSent) => {
        for (const chunk of chunks) queued += chunk.length;
        stuck.push({ chunks, onSent });
      };
      const count = kind === 'rejects' ? 300_000 : 2_000;
      for (let sent = 0; sent < count; sent++) peer.send(request);
      await sim.clock.run(() => false, 3_000);
      assert.ok(queued > 2 * MiB, `${kind}: ${queued} bytes wait; the test does not fill the queue`);
      assert.ok(queued < 8 * MiB, `${kind}: ${queued} bytes wait`);
      // When it reads again it is served again.
      const before = peer.received.length;
      peer.other.write = write;
      queued = 0;
      for (const { chunks, onSent } of stuck) write(chunks, onSent);
      stuck = [];
      const all = (): boolean => peer.received.length - before >= count;
      assert.ok(await sim.clock.run(all, 10_000), `${kind}: only ${peer.received.length - before} answers`);
    }
  }).timeout(180_000);

  it('many requests for little cost little memory', async () => {
    sim = new Simulation(9, new Array<number>(2_000).fill(1), BLOCK_SIZE);
    const seed = sim.addPeer('seed', 'all');
    seed.storage.readDelay = () => new Promise(() => {});
    const peer = hostilePeer(sim, seed, 'evil');
    await sim.clock.run(() => peer.received.length > 0, 100);
    peer.send({ type: 'interested' });
    await sim.clock.run(() => peer.received.some(({ type }) => type === 'unchoke'), 15_000);
    const before = process.memoryUsage().arrayBuffers;
    for (let piece = 0; piece < 2_000; piece++) peer.send({ type: 'request', piece, begin: 0, length: 1 });
    await sim.clock.run(() => false, 100);
    const taken = process.memoryUsage().arrayBuffers - before;
    assert.ok(taken < 16 * MiB, `${taken} bytes`);
  });

  it('names of extensions that we do not know are not kept', async () => {
    sim = new Simulation(2, [1], 65_536);
    const seed = sim.addPeer('seed', 'all');
    const peer = hostilePeer(sim, seed, 'evil');
    await sim.clock.run(() => peer.received.length > 0, 1_000);
    const messages = Array.from({ length: 300 }, (_, handshake) =>
      extendedHandshake(Object.fromEntries(Array.from({ length: 250 }, (_, name) => [`x${handshake}-${name}`, 1]))),
    );
    const measure = async (): Promise<number> => {
      const start = process.cpuUsage().user;
      peer.send(...messages);
      await sim.clock.run(() => false, 100);
      return process.cpuUsage().user - start;
    };
    await measure();
    // Quadratic growth showed as seconds here.
    assert.ok((await measure()) < 1_500_000);
  }).timeout(180_000);

  it('a connection that closes between its handshake and its session is reported closed, once', async () => {
    sim = new Simulation(3, [1], 65_536);
    const seed = sim.addPeer('seed', 'all');
    const [mine, theirs] = memoryPair(sim.clock, { latency: 1, rate: 0 }, sim.random);
    mine.start({ onData() {}, onDrain() {}, onClose() {} });
    const infoHash = Buffer.from(sim.version.info.infoHash, 'hex').subarray(0, 20);
    mine.write([encodeHandshake({ infoHash, peerId: Buffer.alloc(20, 2) })]);
    let incoming: Awaited<ReturnType<typeof readHandshake>> | undefined;
    void readHandshake(theirs, sim.clock).then((read) => {
      incoming = read;
    });
    await sim.clock.run(() => incoming !== undefined, 1_000);
    theirs.close();
    await sim.clock.run(() => false, 10);
    let changes = 0;
    seed.swarm.onSessions(() => changes++);
    seed.swarm.accept(incoming!, 'gone');
    await sim.clock.run(() => false, 10);
    assert.deepEqual([...seed.swarm.connectedSources], []);
    assert.equal(changes, 2);
  });

  it('peers that take requests and send nothing cannot hold all memory', async () => {
    sim = new Simulation(4, [40 * 262_144], 262_144);
    const seed = sim.addPeer('seed', 'all');
    const victim = sim.addPeer('victim', 'none');
    for (let number = 0; number < 40; number++) {
      const peer = hostilePeer(sim, victim, `evil${number}`);
      peer.send({ type: 'have-all' }, { type: 'unchoke' });
      // Bytes are not blocks.
      sim.clock.setInterval(() => peer.send({ type: 'keep-alive' }), 5_000);
    }
    await sim.clock.run(() => false, 50);
    sim.connect(victim, seed);
    const start = sim.clock.now();
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), `only ${victim.have.count} pieces`);
    // Alone with the honest one it takes a little more than a second.
    assert.ok(sim.clock.now() - start < 3_000, `${sim.clock.now() - start} ms`);
  });

  it('a peer that withholds single blocks while it sends others does not hold the piece', async () => {
    sim = new Simulation(5, [16 * BLOCK_SIZE], 16 * BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    const content = sim.version.files[0]!;
    const evil = hostilePeer(sim, victim, 'evil', (message, peer) => {
      if (message.type !== 'request' || message.begin === 0) return;
      const { piece, begin, length } = message;
      // One block every now and then, so that it is never silent.
      sim.clock.setTimeout(
        () => peer.connection.write([encodeBlockHeader(piece, begin, length), content.subarray(begin, begin + length)]),
        (begin / BLOCK_SIZE) * 10_000,
      );
    });
    evil.send({ type: 'have-all' }, { type: 'unchoke' });
    await sim.clock.run(() => evil.received.some(({ type }) => type === 'request'), 1_000);
    // Has only this piece too, but is asked only for what is free.
    const honest = sim.addPeer('honest', 'all');
    sim.connect(victim, honest);
    assert.ok(await sim.clock.run(() => victim.completed, 70_000), 'it did not complete');
  });

  it('a peer that stops in the middle of a block is let go', async () => {
    sim = new Simulation(6, [16 * BLOCK_SIZE], 16 * BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    let first = true;
    const evil = hostilePeer(sim, victim, 'evil', (message, peer) => {
      if (message.type !== 'request' || !first) return;
      first = false;
      peer.connection.write([encodeBlockHeader(message.piece, message.begin, message.length), Buffer.alloc(100)]);
      sim.clock.setInterval(() => peer.connection.write([Buffer.alloc(1)]), 5_000);
    });
    evil.send({ type: 'have-all' }, { type: 'unchoke' });
    await sim.clock.run(() => !first, 1_000);
    sim.connect(victim, sim.addPeer('honest', 'all'));
    const start = sim.clock.now();
    assert.ok(await sim.clock.run(() => victim.completed, 70_000), 'it did not complete');
    assert.ok(sim.clock.now() - start < 3_000, `${sim.clock.now() - start} ms`);
    assert.ok(sim.isComplete(victim));
    assert.ok(await sim.clock.run(() => evil.other.closed, 60_000), 'it is still connected');
  });

  it('a peer that rejects is asked again later', async () => {
    sim = new Simulation(7, [4 * BLOCK_SIZE], BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    const content = sim.version.files[0]!;
    let served = 0;
    const peer = hostilePeer(sim, victim, 'busy', (message, self) => {
      if (message.type !== 'request') return;
      const { piece, begin, length } = message;
      if (sim.clock.now() < 5_000) self.send({ type: 'reject', piece, begin, length });
      else {
        served++;
        const at = piece * BLOCK_SIZE;
        self.connection.write([encodeBlockHeader(piece, begin, length), content.subarray(at, at + length)]);
      }
    });
    peer.send({ type: 'have-all' }, { type: 'unchoke' });
    assert.ok(await sim.clock.run(() => victim.completed, 30_000), 'it was not asked again');
    assert.equal(served, 4);
    const requests = peer.received.filter(({ type }) => type === 'request').length;
    assert.ok(requests <= 12, `${requests} requests`);
  });

  it('a flood of chokes costs little', async () => {
    sim = new Simulation(8, [4_000 * BLOCK_SIZE], BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    const peers = Array.from({ length: 8 }, (_, number) => {
      const peer = hostilePeer(sim, victim, `evil${number}`);
      peer.send({ type: 'have', piece: 0 }, { type: 'unchoke' });
      return peer;
    });
    await sim.clock.run(() => false, 500);
    const start = process.cpuUsage().user;
    for (let count = 0; count < 5_000; count++) peers[0]!.send({ type: 'choke' }, { type: 'unchoke' });
    await sim.clock.run(() => false, 100);
    const used = (process.cpuUsage().user - start) / 1000;
    assert.ok(used < 2_000, `${used} ms`);
  }).timeout(180_000);
});
