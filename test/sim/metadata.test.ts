import assert from 'node:assert/strict';
import type { Message } from '../../src/bittorrent/wire/messages.ts';
import { decodeMetadataMessage, encodeMetadataMessage } from '../../src/bittorrent/wire/ut-metadata.ts';
import { extendedHandshake, type HostilePeer, hostilePeer, METADATA_ID } from './hostile-peer.ts';
import { Simulation } from './simulation.ts';

describe('metadata exchange', () => {
  let sim: Simulation;
  afterEach(async () => {
    sim.dispose();
    for (const connection of sim.connections) connection.close();
    await sim.clock.run(() => false, 0);
  });

  const requests = ({ received }: HostilePeer): number[] =>
    received.flatMap((message: Message) => {
      const decoded = message.type === 'extended' ? decodeMetadataMessage(message.payload) : undefined;
      return decoded?.type === 'request' ? [decoded.piece] : [];
    });

  it('a peer that announces metadata and never sends it is passed over, also when it announces again', async () => {
    sim = new Simulation(1, [100], 65_536);
    const seed = sim.addPeer('seed', 'all');
    const newcomer = sim.addNewcomer('newcomer');
    const evil = hostilePeer(sim, newcomer, 'evil');
    const announce = (): void => evil.send(extendedHandshake({ ut_metadata: METADATA_ID }, { metadata_size: 1_000 }));
    announce();
    sim.clock.setInterval(announce, 500);
    await sim.clock.run(() => requests(evil).length > 0, 1_000);
    sim.connect(newcomer, seed);
    assert.ok(await sim.clock.run(() => newcomer.swarm.info !== undefined, 20_000), 'it waits for ever');
  });

  it('a peer that rejected is asked again when nobody else is left', async () => {
    sim = new Simulation(2, [100], 65_536);
    const newcomer = sim.addNewcomer('newcomer');
    const { bytes } = sim.version.info;
    const peer = hostilePeer(sim, newcomer, 'late', (message, self) => {
      if (message.type !== 'extended') return;
      const payload =
        sim.clock.now() < 3_000
          ? encodeMetadataMessage({ type: 'reject', piece: 0 })
          : encodeMetadataMessage({ type: 'data', piece: 0, totalSize: bytes.length, data: bytes });
      self.send({ type: 'extended', id: 1, payload });
    });
    peer.send(extendedHandshake({ ut_metadata: METADATA_ID }, { metadata_size: bytes.length }));
    assert.ok(await sim.clock.run(() => newcomer.swarm.info !== undefined, 20_000), 'it was not asked again');
    assert.ok(requests(peer).length < 5, 'it is asked all the time');
  });

  it('metadata known from disk is announced to peers that are connected already, served, and not fetched', async () => {
    sim = new Simulation(3, [100], 65_536);
    const keeper = sim.addNewcomer('keeper');
    const newcomer = sim.addNewcomer('newcomer');
    sim.connect(newcomer, keeper);
    const evil = hostilePeer(sim, keeper, 'evil');
    await sim.clock.run(() => keeper.swarm.connectedSources.size === 2, 1_000);
    await sim.clock.run(() => false, 1_000);
    const { info, layers } = sim.version;
    keeper.swarm.provide({ info, layers, have: keeper.have, storage: () => keeper.storage });
    evil.send(extendedHandshake({ ut_metadata: METADATA_ID }, { metadata_size: 1_000 }));
    assert.ok(await sim.clock.run(() => newcomer.swarm.info !== undefined, 2_000), 'nobody told it');
    assert.deepEqual(requests(evil), []);
  });

  it('a peer without the extension, or with more metadata than there can be, is not asked', async () => {
    sim = new Simulation(4, [100], 65_536);
    const newcomer = sim.addNewcomer('newcomer');
    const huge = hostilePeer(sim, newcomer, 'huge');
    huge.send(extendedHandshake({ ut_metadata: METADATA_ID }, { metadata_size: 17 * 1024 * 1024 }));
    const mute = hostilePeer(sim, newcomer, 'mute');
    await sim.clock.run(() => mute.received.length > 0, 1_000);
    mute.send(extendedHandshake({ ut_metadata: 0 }, { metadata_size: 1_000 }));
    await sim.clock.run(() => false, 1_000);
    sim.connect(newcomer, sim.addPeer('seed', 'all'));
    // Waiting for either would have taken seconds.
    assert.ok(await sim.clock.run(() => newcomer.swarm.info !== undefined, 1_000));
    assert.deepEqual(requests(huge), []);
  });
});
