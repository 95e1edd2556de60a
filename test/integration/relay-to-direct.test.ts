/** Transfers over real sockets that begin by a relay, until one of the two can be dialled. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { SharedMemory } from '../../src/bittorrent/shared-memory.ts';
import type { Swarm } from '../../src/bittorrent/swarm.ts';
import { systemClock } from '../../src/common/clock.ts';
import { DisposableList } from '../../src/common/disposable.ts';
import { silentLogger } from '../../src/common/log.ts';
import type { MemberChannel } from '../../src/peer/network/channel.ts';
import { SwarmHub } from '../../src/peer/swarm-hub.ts';
import { NetworkTrust } from '../../src/peer/trust/membership.ts';
import { VersionStore } from '../../src/peer/version-store.ts';
import { createIdentity } from '../../src/transport/identity.ts';
import { MemoryStorage } from '../sim/memory-storage.ts';
import { hasher, makeVersion, type TestVersion } from '../sim/test-version.ts';
import { NetworkPeer, shareEntry, until } from './network-peer.ts';

const MiB = 2 ** 20;
const SIZE = 24 * MiB;
/** Bytes per second. */
const RATE = 4 * MiB;
const PIECE = 256 * 1024;
/** The largest that our peers ask for at once. */
const BLOCK = 256 * 1024;

describe('a transfer that began by a relay', function () {
  this.timeout(60_000);

  let peers: NetworkPeer[];
  let owned: DisposableList;
  let relayed: number;

  beforeEach(() => {
    peers = [];
    owned = new DisposableList();
    relayed = 0;
  });

  afterEach(async () => {
    owned.dispose();
    await Promise.all(peers.map((peer) => peer.remove()));
  });

  async function add(name: string): Promise<NetworkPeer> {
    const [creator] = peers;
    const invite = creator?.trust.createInvite({ inviterName: creator.name });
    const peer = await NetworkPeer.create(
      name,
      (identity) =>
        invite === undefined
          ? NetworkTrust.createNetwork(identity, 'lab', [])
          : NetworkTrust.joinNetwork(identity, invite),
      createIdentity(),
    );
    peers.push(peer);
    return peer;
  }

  /** The swarms of a peer, as its node has them. */
  function swarmsOf(peer: NetworkPeer, version: TestVersion, has: boolean): SwarmHub {
    const { info, layers, files } = version;
    const have = new Bitfield(info.pieceCount);
    if (has) have.fill();
    const storage = new MemoryStorage(info, has ? files : undefined);
    const hub = new SwarmHub({
      ...{ clock: systemClock, random: Math.random, logger: silentLogger, hasher, upload: peer.upload },
      self: { device: peer.identity.device, instance: peer.instance },
      peerId: randomBytes(20),
      memory: new SharedMemory(),
      versions: new VersionStore(peer.dir, () => {}),
      networkNode: () => peer.node,
      mayAccess: () => true,
      content: () => Promise.resolve(has ? { info, layers, have, storage: () => storage } : undefined),
    });
    const { network } = peer.trust;
    owned.add(hub);
    owned.add(peer.onSwarm(({ channel, incoming }) => void hub.accept(channel, incoming)));
    owned.add(peer.node.onPeersChanged(() => hub.seek()));
    owned.add(peer.node.onCataloguesChanged(() => hub.seek()));
    owned.add(peer.node.onConnectRequest((request) => void hub.dialBack(network, request.infohash, request)));
    return hub;
  }

  /** Resolves when so many pieces are there. */
  const pieces = (swarm: Swarm, have: Bitfield, count: number): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (have.count < count) return;
        subscription.dispose();
        resolve();
      };
      const subscription = swarm.onPiece(check);
      check();
    });

  for (const dialable of ['source', 'receiver'] as const) {
    it(`leaves it as soon as the ${dialable} can be dialled, and loses nothing`, async () => {
      const [cleo, ada, bob] = [await add('cleo'), await add('ada'), await add('bob')];
      cleo.tap = (chunk) => {
        relayed += chunk.length;
      };
      await cleo.start();
      for (const peer of [ada, bob]) {
        await peer.start('outbound-only');
        peer.node.addAddress(cleo.address);
      }
      const version = makeVersion([SIZE], PIECE, Math.random);
      const { info, layers } = version;
      ada.upload.setRate(RATE);
      // Half of it for what is relayed: so a good deal is always under way there.
      cleo.upload.setRate(RATE);
      const adaHub = swarmsOf(ada, version, true);
      ada.node.setOwn([shareEntry('plans.bin', { infohash: info.infoHash, size: SIZE })], []);
      await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada) && bob.shareNames(ada).length === 1);

      const bobHub = swarmsOf(bob, version, false);
      const { network } = bob.trust;
      const { swarm } = owned.add(bobHub.lease(network, info.infoHash));
      const have = new Bitfield(info.pieceCount);
      const storage = new MemoryStorage(info);
      swarm.provide({ info, layers, have, storage: () => storage });
      swarm.download(Array.from({ length: info.pieceCount }, (_, piece) => piece));
      owned.add(bobHub.keepSeeking(network, info.infoHash));
      await pieces(swarm, have, info.pieceCount / 8);
      assert.ok(relayed > SIZE / 8, 'it began by the relay');

      const listener = dialable === 'source' ? ada : bob;
      await listener.listen();
      listener.node.retryNow();
      const device = ada.identity.device;
      const isOpen = (channel: MemberChannel): boolean => channel.device === device && !channel.closed;
      await new Promise<void>((resolve) => {
        const look = (): void => {
          const byRelay = bob.channels.some((channel) => isOpen(channel) && channel.relay !== undefined);
          if (cleo.relay.sessions === 0 && !byRelay) resolve();
          else setTimeout(look, 10);
        };
        look();
      });
      const after = relayed;
      const missing = info.pieceCount - have.count;
      assert.ok(missing > info.pieceCount / 4, `only ${missing} pieces are left for the direct way`);
      await pieces(swarm, have, info.pieceCount);
      assert.equal(relayed, after, 'nothing goes by the relay any more');
      assert.ok(storage.files[0]?.equals(version.files[0] ?? Buffer.alloc(0)));
      assert.equal(swarm.fetched, SIZE);
      const serving = adaHub.get(network, info.infoHash);
      assert.equal(serving?.connectedSources.size, 1);
      // What was on its way by the relay arrived: nothing was sent again.
      const sent = serving?.accounts().reduce((sum, account) => sum + account.uploaded, 0) ?? 0;
      assert.ok(sent < SIZE + 2 * BLOCK, `${sent} bytes were sent`);
    });
  }
});
