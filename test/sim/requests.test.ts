import assert from 'node:assert/strict';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { BLOCK_SIZE } from '../../src/bittorrent/merkle.ts';
import { PieceBuffers } from '../../src/bittorrent/piece-buffers.ts';
import { type BlockRequest, encodeBlockHeader } from '../../src/bittorrent/wire/messages.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { type HostilePeer, hostilePeer } from './hostile-peer.ts';
import { MemoryStorage } from './memory-storage.ts';
import { type SimPeer, Simulation } from './simulation.ts';
import { hasher } from './test-version.ts';

const MiB = 1024 * 1024;

describe('requests', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  /** A peer that has all of the only file and does with requests what the test says. */
  function peerThat(victim: SimPeer, name: string, onRequest: (request: BlockRequest, self: HostilePeer) => void) {
    const peer = hostilePeer(sim, victim, name, (message, self) => {
      if (message.type === 'request') onRequest(message, self);
    });
    sim.clock.setTimeout(() => peer.send({ type: 'have-all' }, { type: 'unchoke' }), 10);
    return peer;
  }

  function block({ piece, begin, length }: BlockRequest): Uint8Array[] {
    const at = piece * sim.version.info.pieceLength + begin;
    return [encodeBlockHeader(piece, begin, length), sim.version.files[0]!.subarray(at, at + length)];
  }

  it('are not answered by the end of a block that was given up: who only begins blocks is soon asked for no more', async () => {
    sim = new Simulation(1, [100], BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    let began = 0;
    peerThat(victim, 'half', ({ piece, begin, length }, self) => {
      began++;
      self.connection.write([encodeBlockHeader(piece, begin, length), Buffer.alloc(length >> 1)]);
    });
    await sim.clock.run(() => began > 0, 1_000);
    sim.connect(victim, sim.addPeer('honest', 'all'));
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
    // When it had been silent for 15 s.
    assert.ok(sim.clock.now() < 18_000, `${sim.clock.now()} ms`);
    assert.equal(began, 1);
  });

  it('are not undone by the reject that answers an earlier, cancelled one for the same', async () => {
    sim = new Simulation(2, [64 * BLOCK_SIZE], 64 * BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    // The first serves a little and then hesitates, so that what it owes is cancelled and asked of the second. That
    // refuses, and the first, asked again, rejects what was cancelled before it serves what is asked for now.
    let served = 0;
    let refused = 0;
    const waiting = new Map<number, BlockRequest>();
    const cancelled = new Set<number>();
    const first = hostilePeer(sim, victim, 'first', (message, self) => {
      if (message.type === 'cancel' && waiting.delete(message.begin)) cancelled.add(message.begin);
      if (message.type !== 'request') return;
      if (served++ < 4) {
        self.connection.write(block(message));
        return;
      }
      waiting.set(message.begin, message);
      if (refused === 0) return;
      if (cancelled.delete(message.begin)) self.send({ ...message, type: 'reject' });
      sim.clock.setTimeout(() => {
        for (const request of waiting.values()) self.connection.write(block(request));
        waiting.clear();
      }, 20);
    });
    peerThat(victim, 'second', (request, self) => {
      if (cancelled.size === 0 && refused === 0) self.connection.write(block(request));
      else {
        refused++;
        self.send({ ...request, type: 'reject' });
      }
    });
    first.send({ type: 'have-all' }, { type: 'unchoke' });
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
    assert.ok(refused > 0);
    assert.ok(sim.clock.now() < 5_000, `${sim.clock.now()} ms`);
  });

  it('fill a long fat link: 200 ms there and back at 10 MB/s', async () => {
    sim = new Simulation(3, [48 * MiB], MiB);
    sim.buffers = new PieceBuffers(64 * MiB);
    const receiver = sim.addPeer('receiver', 'none');
    sim.connect(receiver, sim.addPeer('source', 'all'), { latency: 100, rate: 10_000_000 });
    assert.ok(await sim.clock.run(() => receiver.swarm.fetched > 16 * MiB, 10_000));
    const [from, since] = [receiver.swarm.fetched, sim.clock.now()];
    assert.ok(await sim.clock.run(() => receiver.swarm.fetched > 40 * MiB, 10_000));
    const rate = ((receiver.swarm.fetched - from) * 1000) / (sim.clock.now() - since);
    assert.ok(rate > 9_000_000, `${rate} bytes per second`);
  });

  it('are never more than the peer wants to have queued', async () => {
    sim = new Simulation(4, [16 * MiB], MiB);
    const victim = sim.addPeer('victim', 'none');
    let outstanding = 0;
    let most = 0;
    peerThat(victim, 'far', (request, self) => {
      most = Math.max(most, ++outstanding);
      sim.clock.setTimeout(() => {
        outstanding--;
        self.connection.write(block(request));
      }, 1_000);
    });
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
    // It names no bound (BEP 10), so that this one is assumed; and it is fast enough to get that many.
    assert.equal(most, 250);
  });

  it('are taken over from a much slower peer by one that has nothing else to get, also in the middle of a download', async () => {
    sim = new Simulation(5, [8 * MiB], 256 * 1024);
    const { info, files } = sim.version;
    const receiver = sim.addPeer('receiver', 'none');
    const half = new Bitfield(info.pieceCount);
    for (let piece = 0; piece < 16; piece++) half.add(piece);
    const fast = sim.add('fast', { storage: new MemoryStorage(info, files), have: half, knowsMetadata: true });
    sim.connect(receiver, sim.addPeer('slow', 'all'), { latency: 5, rate: 60_000 });
    sim.connect(receiver, fast, { latency: 5, rate: 5_000_000 });
    const hasHalf = (): boolean => [...half].every((piece) => receiver.have.has(piece));
    assert.ok(await sim.clock.run(hasHalf, 60_000), 'half of it did not come');
    // The fast one needs 0.9 s, the slow one for what it is asked for at a time, more than 4 s.
    assert.ok(sim.clock.now() < 1_500, `${sim.clock.now()} ms`);
  });

  it('for a piece go to one fast peer: those of several pieces are not mixed', async () => {
    sim = new Simulation(6, [16 * MiB], 512 * 1024);
    const victim = sim.addPeer('victim', 'none');
    const askedFor = new Map<number, Set<string>>();
    for (const name of ['one', 'two'])
      peerThat(victim, name, (request, self) => {
        askedFor.set(request.piece, (askedFor.get(request.piece) ?? new Set()).add(name));
        sim.clock.setTimeout(() => self.connection.write(block(request)), 20);
      });
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
    const mixed = [...askedFor.values()].filter(({ size }) => size > 1).length;
    // Those that were begun before it was known how fast the peers are, and the last.
    assert.ok(mixed <= 4, `${mixed} of ${askedFor.size} pieces`);
  });

  it('in the endgame go to another peer too, and what that brings is cancelled', async () => {
    sim = new Simulation(7, [32 * BLOCK_SIZE], 32 * BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    // It serves but a part of what it was asked for; the other was never tried.
    const withheld = new Set<number>();
    let again = 0;
    const first = peerThat(victim, 'first', (request, self) => {
      if (request.begin < 28 * BLOCK_SIZE) self.connection.write(block(request));
      else withheld.add(request.begin);
    });
    await sim.clock.run(() => withheld.size > 0, 1_000);
    const cancels = (): number[] =>
      first.received.flatMap((message) => (message.type === 'cancel' ? [message.begin] : []));
    const served: number[] = [];
    peerThat(victim, 'second', (request, self) => {
      sim.clock.setTimeout(() => {
        assert.deepEqual(cancels(), served, 'each as soon as it came from elsewhere');
        served.push(request.begin);
        self.connection.write(block(request));
      }, 200 * ++again);
    });
    assert.ok(await sim.clock.run(() => victim.completed, 10_000), 'it did not complete');
    assert.ok(sim.clock.now() < 2_000, `${sim.clock.now()} ms`);
    assert.deepEqual(served.sort(), [...withheld].sort());
    assert.equal(victim.swarm.fetched, sim.version.info.size);
  });

  it('that are passed over are asked of others after a while, also in the middle of a download', async () => {
    sim = new Simulation(8, [8 * MiB], 256 * 1024);
    const victim = sim.addPeer('victim', 'none');
    let withheld: BlockRequest | undefined;
    const evil = peerThat(victim, 'evil', (request, self) => {
      withheld ??= request;
      if (request !== withheld) sim.clock.setTimeout(() => self.connection.write(block(request)), 1_000);
    });
    await sim.clock.run(() => withheld !== undefined, 1_000);
    sim.clock.setTimeout(() => evil.send({ type: 'choke' }), 3_000);
    sim.clock.setInterval(() => evil.send({ type: 'unchoke' }, { type: 'choke' }), 9_000);
    sim.connect(victim, sim.addPeer('honest', 'all'), { latency: 5, rate: 80_000 });
    const isLate = (): boolean => evil.received.some(({ type }) => type === 'cancel');
    assert.ok(await sim.clock.run(isLate, 60_000), 'it was not given up');
    assert.ok(sim.clock.now() > 40_000 && !victim.completed, `${sim.clock.now()} ms`);
  });

  it('that an only source is slow to answer stay there, and are sent once', async () => {
    sim = new Simulation(11, [6 * BLOCK_SIZE], 2 * BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    const asked: BlockRequest[] = [];
    // As one that serves many in turns.
    const slow = peerThat(victim, 'slow', (request, self) => {
      asked.push(request);
      sim.clock.setTimeout(() => self.connection.write(block(request)), 35_000);
    });
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
    assert.ok(!slow.received.some(({ type }) => type === 'cancel'));
    assert.equal(asked.length, 6);
    assert.equal(victim.swarm.fetched, sim.version.info.size);
  });

  it('that an only source passes over are cancelled, and what it answers to that is taken', async () => {
    sim = new Simulation(12, [64 * BLOCK_SIZE], BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    const waiting: BlockRequest[] = [];
    const source = hostilePeer(sim, victim, 'source', (message, self) => {
      if (message.type === 'request') waiting.push(message);
      if (message.type !== 'cancel') return;
      const at = waiting.findIndex(({ piece }) => piece === message.piece);
      for (const request of waiting.splice(at, at < 0 ? 0 : 1)) self.connection.write(block(request));
    });
    // The first two come to be the oldest.
    sim.clock.setInterval(() => {
      for (const request of waiting.splice(2, 1)) source.connection.write(block(request));
    }, 1_000);
    source.send({ type: 'have-all' }, { type: 'unchoke' });
    const cancels = (): number => source.received.filter(({ type }) => type === 'cancel').length;
    assert.ok(await sim.clock.run(() => cancels() > 0, 60_000), 'nothing was cancelled');
    assert.ok(sim.clock.now() > 44_000 && !victim.completed, `${sim.clock.now()} ms`);
    assert.ok(await sim.clock.run(() => victim.completed, 120_000), 'it did not complete');
    await sim.clock.run(() => false, 20_000);
    assert.equal(victim.swarm.fetched, sim.version.info.size);
  });

  it('that an only source forgot are asked for again in the end', async () => {
    sim = new Simulation(13, [64 * BLOCK_SIZE], BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    let forgotten = 0;
    peerThat(victim, 'source', (request, self) => {
      if (forgotten < 2) forgotten++;
      else self.connection.write(block(request));
    });
    assert.ok(await sim.clock.run(() => victim.completed, 120_000), 'it did not complete');
    assert.ok(sim.clock.now() < 80_000, `${sim.clock.now()} ms`);
  });

  it('to an only source that is silent are given up when another swarm wants the memory', async () => {
    const cancelledAt = async (othersWait: boolean): Promise<number> => {
      sim = new Simulation(14, [4 * MiB], 65_536);
      sim.buffers = new PieceBuffers(2 * 65_536);
      const stuck = sim.addPeer('stuck', 'none');
      const silent = peerThat(stuck, 'silent', () => {});
      await sim.clock.run(() => stuck.buffers.used > 0, 1_000);
      // So slow that it waits for memory all the time.
      if (othersWait)
        sim.connect(sim.addPeer('other', 'none'), sim.addPeer('source', 'all'), { latency: 5, rate: 50_000 });
      await sim.clock.run(() => silent.received.some(({ type }) => type === 'cancel'), 60_000);
      sim.dispose();
      return sim.clock.now();
    };
    const wanted = await cancelledAt(true);
    assert.ok(wanted > 15_000 && wanted < 18_000, `${wanted} ms`);
    const unwanted = await cancelledAt(false);
    assert.ok(unwanted > 45_000, `${unwanted} ms`);
  });

  it('that stay unanswered for four seconds are reported, and only such connections are closed as silent', async () => {
    sim = new Simulation(15, [16 * MiB], 65_536);
    const victim = sim.addPeer('victim', 'none');
    peerThat(victim, 'silent', () => {});
    sim.connect(sim.addPeer('source', 'all'), victim, { latency: 5, rate: 500_000 });
    await sim.clock.run(() => victim.quiet.size > 0, 3000);
    assert.deepEqual([...victim.quiet], []);
    assert.ok(await sim.clock.run(() => victim.quiet.size > 0, 3000));
    assert.deepEqual([...victim.quiet], ['silent']);
    for (const source of ['silent', 'source'])
      victim.swarm.disconnect(source, new PeerwireError('timeout', 'It does not answer.'), 3000);
    await sim.clock.run(() => victim.swarm.connectedSources.size < 2, 100);
    assert.deepEqual([...victim.swarm.connectedSources], ['source']);
  });

  it('that were refused by a choke go to others before anything new, and again to who chokes no more', async () => {
    sim = new Simulation(16, [32 * MiB], 4 * MiB);
    sim.buffers = new PieceBuffers(32 * MiB);
    const victim = sim.addPeer('victim', 'none');
    let mood: 'good' | 'choking' | 'good again' = 'good';
    const begun = new Set<number>();
    const again = new Set<number>();
    let held: BlockRequest[] = [];
    const moody = peerThat(victim, 'moody', (request, self) => {
      if (mood === 'good again' && begun.has(request.piece)) again.add(request.piece);
      if (mood === 'good' && victim.swarm.fetched > 5 * MiB) held.push(request);
      else self.connection.write(block(request));
    });
    assert.ok(await sim.clock.run(() => held.length > 16, 5_000));
    for (const { piece } of held) begun.add(piece);
    const others: number[] = [];
    peerThat(victim, 'other', (request, self) => {
      others.push(request.piece);
      sim.clock.setTimeout(() => self.connection.write(block(request)), 100);
    });
    mood = 'choking';
    moody.send({ type: 'choke' }, ...held.map((request) => ({ ...request, type: 'reject' }) as const));
    held = [];
    assert.ok(await sim.clock.run(() => others.length >= 16, 2_000));
    for (const piece of others.slice(0, 16)) assert.ok(begun.has(piece), `${piece} is new`);
    mood = 'good again';
    moody.send({ type: 'unchoke' });
    assert.ok(await sim.clock.run(() => again.size > 0, 1_000), 'it is kept from them');
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
  });

  it('that we cancelled are no fault of a peer that rejects them: it is asked for the same again at once', async () => {
    sim = new Simulation(17, [2 * MiB], 256 * 1024);
    const victim = sim.addPeer('victim', 'none');
    const waiting: BlockRequest[] = [];
    let rejected = 0;
    const source = hostilePeer(sim, victim, 'source', (message, self) => {
      if (message.type === 'request') waiting.push(message);
      if (message.type !== 'cancel') return;
      const at = waiting.findIndex(({ piece, begin }) => piece === message.piece && begin === message.begin);
      if (at < 0) return;
      waiting.splice(at, 1);
      rejected++;
      self.send({ ...message, type: 'reject' });
    });
    sim.clock.setInterval(() => {
      const next = waiting.shift();
      if (next) source.connection.write(block(next));
    }, 20);
    source.send({ type: 'have-all' }, { type: 'unchoke' });
    assert.ok(await sim.clock.run(() => victim.swarm.fetched > MiB, 10_000));
    // What is in front of this is cancelled.
    victim.swarm.prioritize([
      sim.allPieces().find((piece) => !waiting.some((request) => request.piece === piece) && !victim.have.has(piece))!,
    ]);
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
    assert.ok(rejected > 0, 'nothing was cancelled');
    // 128 blocks of 20 ms each; a peer that refuses of itself is not asked for the piece again for 10 s.
    assert.ok(sim.clock.now() < 5_000, `${sim.clock.now()} ms`);
  });

  it('are thought about once for all that happens at one moment', async () => {
    sim = new Simulation(15, new Array<number>(64).fill(BLOCK_SIZE), BLOCK_SIZE);
    sim.buffers = new PieceBuffers(8 * BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    const asked: BlockRequest[] = [];
    const first = peerThat(victim, 'first', (request) => asked.push(request));
    assert.ok(await sim.clock.run(() => asked.length === 8, 1_000), `${asked.length} requests fill the memory`);
    let others = 0;
    for (let number = 0; number < 40; number++) peerThat(victim, `other${number}`, () => others++);
    await sim.clock.run(() => false, 100);
    assert.equal(others, 0);
    let looks = 0;
    const { fits } = victim.buffers;
    victim.buffers.fits = function (...args) {
      looks++;
      return fits.apply(this, args);
    };
    first.send(...asked.map((request) => ({ ...request, type: 'reject' }) as const));
    await sim.clock.run(() => others > 0, 1_000);
    // Each of the rejects concerns each of the peers; and what memory comes free is taken.
    assert.ok(looks < 40 * 4, `memory was looked for ${looks} times`);
  });

  it('go on after hashing failed once', async () => {
    sim = new Simulation(9, [4 * MiB], 512 * 1024);
    const { info } = sim.version;
    let hashed = 0;
    const receiver = sim.add('receiver', {
      storage: new MemoryStorage(info),
      have: new Bitfield(info.pieceCount),
      knowsMetadata: true,
      hasher: {
        ...hasher,
        hashBlocks: async (data, offset, length) => {
          if (++hashed === 3) throw new PeerwireError('internal', 'The worker died.');
          return await hasher.hashBlocks(data, offset, length);
        },
      },
    });
    receiver.swarm.download(sim.allPieces());
    sim.connect(receiver, sim.addPeer('source', 'all'));
    assert.ok(await sim.clock.run(() => receiver.problems.length > 0, 10_000), 'nobody was told');
    receiver.swarm.resume();
    assert.ok(await sim.clock.run(() => receiver.completed, 10_000), 'it did not complete');
    assert.equal(hashed, info.pieceCount + 1);
    assert.ok(sim.isComplete(receiver));
  });

  it('for the only piece that memory has room for go to who answers soonest', async () => {
    sim = new Simulation(9, new Array(60).fill(1000), BLOCK_SIZE);
    sim.buffers = new PieceBuffers(BLOCK_SIZE);
    const victim = sim.addPeer('victim', 'none');
    sim.buffers = undefined;
    // The far one first: whoever has been there longest would get the memory each time it comes free.
    sim.connect(victim, sim.addPeer('far', 'all'), { latency: 100, rate: 1_000_000 });
    await sim.clock.run(() => victim.have.count > 0, 5_000);
    sim.connect(victim, sim.addPeer('near', 'all'), { latency: 1, rate: 1_000_000 });
    assert.ok(await sim.clock.run(() => victim.completed, 60_000), 'it did not complete');
    // Sixty ways to the far one and back would take 12 s.
    assert.ok(sim.clock.now() < 5_000, `${sim.clock.now()} ms`);
  });

  it('for many tiny files cost no more each than those for few', async () => {
    const cost = async (count: number): Promise<number> => {
      sim = new Simulation(10, new Array<number>(count).fill(10), BLOCK_SIZE);
      const receiver = sim.addPeer('receiver', 'none');
      receiver.storage.delay = undefined;
      sim.connect(receiver, sim.addPeer('source', 'all'), { latency: 5, rate: 0 });
      const before = process.cpuUsage();
      assert.ok(await sim.clock.run(() => receiver.completed, 600_000), 'it did not complete');
      const { user, system } = process.cpuUsage(before);
      sim.dispose();
      return (user + system) / count;
    };
    await cost(1_000);
    const few = await cost(2_500);
    const many = await cost(20_000);
    assert.ok(many < 3 * few, `${few} µs each for 2,500 files, ${many} for 20,000`);
  }).timeout(180_000);
});
