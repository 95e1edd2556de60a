import assert from 'node:assert/strict';
import { BLOCK_SIZE } from '../../src/bittorrent/merkle.ts';
import { type BlockRequest, encodeBlockHeader } from '../../src/bittorrent/wire/messages.ts';
import { type HostilePeer, hostilePeer } from './hostile-peer.ts';
import { type SimPeer, Simulation } from './simulation.ts';

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
});
