import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { readHandshake } from '../../../src/bittorrent/incoming-wire.ts';
import { RateLimiter } from '../../../src/bittorrent/rate-limiter.ts';
import { encodeHandshake } from '../../../src/bittorrent/wire/handshake.ts';
import { infoHashFromBytes, shareIdFromBytes } from '../../../src/common/ids.ts';
import { silentLogger } from '../../../src/common/log.ts';
import type { PeerEvent, ShareInfo } from '../../../src/peer/api.ts';
import { RootCache } from '../../../src/peer/files/root-cache.ts';
import { HashPool } from '../../../src/peer/hash-pool.ts';
import { ControlPeer } from '../../../src/peer/network/control-peer.ts';
import { Networks, type RunningNetwork } from '../../../src/peer/networks.ts';
import { type OwnShare, OwnShares } from '../../../src/peer/own-shares.ts';
import { PeerParts } from '../../../src/peer/peer-parts.ts';
import { StateStore } from '../../../src/peer/state-store.ts';
import { NetworkTrust } from '../../../src/peer/trust/membership.ts';
import { VersionStore } from '../../../src/peer/version-store.ts';
import { makeVersion } from '../../sim/test-version.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { useTempDir } from '../temp-dir.ts';
import { HASH_WORKER } from './files/hash-worker-path.ts';
import { channelPair, DEAF, optionsOf, type TestEnd } from './network/control-pair.ts';
import { type TestPeer, testPeer } from './network/support.ts';

