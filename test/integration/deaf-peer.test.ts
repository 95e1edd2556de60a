/** Real sockets under a virtual clock: whoever asks for everything and reads nothing. */
import assert from 'node:assert/strict';
import type { Connection } from '../../src/bittorrent/connection.ts';
import { readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import { PeerWire } from '../../src/bittorrent/peer-wire.ts';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import { UploadScheduler } from '../../src/bittorrent/upload-scheduler.ts';
import { dial } from '../../src/transport/dial.ts';
import { Simulation } from '../sim/simulation.ts';
import { listen, newPeer, OpenNetwork } from '../unit/transport/support.ts';

const MiB = 1024 * 1024;
const BLOCK = 16_384;
/** Four connections take all of it: more than the buffers of the operating system. */
const SIZE = 32 * MiB;

describe('a device that asks for everything and reads nothing', () => {
  it('is let go after a minute, and the memory of what waited for it comes back', async () => {
    const sim = new Simulation(1, [SIZE], MiB);
    const scheduler = new UploadScheduler(sim.clock);
    sim.uplink = { scheduler, limiter: new RateLimiter(sim.clock) };
    const seed = sim.addPeer('seed', 'all');
    const network = new OpenNetwork();
    const listening = await listen([network]);
    try {
      const { port } = listening.listener;
      const dialed = await dial({ ...newPeer(), host: '127.0.0.1', port, access: network });
      const accepted = await listening.nextChannel();
      const reasons: unknown[] = [];
      const close = accepted.close.bind(accepted);
      accepted.close = (reason) => {
        reasons.push(reason?.message);
        close(reason);
      };
      // The handshake needs no virtual time, but its deadline must not pass before the bytes are here.
      const incoming = readHandshake(accepted, sim.clock);
      let asked = false;
      let gone = false;
      askAndReadNothing(sim, dialed, {
        onAsked: () => {
          asked = true;
        },
        onClose: () => {
          gone = true;
        },
      });
      seed.swarm.accept(await incoming, 'deaf/0');
      const real = Date.now();
      while (!asked || scheduler.memory === 0) {
        assert.ok(Date.now() - real < 60_000, 'nothing waits for it');
        await sim.clock.run(() => false, 10);
      }
      const start = sim.clock.now();
      assert.ok(await sim.clock.run(() => accepted.closed, 600_000), 'it is kept for ever');
      assert.ok(sim.clock.now() - start >= 60_000, `after ${sim.clock.now() - start} ms`);
      assert.equal(reasons[0], 'The peer reads nothing of what it asked for.');
      assert.equal(scheduler.memory, 0);
      assert.equal(seed.swarm.connectedSources.size, 0);
      dialed.resume();
      while (!gone) {
        assert.ok(Date.now() - real < 90_000, 'its end was not told');
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      sim.dispose();
      scheduler.dispose();
      listening.listener.dispose();
    }
  });
});

function askAndReadNothing(sim: Simulation, connection: Connection, on: { onAsked(): void; onClose(): void }): void {
  const { info } = sim.version;
  const wire = PeerWire.initiate(
    connection,
    Buffer.from(info.infoHash, 'hex').subarray(0, 20),
    { peerId: Buffer.alloc(20, 7), extensions: {} },
    {
      onReady: () => {
        wire.send({ type: 'have-none' });
        wire.send({ type: 'interested' });
      },
      onMessage: (message) => {
        if (message.type !== 'unchoke') return;
        for (let at = 0; at < SIZE; at += BLOCK)
          wire.send({ type: 'request', piece: Math.floor(at / MiB), begin: at % MiB, length: BLOCK });
        wire.pause();
        on.onAsked();
      },
      onExtendedHandshake: () => {},
      onExtended: () => {},
      onBlockStart: () => undefined,
      onBlockEnd: () => {},
      onDrain: () => {},
      onClose: on.onClose,
    },
  );
}
