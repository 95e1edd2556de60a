import assert from 'node:assert/strict';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import { pieceAt } from '../../src/bittorrent/metainfo.ts';
import { RETIRES_WITHIN } from '../../src/bittorrent/retiring-sessions.ts';
import { type MemoryConnection, memoryPair } from './memory-connection.ts';
import { MemoryStorage } from './memory-storage.ts';
import { type SimPeer, Simulation } from './simulation.ts';

const PIECE = 64 * 1024;
const SIZE = 20 * 2 ** 20;

describe('a connection that a better one replaces', () => {
  let sim: Simulation;
  let peers: [SimPeer, SimPeer];
  let old: [MemoryConnection, MemoryConnection];

  /** Each has the half that the other lacks; so both fetch and serve at once. */
  beforeEach(async () => {
    sim = new Simulation(5, [SIZE], PIECE);
    const half = (name: string, which: number): SimPeer => {
      const { info, files } = sim.version;
      const have = new Bitfield(info.pieceCount);
      const storage = new MemoryStorage(info);
      for (let piece = which; piece < info.pieceCount; piece += 2) {
        const { fileIndex, offset, length } = pieceAt(info, piece);
        files[fileIndex]!.copy(storage.files[fileIndex]!, offset, offset, offset + length);
        have.add(piece);
      }
      const peer = sim.add(name, { storage, have, knowsMetadata: true });
      peer.swarm.download(sim.allPieces());
      return peer;
    };
    peers = [half('ada', 0), half('bob', 1)];
    old = sim.connect(...peers, { latency: 50, rate: 300_000, window: 200_000 });
    await sim.clock.run(() => peers.every(({ swarm }) => swarm.fetched > 2 ** 20), 60_000);
  });

  afterEach(() => sim.dispose());

  function replace(): [MemoryConnection, MemoryConnection] {
    const [ada, bob] = peers;
    const pair = memoryPair(sim.clock, { latency: 5, rate: 2_000_000 }, sim.random);
    bob.swarm.initiate(pair[0], ada.name, old[1]);
    readHandshake(pair[1], sim.clock).then(
      (incoming) => ada.swarm.accept(incoming, bob.name, old[0]),
      () => assert.fail(),
    );
    return pair;
  }

  it('ends when what was asked for has come, both ways, and nothing is fetched twice', async () => {
    replace();
    const started = sim.clock.now();
    await sim.clock.run(() => old.every(({ closed }) => closed), 60_000);
    assert.ok(sim.clock.now() - started < RETIRES_WITHIN / 2, `${sim.clock.now() - started} ms`);
    assert.ok(peers.every(({ completed }) => !completed));
    await sim.clock.run(() => peers.every(({ completed }) => completed), 60_000);
    for (const peer of peers) {
      assert.ok(sim.isComplete(peer));
      assert.equal(peer.swarm.fetched, SIZE / 2);
    }
  });

  it('ends after half a minute when it brings nothing any more', async () => {
    for (const end of old) end.stalled = true;
    replace();
    const started = sim.clock.now();
    await sim.clock.run(() => old.every(({ closed }) => closed), 60_000);
    assert.ok(sim.clock.now() - started <= RETIRES_WITHIN + 2_000, `${sim.clock.now() - started} ms`);
    await sim.clock.run(() => peers.every(({ completed }) => completed), 60_000);
    assert.ok(peers.every((peer) => sim.isComplete(peer)));
  });

  it('goes on when the other one never gets ready', async () => {
    const [mine, theirs] = memoryPair(sim.clock, { latency: 5, rate: 0 }, sim.random);
    peers[1].swarm.initiate(mine, 'ada', old[1]);
    theirs.close();
    await sim.clock.run(() => peers.every(({ completed }) => completed), 120_000);
    assert.ok(peers.every((peer) => sim.isComplete(peer)));
    assert.ok(old.every(({ closed }) => !closed));
  });
});
