/** Several windows of one device: each has its own peer; they share the identity and the secret store. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { FileSecretStore } from '../../src/common/file-secret-store.ts';
import type { DeviceId, NetworkId } from '../../src/common/ids.ts';
import { silentLogger } from '../../src/common/log.ts';
import { Networks } from '../../src/peer/networks.ts';
import { NetworkTrust } from '../../src/peer/trust/membership.ts';
import { VirtualClock } from '../sim/virtual-clock.ts';
import { type TestPeer, testPeer } from '../unit/peer/network/support.ts';
import { useTempDir } from '../unit/temp-dir.ts';

describe('two windows of one device', () => {
  const temp = useTempDir();
  let self: TestPeer;
  /** Its own, so that time passes for the first window only. */
  let firstClock: VirtualClock;
  let windows: Networks[];
  let first: Networks;
  let second: Networks;

  beforeEach(async () => {
    self = testPeer();
    firstClock = new VirtualClock();
    windows = [];
    first = await open('first', firstClock);
    second = await open('second');
  });

  afterEach(async () => {
    for (const networks of windows) await networks.close();
  });

  async function open(name: string, clock = new VirtualClock()): Promise<Networks> {
    const networks = new Networks({
      ...{ identity: self.identity, self: { ...self, instance: testPeer().instance }, deviceName: () => 'ada' },
      ...{ secrets: secrets(), dir: path.join(temp.path, name), clock, logger: silentLogger, version: 'test' },
      listenPort: () => undefined,
    });
    windows.push(networks);
    await networks.start();
    return networks;
  }

  /** As another process would have it: nothing but the file in common. */
  function secrets(): FileSecretStore {
    return new FileSecretStore(path.join(temp.path, 'secrets'));
  }

  /** Its farewell waits for others for some time, which passes at once. */
  async function leaveFirst(network: NetworkId): Promise<void> {
    let done = false;
    const left = first.leave(network).finally(() => (done = true));
    while (!done) {
      await firstClock.run(() => done, 100);
      await setImmediate();
    }
    await left;
  }

  /** A member that has shown itself to this window. */
  function meet(networks: Networks, invite: string): DeviceId {
    const { identity } = testPeer();
    const { trust } = networks.resolve(undefined);
    const member = NetworkTrust.joinNetwork(identity, invite, { clock: firstClock });
    return trust.admit(identity.device, identity.spki, member.credentials()).member.device;
  }

  it('take over removals, names and trackers from each other', async () => {
    const { info, invite } = await first.create('team', []);
    await second.reload();
    const { trust } = second.resolve(info.network);
    const device = meet(first, invite);
    const evicted: string[] = [];
    second.onRevoked(({ devices }) => evicted.push(...devices));
    let changes = 0;
    second.onChanged(() => changes++);
    first.resolve(info.network).trust.revoke(device);
    first.resolve(info.network).trust.rename('crew');
    first.resolve(info.network).trust.setTrackers(['http://tracker.test/announce']);
    await first.reload(); // It is stored.
    await second.reload();
    assert.equal(trust.isRevoked(device), true);
    assert.deepEqual(evicted, [device]);
    assert.equal(trust.name, 'crew');
    assert.deepEqual(trust.trackers, ['http://tracker.test/announce']);
    assert.ok(changes > 0, 'is told');
  });

  it('store nothing over what the other learned', async () => {
    const { info, invite } = await first.create('team', []);
    await second.reload();
    const device = meet(first, invite);
    first.resolve(info.network).trust.revoke(device);
    await first.reload();
    // Has not looked since.
    second.resolve(info.network).trust.createInvite({ inviterName: 'ada' });
    await second.reload();
    const { trust } = (await open('third')).resolve(info.network);
    assert.equal(trust.isRevoked(device), true);
    assert.equal(trust.invites().length, 2);
  });

  it('do not bring back a network that the other left', async () => {
    const { info } = await first.create('team', []);
    await second.reload();
    const { trust } = second.resolve(info.network);
    await leaveFirst(info.network);
    trust.createInvite({ inviterName: 'ada' });
    await second.reload();
    await first.reload();
    assert.deepEqual([first.infos(), second.infos()], [[], []]);
    assert.equal(await secrets().get(`network.${info.network}`), undefined);
  });

  it('lose no network when both add one at once', async () => {
    const one = await first.create('one', []);
    const two = await second.create('two', []);
    // As it is when both read the list before either wrote it.
    await secrets().set('networks', JSON.stringify([two.info.network]));
    await first.reload();
    await second.reload();
    for (const networks of windows) {
      assert.deepEqual(
        networks
          .infos()
          .map(({ network }) => network)
          .sort(),
        [one.info.network, two.info.network].sort(),
      );
    }
  });

  it('read the rest when one network is damaged', async () => {
    const { info } = await first.create('team', []);
    await second.reload();
    await secrets().set('networks', JSON.stringify(['damaged', info.network]));
    await secrets().set('network.damaged', '{}');
    first.resolve(info.network).trust.rename('crew');
    await first.reload();
    await second.reload();
    assert.equal(second.resolve(info.network).trust.name, 'crew');
  });
});
