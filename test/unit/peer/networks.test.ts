import assert from 'node:assert/strict';
import path from 'node:path';
import { type Logger, silentLogger } from '../../../src/common/log.ts';
import { Networks } from '../../../src/peer/networks.ts';
import { NetworkTrust } from '../../../src/peer/trust/membership.ts';
import type { Identity } from '../../../src/transport/identity.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { useTempDir } from '../temp-dir.ts';
import { testPeer } from './network/support.ts';

/** Milliseconds in which one window has what another did, even if both stored something at once. */
const SOON = 11_000;

describe('networks of several windows of one device', () => {
  const temp = useTempDir();
  let clock: VirtualClock;
  let identity: Identity;
  /** What all windows keep in one place. */
  let secrets: Map<string, string>;
  let full: boolean;
  let open: Networks[];

  beforeEach(() => {
    clock = new VirtualClock();
    identity = testPeer().identity;
    secrets = new Map();
    full = false;
    open = [];
  });

  afterEach(async () => {
    await Promise.all(open.map((networks) => networks.close()));
  });

  async function window(name: string, logger: Logger = silentLogger): Promise<Networks> {
    const networks = new Networks({
      ...{ identity, self: { device: identity.device, instance: testPeer().instance } },
      ...{ deviceName: () => name, dir: path.join(temp.path, name), clock, logger, version: 'test' },
      secrets: {
        get: async (key) => secrets.get(key),
        set: async (key, value) => {
          if (full) throw new Error('The disk is full.');
          secrets.set(key, value);
        },
        delete: async (key) => void secrets.delete(key),
      },
      listenPort: () => undefined,
    });
    open.push(networks);
    await networks.start();
    return networks;
  }

  /** Resolves with true when it holds within `SOON`. */
  const soon = (holds: () => boolean): Promise<boolean> => clock.run(holds, SOON);

  /** Leaving takes a moment of its own: peers are told first. */
  async function leave(networks: Networks): Promise<void> {
    let left = false;
    const leaving = networks.leave(networks.resolve('team').trust.network).finally(() => {
      left = true;
    });
    await clock.run(() => left, SOON);
    await leaving;
  }

  async function team(): Promise<{ a: Networks; b: Networks; trusts: [NetworkTrust, NetworkTrust] }> {
    const a = await window('a');
    await a.create('team', []);
    const b = await window('b');
    return { a, b, trusts: [a.resolve('team').trust, b.resolve('team').trust] };
  }

  it('one joins what another created, and leaves what another left', async () => {
    const a = await window('a');
    const b = await window('b');
    await a.create('team', []);
    assert.ok(await soon(() => b.list().length === 1), 'it did not join');
    await leave(a);
    assert.ok(await soon(() => b.list().length === 0), 'it did not leave');
  });

  it('a network goes on as it is, however often a window looks', async () => {
    const { a, b } = await team();
    const nodes = [a, b].map((networks) => networks.resolve('team').node);
    await clock.run(() => false, SOON);
    assert.deepEqual(
      [a, b].map((networks, position) => networks.resolve('team').node === nodes[position]),
      [true, true],
    );
  });

  it('one knows whom another removed, and under what name the network goes', async () => {
    const { trusts } = await team();
    const { device } = testPeer();
    trusts[0].revoke(device);
    trusts[0].rename('crew');
    assert.ok(await soon(() => trusts[1].isRevoked(device) && trusts[1].name === 'crew'));
  });

  it('nothing is lost of what two change at once', async () => {
    const { trusts } = await team();
    const removed = [testPeer().device, testPeer().device] as const;
    for (const [position, trust] of trusts.entries()) {
      trust.revoke(removed[position]!);
      trust.createInvite({ inviterName: `window ${position}` });
    }
    const all = (trust: NetworkTrust): boolean => removed.every((device) => trust.isRevoked(device));
    assert.ok(await soon(() => trusts.every(all)), 'a window does not know it');
    await Promise.all(open.map((networks) => networks.close()));
    const later = await window('c');
    const { trust } = later.resolve('team');
    assert.ok(all(trust), 'it was not kept');
    const names = trust.invites().map(({ inviterName }) => inviterName);
    assert.deepEqual(names.filter((name) => name.startsWith('window')).sort(), ['window 0', 'window 1']);
  });

  it('what one stored is stored again when another overwrote it', async () => {
    const { trusts } = await team();
    const key = `network.${trusts[0].network}`;
    const { device } = testPeer();
    const before = secrets.get(key)!;
    trusts[0].revoke(device);
    assert.ok(await soon(() => secrets.get(key) !== before));
    secrets.set(key, before);
    const kept = (): boolean => NetworkTrust.load(identity, secrets.get(key)!, { clock }).isRevoked(device);
    assert.ok(!kept());
    assert.ok(await soon(kept), 'it is lost');
  });

  it('a window that has not heard of it yet does not bring back what another left', async () => {
    const { a, b, trusts } = await team();
    await leave(a);
    trusts[1].revoke(testPeer().device);
    assert.ok(await soon(() => b.list().length === 0), 'it goes on');
    assert.deepEqual(JSON.parse(secrets.get('networks') ?? ''), []);
    assert.deepEqual(
      [...secrets.keys()].filter((key) => key.startsWith('network.')),
      [],
    );
  });

  it('who left a network may join it again', async () => {
    const a = await window('a');
    const creator = NetworkTrust.createNetwork(testPeer().identity, 'team', [], { clock });
    const { network } = await a.join(creator.createInvite({ inviterName: 'bob' }));
    await leave(a);
    await a.join(creator.createInvite({ inviterName: 'bob' }));
    assert.deepEqual(JSON.parse(secrets.get('networks') ?? ''), [network]);
  });

  it('one that is damaged is reported once, by each window, and holds up no other', async () => {
    const { a } = await team();
    secrets.set('networks', JSON.stringify(['damaged', a.resolve('team').trust.network]));
    secrets.set('network.damaged', '{}');
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => void errors.push(message) };
    const c = await window('c', logger);
    assert.equal(c.list().length, 1);
    await clock.run(() => false, SOON);
    assert.equal(errors.length, 1, errors.join('\n'));
    assert.match(errors[0]!, /could not be loaded/);
    await c.create('second', []);
    assert.equal(c.list().length, 2);
  });

  it('what cannot be stored is not created', async () => {
    const a = await window('a');
    full = true;
    await assert.rejects(a.create('team', []), /full/);
    assert.deepEqual(a.infos(), []);
    full = false;
    await a.create('team', []);
    assert.equal(a.infos().length, 1);
  });

  it('whoever follows another out of a network hears of it', async () => {
    const { a, b, trusts } = await team();
    const left: string[] = [];
    b.onLeft((network) => left.push(network));
    await leave(a);
    assert.ok(await soon(() => left.length > 0));
    assert.deepEqual(left, [trusts[0].network]);
  });
});
