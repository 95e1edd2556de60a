import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { HashExchange } from '../../../src/bittorrent/hash-exchange.ts';
import { BLOCK_SIZE } from '../../../src/bittorrent/merkle.ts';
import { createInfo } from '../../../src/bittorrent/metainfo.ts';
import type { PeerSession } from '../../../src/bittorrent/peer-session.ts';
import type { Message } from '../../../src/bittorrent/wire/messages.ts';
import { seededRandom } from '../../sim/seeded-random.ts';
import { leafHashes, makeVersion } from '../../sim/test-version.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

const PIECE = 8 * BLOCK_SIZE;

/** As much of a session as hash messages need. */
function fakeSession(pieces: (piece: number) => boolean, onSend: (message: Message) => void = () => {}) {
  const sent: Message[] = [];
  const session = {
    wire: { closed: false, queued: 0 },
    has: pieces,
    send: (message: Message) => {
      sent.push(message);
      onSend(message);
    },
  };
  return { session: session as unknown as PeerSession, sent };
}

describe('HashExchange', () => {
  const { info, layers, files } = makeVersion([10 * PIECE], PIECE, seededRandom(1));
  const root = info.files[0]!.root!;
  const leavesOf = (piece: number): Buffer => leafHashes(files[0]!.subarray(piece * PIECE, (piece + 1) * PIECE));
  const leafRequest = (piece: number) =>
    ({ type: 'hash-request', root, base: 0, index: piece * 8, length: 8, proofLayers: 0 }) as const;

  it('computes leaves for one piece of a peer at a time, for four in all, and remembers them', async () => {
    const exchange = new HashExchange(new VirtualClock());
    const jobs: { piece: number; finish: () => void }[] = [];
    exchange.setSource({
      info,
      layers,
      leaves: (piece) => new Promise((resolve) => jobs.push({ piece, finish: () => resolve(leavesOf(piece)) })),
    });
    const peers = Array.from({ length: 6 }, () => fakeSession(() => true));
    for (const { session } of peers) {
      exchange.onMessage(session, leafRequest(peers.findIndex((peer) => peer.session === session)));
      exchange.onMessage(session, leafRequest(9));
    }
    assert.deepEqual(
      jobs.map(({ piece }) => piece),
      [0, 1, 2, 3],
    );
    for (const { finish } of jobs) finish();
    await new Promise((resolve) => setImmediate(resolve));
    const hashes = peers[0]!.sent.find((message) => message.type === 'hashes');
    assert.ok(hashes?.type === 'hashes' && hashes.hashes.equals(leavesOf(0)));
    exchange.onMessage(peers[5]!.session, leafRequest(3));
    assert.equal(peers[5]!.sent.at(-1)?.type, 'hashes');
    assert.equal(jobs.length, 4);
  });

  it('finds the file of a request at once, however many there are', () => {
    const many = Array.from({ length: 20_000 }, (_, index) => ({
      path: [`f${index}`],
      length: 100,
      root: randomBytes(32),
    }));
    const exchange = new HashExchange(new VirtualClock());
    const big = createInfo({ name: 'v', pieceLength: 65_536, files: many, single: false });
    exchange.setSource({ info: big, layers: new Map(), leaves: async () => undefined });
    const { session } = fakeSession(() => true);
    const start = process.cpuUsage().user;
    const unknown = {
      type: 'hash-request',
      root: randomBytes(32),
      base: 0,
      index: 0,
      length: 2,
      proofLayers: 0,
    } as const;
    for (let count = 0; count < 5_000; count++) exchange.onMessage(session, unknown);
    // A search through all files took seconds.
    assert.ok(process.cpuUsage().user - start < 500_000);
  });

  it('asks three of those that have the piece for its leaves, and takes the first right answer', async () => {
    const clock = new VirtualClock();
    const exchange = new HashExchange(clock);
    const without = fakeSession(() => false);
    const silent = [fakeSession(() => true), fakeSession(() => true)];
    const answer = (leaves: Buffer) => (message: Message) => {
      if (message.type === 'hash-request')
        queueMicrotask(() => exchange.onMessage(current!, { ...message, type: 'hashes', hashes: leaves }));
    };
    const good = fakeSession(() => true, answer(leavesOf(4)));
    const current: PeerSession | undefined = good.session;
    const spare = fakeSession(() => true);
    for (const peer of [without, ...silent, good, spare]) exchange.addSession(peer.session);
    const leaves = await exchange.fetchLeaves(info, layers, 4);
    assert.ok(leaves?.equals(leavesOf(4)));
    assert.equal(without.sent.length, 0);
    assert.equal(spare.sent.length, 0);
    // Those that did not answer come last from now on.
    await clock.run(() => false, 11_000);
    assert.ok((await exchange.fetchLeaves(info, layers, 4))?.equals(leavesOf(4)));
    assert.deepEqual(
      [good, spare, ...silent].map(({ sent }) => sent.length),
      [2, 1, 2, 1],
    );
  });

  it('asks nobody who has gone meanwhile', async () => {
    const clock = new VirtualClock();
    const exchange = new HashExchange(clock);
    const peers = Array.from({ length: 4 }, () => fakeSession(() => true));
    for (const { session } of peers) exchange.addSession(session);
    const leaves = exchange.fetchLeaves(info, layers, 4);
    // The last first: its turn comes when those before it are gone.
    for (const { session } of [...peers].reverse()) exchange.removeSession(session);
    assert.equal(await leaves, undefined);
    assert.equal(peers[3]!.sent.length, 0);
    assert.equal(clock.pending, 0);
  });
});
