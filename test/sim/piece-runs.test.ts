import assert from 'node:assert/strict';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { BLOCK_SIZE } from '../../src/bittorrent/merkle.ts';
import { pieceAt } from '../../src/bittorrent/metainfo.ts';
import { LARGEST_BLOCK } from '../../src/bittorrent/peer-session.ts';
import { MOST_RUN_PIECES } from '../../src/bittorrent/piece-runs.ts';
import type { BlockRequest } from '../../src/bittorrent/wire/messages.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { Dice } from './dice.ts';
import { extendedHandshake, type HostilePeer, hostilePeer } from './hostile-peer.ts';
import { MemoryStorage } from './memory-storage.ts';
import { type SimPeer, Simulation } from './simulation.ts';

const MiB = 1024 * 1024;
const BOTH = { pw_block: LARGEST_BLOCK, pw_run: 1 };

interface Asker extends HostilePeer {
  /** What came, in order: `block` or `reject` and the three numbers. */
  readonly answers: string[];
  /** The same with content, of blocks. */
  readonly blocks: (BlockRequest & { readonly content: Buffer })[];
}

const text = (kind: string, { piece, begin, length }: BlockRequest): string => `${kind} ${piece}+${begin} ${length}`;

describe('runs of small pieces, as they are served', () => {
  let sim: Simulation;
  afterEach(() => sim.dispose());

  /** A peer that is served and asks for nothing by itself. `fields`: of its extended handshake. */
  async function asker(
    seed: SimPeer,
    fields: { pw_block?: number; pw_run?: number } = BOTH,
    name = 'asker',
  ): Promise<Asker> {
    const answers: string[] = [];
    const blocks: Asker['blocks'] = [];
    const peer = hostilePeer(sim, seed, name, (message) => {
      if (message.type === 'reject') answers.push(text('reject', message));
    });
    peer.onBlock = (piece, begin, content) => {
      const { length } = content;
      answers.push(text('block', { piece, begin, length }));
      blocks.push({ piece, begin, length, content });
    };
    peer.send(extendedHandshake({}, fields), { type: 'have-none' }, { type: 'interested' });
    assert.ok(await sim.clock.run(() => peer.received.some(({ type }) => type === 'unchoke'), 15_000));
    return Object.assign(peer, { answers, blocks });
  }

  /** Files of these pieces, one after the other. */
  function contentOf(first: number, count: number): Buffer {
    const { info, files } = sim.version;
    const parts: Buffer[] = [];
    for (let piece = first; piece < first + count; piece++) parts.push(files[pieceAt(info, piece).fileIndex]!);
    return Buffer.concat(parts);
  }

  const runOf = (first: number, count: number): BlockRequest => ({
    piece: first,
    begin: 0,
    length: contentOf(first, count).length,
  });

  it('are the files one after another, between blocks in the order of the requests', async () => {
    sim = new Simulation(1, [3, 0, 0, 20_000, 0, 5, 65_536, 65_537, 16_384, 16_384, 1, 2], 65_536);
    const seed = sim.addPeer('seed', 'all');
    const peer = await asker(seed);
    // Pieces: 0 to 3 are files of their own, 4 and 5 are one file, 6 to 9 again files of their own.
    const requests: BlockRequest[] = [
      runOf(0, 4),
      { piece: 3, begin: 0, length: 65_536 },
      runOf(2, 2),
      runOf(0, 2),
      { piece: 5, begin: 0, length: 1 },
      runOf(6, 4),
      runOf(8, 2),
      { piece: 1, begin: 16_384, length: 3_616 },
    ];
    for (const request of requests) peer.send({ type: 'request', ...request });
    assert.ok(await sim.clock.run(() => peer.answers.length === requests.length, 5_000), peer.answers.join());
    assert.deepEqual(
      peer.answers,
      requests.map((request) => text('block', request)),
    );
    const counts = [4, 1, 2, 2, 0, 4, 2, 0];
    for (const [index, count] of counts.entries())
      if (count > 0) assert.deepEqual(peer.blocks[index]!.content, contentOf(requests[index]!.piece, count));
    assert.ok(!peer.connection.closed);
  });

  it('of which a piece is missing are rejected, and the peer stays', async () => {
    sim = new Simulation(2, new Array<number>(10).fill(100), BLOCK_SIZE);
    const { info, files } = sim.version;
    const have = new Bitfield(info.pieceCount);
    for (const piece of sim.allPieces()) if (piece !== 5) have.add(piece);
    const seed = sim.add('seed', { storage: new MemoryStorage(info, files), have, knowsMetadata: true });
    const peer = await asker(seed);
    for (const first of [0, 3, 4, 5, 6]) peer.send({ type: 'request', ...runOf(first, 3) });
    assert.ok(await sim.clock.run(() => peer.answers.length === 5, 5_000));
    assert.deepEqual(peer.answers.toSorted(), [
      'block 0+0 300',
      'block 6+0 300',
      'reject 3+0 300',
      'reject 4+0 300',
      'reject 5+0 300',
    ]);
    assert.ok(!peer.connection.closed);
  });

  it('are rejected when they are cancelled, and others are served', async () => {
    sim = new Simulation(3, new Array<number>(200).fill(2_000), BLOCK_SIZE);
    const seed = sim.addPeer('seed', 'all', 50_000);
    const peer = await asker(seed);
    for (let first = 0; first < 200; first += 20) peer.send({ type: 'request', ...runOf(first, 20) });
    peer.send({ type: 'cancel', ...runOf(160, 20) }, { type: 'cancel', ...runOf(180, 19) });
    assert.ok(await sim.clock.run(() => peer.answers.length === 10, 30_000));
    assert.deepEqual(
      peer.answers.filter((answer) => answer.startsWith('reject')),
      ['reject 160+0 40000'],
    );
  });

  it('of stale files are rejected and told of, as blocks are', async () => {
    sim = new Simulation(4, new Array<number>(10).fill(100), BLOCK_SIZE);
    const seed = sim.addPeer('seed', 'all');
    const problems: string[] = [];
    seed.swarm.onUnreadable(({ code }) => problems.push(code));
    const peer = await asker(seed);
    seed.storage.readError = new PeerwireError('stale', 'changed');
    peer.send({ type: 'request', ...runOf(0, 5) });
    assert.ok(await sim.clock.run(() => peer.answers.length === 1, 5_000));
    assert.deepEqual(peer.answers, ['reject 0+0 500']);
    assert.deepEqual(problems, ['stale']);
    seed.storage.readError = undefined;
    peer.send({ type: 'request', ...runOf(0, 5) });
    assert.ok(await sim.clock.run(() => peer.answers.length === 2, 5_000));
    assert.equal(peer.answers[1], 'block 0+0 500');
  });

  for (const [name, request] of [
    ['a byte too few', { piece: 0, begin: 0, length: 39_999 }],
    ['a byte too many', { piece: 0, begin: 0, length: 40_001 }],
    ['not from the start', { piece: 0, begin: 1, length: 39_999 }],
    ['from the second block', { piece: 0, begin: BLOCK_SIZE, length: 40_000 }],
    ['into a file of two pieces', { piece: 5, begin: 0, length: 20_000 + 65_536 }],
    ['a file of two pieces', { piece: 6, begin: 0, length: 65_537 }],
    ['beyond the last piece', { piece: 8, begin: 0, length: 300_001 - 5 }],
    ['no such piece', { piece: 4_000, begin: 0, length: 40_000 }],
    ['more than 256 KiB', { piece: 0, begin: 0, length: LARGEST_BLOCK + 1 }],
    ['more than 128 pieces', { piece: 9, begin: 0, length: MOST_RUN_PIECES + 1 }],
    ['padding', { piece: 9, begin: 0, length: BLOCK_SIZE }],
    ['nothing', { piece: 0, begin: 0, length: 0 }],
  ] as const) {
    it(`who asks for ${name} is let go`, async () => {
      const sizes = [20_000, 20_000, 20_000, 20_000, 20_000, 20_000, 65_537, 5, ...new Array<number>(200).fill(1)];
      sim = new Simulation(5, sizes, 65_536);
      const seed = sim.addPeer('seed', 'all');
      const peer = await asker(seed);
      let reason: string | undefined;
      peer.other.onClosed = (error) => {
        reason = error?.code;
      };
      peer.send({ type: 'request', ...runOf(0, 2) });
      await sim.clock.run(() => peer.answers.length === 1, 5_000);
      assert.deepEqual(peer.answers, ['block 0+0 40000']);
      peer.send({ type: 'request', ...request });
      assert.ok(await sim.clock.run(() => peer.connection.closed, 5_000), peer.answers.join());
      assert.equal(reason, 'protocol');
    });
  }

  for (const [name, fields] of [
    ['said nothing', {}],
    ['serves larger blocks alone', { pw_block: LARGEST_BLOCK }],
    ['serves no larger blocks', { pw_run: 1 }],
    ['serves none', { pw_block: LARGEST_BLOCK, pw_run: 0 }],
  ] as const) {
    it(`do not exist for a peer that ${name}: a short one is a block and padding, a long one is an error`, async () => {
      sim = new Simulation(6, [100, 200, 300, 20_000, 20_000], BLOCK_SIZE * 2);
      const seed = sim.addPeer('seed', 'all');
      const peer = await asker(seed, fields);
      peer.send({ type: 'request', ...runOf(0, 3) });
      assert.ok(await sim.clock.run(() => peer.answers.length === 1, 5_000));
      assert.deepEqual(peer.blocks[0]!.content, Buffer.concat([contentOf(0, 1), Buffer.alloc(500)]));
      peer.send({ type: 'request', ...runOf(3, 2) });
      assert.ok(await sim.clock.run(() => peer.connection.closed, 5_000));
    });
  }

  it('keep to the rate limit', async () => {
    const rate = 200_000;
    sim = new Simulation(7, new Array<number>(1_000).fill(3_000), BLOCK_SIZE);
    const seed = sim.addPeer('seed', 'all', rate);
    const peer = await asker(seed);
    let bytes = 0;
    peer.onBlock = (_piece, _begin, content) => {
      bytes += content.length;
    };
    for (let first = 0; first < 1_000; first += 50) peer.send({ type: 'request', ...runOf(first, 50) });
    await sim.clock.run(() => false, 10_000);
    // The last may have begun early.
    const most = 10 * rate + 150_000 + rate / 2;
    assert.ok(bytes > 0.9 * 10 * rate && bytes < most, `${bytes} bytes in 10 s`);
  });

  it('of tiny files, many of them, cost little memory and few open files', async () => {
    sim = new Simulation(8, new Array<number>(256).fill(1), BLOCK_SIZE);
    const seed = sim.addPeer('seed', 'all');
    let files = 0;
    seed.storage.readAll = (reads) => {
      files += reads.length;
      return new Promise(() => {});
    };
    const peer = await asker(seed);
    const before = process.memoryUsage().arrayBuffers;
    for (let sent = 0; sent < 2_500; sent++) peer.send({ type: 'request', ...runOf(sent % 128, 128) });
    await sim.clock.run(() => false, 1_000);
    const taken = process.memoryUsage().arrayBuffers - before;
    assert.ok(taken < 16 * MiB, `${taken} bytes`);
    assert.ok(files <= 32 * 128, `${files} files`);
    // Beyond the queue's length they are rejected.
    assert.ok(peer.answers.length >= 2_500 - 2048 - 32 && peer.answers.every((answer) => answer.startsWith('reject')));
    assert.ok(!peer.connection.closed);
  });

  it('are no way to get more than others: who asks for runs shares the uplink with who asks for blocks', async () => {
    sim = new Simulation(9, [...new Array<number>(1_000).fill(500), 8 * MiB], BLOCK_SIZE);
    const { info, files } = sim.version;
    const have = new Bitfield(info.pieceCount);
    // Not complete: it does not super-seed.
    for (const piece of sim.allPieces().slice(0, -1)) have.add(piece);
    const storage = new MemoryStorage(info, files);
    const seed = sim.add('seed', { storage, have, upload: 100_000, knowsMetadata: true });
    const bytes = { runs: 0, blocks: 0 };
    for (const kind of ['runs', 'blocks'] as const) {
      const peer = await asker(seed, BOTH, kind);
      peer.onBlock = (_piece, _begin, content) => {
        bytes[kind] += content.length;
      };
      for (let index = 0; index < 400; index++) {
        if (kind === 'runs') peer.send({ type: 'request', ...runOf((index * 64) % 900, 64) });
        else peer.send({ type: 'request', piece: 1_000 + index, begin: 0, length: BLOCK_SIZE });
      }
    }
    const before = { ...bytes };
    await sim.clock.run(() => false, 20_000);
    const [runs, blocks] = [bytes.runs - before.runs, bytes.blocks - before.blocks];
    assert.ok(runs > 500_000, `${runs}`);
    assert.ok(Math.abs(runs - blocks) < 0.15 * blocks, `${runs} bytes of runs, ${blocks} of blocks`);
  });

  it('are rejected while each piece leaves a lone source about once, and small files spread all the same', async () => {
    const sizes = new Array<number>(400).fill(4_000);
    sim = new Simulation(10, sizes, BLOCK_SIZE);
    const origin = sim.addPeer('origin', 'all', 200_000);
    const peers = Array.from({ length: 4 }, (_, index) => sim.addPeer(`r${index}`, 'none'));
    for (const [index, peer] of peers.entries()) {
      sim.connect(peer, origin, { latency: 10, rate: 50_000_000 });
      for (const other of peers.slice(index + 1)) sim.connect(peer, other, { latency: 10, rate: 50_000_000 });
    }
    await sim.clock.run(() => false, 2_000);
    const asking = await asker(origin, BOTH, 'other');
    asking.send({ type: 'request', ...runOf(0, 10) });
    assert.ok(await sim.clock.run(() => asking.answers.length === 1, 5_000));
    assert.deepEqual(asking.answers, ['reject 0+0 40000']);
    asking.connection.close();
    assert.ok(await sim.clock.run(() => peers.every(({ completed }) => completed), 60_000), 'they did not complete');
    const sent = origin.swarm.accounts().reduce((sum, account) => sum + account.uploaded, 0) / sim.version.info.size;
    assert.ok(sent < 1.1, `the origin sent ${sent} times the size`);
  });

  it('are answered rightly or not at all, whatever is asked for', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const dice = new Dice(seed);
      const sizes = Array.from({ length: 60 }, () => dice.pick([0, 1, 2, 50, 1_000, 16_384, 16_385, 40_000]));
      sim = new Simulation(seed, [...sizes, 1], dice.pick([BLOCK_SIZE, 2 * BLOCK_SIZE]));
      const { info, files } = sim.version;
      const have = new Bitfield(info.pieceCount);
      for (const piece of sim.allPieces()) if (dice.chance(0.9)) have.add(piece);
      const victim = sim.add('seed', { storage: new MemoryStorage(info, files), have, knowsMetadata: true });
      for (let round = 0; round < 6; round++) {
        const peer = await asker(victim, BOTH, `asker${round}`);
        const asked: string[] = [];
        for (let count = 0; count < 40; count++) {
          const piece = dice.int(0, info.pieceCount - 1);
          const run = runOf(piece, Math.min(dice.int(1, 10), info.pieceCount - piece));
          // Nearly always something that could be right.
          const off = dice.chance(0.98) ? 0 : dice.pick([1, -1, BLOCK_SIZE, 2 ** 31]);
          const request = { piece, begin: 0, length: Math.max(0, run.length + off) };
          if (expected(request, have) === undefined && count < 30) continue;
          asked.push(text('', request));
          peer.send({ type: 'request', ...request });
          if (dice.chance(0.1)) peer.send({ type: 'cancel', ...request });
        }
        await sim.clock.run(() => peer.connection.closed || peer.answers.length === asked.length, 5_000);
        if (!peer.connection.closed) assert.equal(peer.answers.length, asked.length);
        for (const block of peer.blocks) {
          assert.ok(asked.includes(text('', block)));
          assert.deepEqual(block.content, expected(block, have), text(`seed ${seed}:`, block));
        }
        peer.connection.close();
      }
      assert.deepEqual(victim.problems, []);
      sim.dispose();
    }
  }).timeout(180_000);

  /** What may answer a request from the start of a piece; undefined when nothing may. By the words of PROTOCOL.md alone. */
  function expected({ piece, length }: BlockRequest, have: Bitfield): Buffer | undefined {
    const { info, files } = sim.version;
    if (length > LARGEST_BLOCK) return undefined;
    const parts: Buffer[] = [];
    let bytes = 0;
    for (let next = piece; next < info.pieceCount && have.has(next) && bytes < length; next++) {
      const { file, fileIndex, offset, length: pieceLength } = pieceAt(info, next);
      const content = files[fileIndex]!.subarray(offset, offset + pieceLength);
      if (next === piece && length <= pieceLength) {
        const whole = length === pieceLength || length % BLOCK_SIZE === 0 || length < BLOCK_SIZE;
        return whole ? content.subarray(0, length) : undefined;
      }
      if (file.pieceCount > 1) return undefined;
      parts.push(content);
      bytes += content.length;
    }
    return bytes === length && bytes > 0 ? Buffer.concat(parts) : undefined;
  }
});