describe('PeerParts', () => {
  const temp = useTempDir();
  let clock: VirtualClock;
  let self: TestPeer;
  let secrets: Map<string, string>;
  let pool: HashPool;
  let versions: VersionStore;
  let networks: Networks;
  let shares: OwnShares;
  let parts: PeerParts;
  let events: PeerEvent[];
  let closed: number;

  beforeEach(() => {
    clock = new VirtualClock();
    self = testPeer();
    secrets = new Map();
    events = [];
    open();
  });

  const report = (message: string): void => assert.fail(message);

  /** A peer with what is in the folder, not started yet. */
  function open(): void {
    const [dir, logger] = [temp.path, silentLogger];
    const store = new StateStore(path.join(dir, 'state'), report);
    pool = new HashPool({ workerUrl: HASH_WORKER, clock });
    versions = new VersionStore(dir, report);
    networks = new Networks({
      ...{ identity: self.identity, self, deviceName: () => 'ada', dir, clock, logger, version: 'test' },
      secrets: {
        get: async (key) => secrets.get(key),
        set: async (key, value) => void secrets.set(key, value),
        delete: async (key) => void secrets.delete(key),
      },
      listenPort: () => undefined,
    });
    shares = new OwnShares({ store, versions, pool, clock, logger });
    closed = 0;
    parts = new PeerParts({
      ...{ self, deviceName: () => 'ada', peerId: Buffer.alloc(20, 1), dir, store, versions, pool },
      ...{ cache: new RootCache(), networks, shares, clock, logger, upload: new RateLimiter(clock) },
      onClose: () => {
        closed++;
        pool.dispose();
      },
    });
    parts.onEvent((event) => events.push(event));
  }

  afterEach(async () => {
    await parts.close().catch(() => undefined);
    pool.dispose();
  });

  async function network(name: string): Promise<RunningNetwork> {
    const { info } = await networks.create(name, []);
    return networks.resolve(info.network);
  }

  function share({ trust }: RunningNetwork, name: string): Promise<OwnShare> {
    return shares.add({ network: trust.network, source: temp.file(name) });
  }

  /** What nobody here has. */
  function unknown({ trust }: RunningNetwork): ShareInfo {
    return {
      ...{ share: shareIdFromBytes(randomBytes(16)), infohash: infoHashFromBytes(randomBytes(32)) },
      ...{ network: trust.network, name: 'far.bin', kind: 'file', size: 1, files: 1, version: 1, time: 0 },
      ...{ owner: testPeer().device, ownerName: 'bob', own: false, sources: 0 },
    };
  }

  /** A connection of another member: their end and ours. */
  function incoming({ trust }: RunningNetwork, peer = testPeer()): [TestEnd, TestEnd] {
    const [theirs, ours] = channelPair(clock, { peer, host: '10.0.0.2' }, { peer: self, host: '10.0.0.1' });
    return [theirs, Object.assign(ours, { network: trust.network })];
  }

  async function accept(ours: TestEnd): Promise<void> {
    let done = false;
    const accepted = readHandshake(ours, clock)
      .then((wire) => parts.accept(ours, wire))
      .finally(() => {
        done = true;
      });
    await clock.run(() => done, 1_000);
    await accepted;
  }

  it('asks for metadata only so long, and no longer when nobody wants it', async () => {
    await parts.start(true);
    const far = unknown(await network('team'));
    const before = clock.now();
    const late = assert.rejects(parts.version(far, { wait: 3_000 }), { code: 'no-sources', message: /far\.bin/ });
    const abort = new AbortController();
    const cancelled = assert.rejects(parts.version(far, { wait: 60_000, signal: abort.signal }), { code: 'cancelled' });
    let over = false;
    void late.then(() => {
      over = true;
    });
    assert.ok(await clock.run(() => over, 10_000));
    await late;
    assert.equal(clock.now() - before, 3_000);
    abort.abort();
    await cancelled;
  });

  it('tells each network of its shares, though another cannot be told', async () => {
    await parts.start(true);
    const [broken, whole] = [await network('broken'), await network('whole')];
    broken.node.setOwn = () => {
      throw new Error('too much');
    };
    const told: string[][] = [];
    whole.node.setOwn = (entries) => void told.push(entries.map(({ name }) => name));
    events.length = 0;
    await share(whole, 'notes.txt');
    assert.deepEqual(told.at(-1), ['notes.txt']);
    const notices = new Set(events.flatMap((event) => (event.event === 'notice' ? [event.message] : [])));
    assert.deepEqual([...notices], ['Members of “broken” cannot be told what is shared: too much']);
    assert.equal(events.at(-1)?.event, 'shares');
  });

  it('goes on with what it shared, and drops versions that nothing refers to', async () => {
    await parts.start(true);
    const kept = await share(await network('team'), 'kept.txt');
    const stray = makeVersion([100], 16_384, Math.random);
    await versions.save(stray);
    await parts.close();
    open();
    await parts.start(true);
    assert.deepEqual(
      parts.index.list().map(({ name, own, sources }) => [name, own, sources]),
      [['kept.txt', true, 0]],
    );
    const onDisk = new VersionStore(temp.path, report);
    assert.equal((await onDisk.load(kept.infohash))?.info.name, 'kept.txt');
    assert.equal(await onDisk.load(stray.info.infoHash), undefined);
  });

  it('hands a connection to the control plane of its network, or to the swarm that it names', async () => {
    await parts.start(true);
    const team = await network('team');
    const { infohash } = await share(team, 'notes.txt');
    const [bob, ours] = incoming(team);
    const { controlInfoHash } = team.trust;
    const control = ControlPeer.initiate(
      bob,
      { ...optionsOf(clock, { name: 'bob', listenPort: 7001 }), controlInfoHash },
      DEAF,
    );
    await accept(ours);
    assert.ok(await clock.run(() => control.ready && team.node.directory.peers().length === 1, 1_000));

    for (const [hash, served] of [
      [Buffer.from(infohash, 'hex').subarray(0, 20), true],
      [Buffer.alloc(20, 3), false],
    ] as const) {
      const [theirs, end] = incoming(team);
      let heard = 0;
      theirs.start({ onData: ({ length }) => (heard += length), onDrain() {}, onClose() {} });
      theirs.resume();
      theirs.write([encodeHandshake({ infoHash: hash, peerId: Buffer.alloc(20, 2) })]);
      await accept(end);
      await clock.run(() => heard > 0 || theirs.closed, 1_000);
      assert.deepEqual([heard > 0, end.closed], [served, !served]);
    }
  });

  it('lets go of a member who was removed, and says so when it is this device', async () => {
    await parts.start(true);
    const team = await network('team');
    const { infohash } = await share(team, 'notes.txt');
    const bob = testPeer();
    const [theirs, ours] = incoming(team, bob);
    theirs.write([
      encodeHandshake({ infoHash: Buffer.from(infohash, 'hex').subarray(0, 20), peerId: Buffer.alloc(20, 2) }),
    ]);
    await accept(ours);
    assert.equal(ours.closed, false);
    team.trust.revoke(bob.device);
    assert.ok(await clock.run(() => ours.closed, 1_000), 'it stays connected');
    assert.ok(!events.some(({ event }) => event === 'notice'));

    const creator = NetworkTrust.createNetwork(bob.identity, 'theirs', [], { clock });
    await networks.join(creator.createInvite({ inviterName: 'bob' }));
    creator.revoke(self.device);
    networks.resolve('theirs').trust.applyRevocations(creator.revocationsBytes());
    assert.deepEqual(
      events.flatMap((event) => (event.event === 'notice' ? [event.message] : [])),
      ['This device was removed from the network “theirs”.'],
    );
  });

  it('closes once, and whatever fails meanwhile, lets go of everything', async () => {
    await parts.start(true);
    await network('team');
    networks.close = () => Promise.reject(new Error('stuck'));
    const closing = parts.close();
    assert.equal(parts.close(), closing);
    await assert.rejects(closing, /stuck/);
    assert.equal(closed, 1);
    events.length = 0;
    parts.report({ event: 'shares' });
    assert.deepEqual(events, [], 'nobody is told any more');
    networks.dispose();
  });

  it('closes its networks though what stands before them fails to close', async () => {
    await parts.start(true);
    const { trust } = await network('team');
    parts.downloads.close = () => Promise.reject(new Error('full'));
    await assert.rejects(parts.close(), /full/);
    assert.equal(networks.get(trust.network), undefined, 'the network goes on');
  });
});
