/** Who may have a share: limited to chosen members, and changed while it is out. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ShareInfo } from '../../src/peer/api.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { eventually, PeersHere, untilTransfer } from './peers-here.ts';

const MiB = 1024 * 1024;

describe('access to a share', function () {
  this.timeout(120_000);
  let peers: PeersHere;
  let ann: OpenPeer;
  let ben: OpenPeer;
  let cleo: OpenPeer;

  beforeEach(async () => {
    peers = new PeersHere();
    [ann, ben, cleo] = await Promise.all([peers.open('ann'), peers.open('ben'), peers.open('cleo')]);
    const { invite } = await ann.createNetwork({ name: 'team', trackers: [] });
    for (const peer of [ben, cleo]) {
      await peer.joinNetwork(invite);
      await peer.addPeerAddress(`127.0.0.1:${(await ann.status()).port}`);
    }
    // Everybody knows everybody: what one may not have is not to be had from another either.
    await Promise.all([ann, ben, cleo].map((peer) => eventually(peer, async () => (await peer.peers()).length === 2)));
  });
  afterEach(() => peers.dispose());

  const device = async (peer: OpenPeer) => (await peer.status()).device;
  const seen = (peer: OpenPeer, name: string): Promise<ShareInfo> =>
    eventually(peer, async () => (await peer.shares()).find((share) => share.name === name));
  const gone = (peer: OpenPeer, name: string): Promise<boolean> =>
    eventually(peer, async () => !(await peer.shares()).some((share) => share.name === name));

  function file(name: string, size: number): { source: string; content: Buffer } {
    const source = path.join(peers.dir, name);
    const content = randomBytes(size);
    writeFileSync(source, content);
    return { source, content };
  }

  it('is cut off in the middle of a download when it is limited to others', async () => {
    const { source } = file('plan.bin', 8 * MiB);
    await ann.setLimits({ upload: MiB / 2, download: 0 });
    await ann.share({ path: source });
    await seen(cleo, 'plan.bin');
    const out = path.join(peers.dir, 'out');
    const { id } = await cleo.download({ share: 'plan.bin', destination: out, onConflict: 'fail' });
    await untilTransfer(cleo, id, ({ done }) => done > 0);

    const limited = await ann.setShareAccess({ share: 'plan.bin', to: [await device(ben)] });
    assert.deepEqual(limited.to, [await device(ben)]);
    // It has pieces, and nobody to ask for more.
    const stopped = await untilTransfer(cleo, id, ({ state }) => state === 'waiting');
    assert.ok(stopped.done < stopped.size);
    await gone(cleo, 'plan.bin');
    assert.ok(!existsSync(path.join(out, 'plan.bin')));
  });

  it('is kept from those it excludes by whoever has it, and given again when it is opened again', async () => {
    const { source, content } = file('notes.bin', MiB);
    const { version, infohash } = await ann.share({ path: source, message: 'for all', to: [await device(ben)] });
    await seen(ben, 'notes.bin');
    const out = path.join(peers.dir, 'ben-out');
    const { id } = await ben.download({ share: 'notes.bin', destination: out, onConflict: 'fail' });
    await untilTransfer(ben, id, ({ state }) => state === 'done');
    assert.deepEqual(await cleo.shares(), []);

    const open = await ann.setShareAccess({ share: 'notes.bin' });
    // Nothing was hashed again, nothing else changed.
    assert.deepEqual([open.version, open.infohash, open.message, open.to], [version, infohash, 'for all', undefined]);
    await seen(cleo, 'notes.bin');
    await ann.setShareAccess({ share: 'notes.bin', to: [await device(ben)] });
    await gone(cleo, 'notes.bin');
    await ann.setShareAccess({ share: 'notes.bin', to: [] });
    await seen(cleo, 'notes.bin');
    const got = path.join(peers.dir, 'cleo-out');
    const transfer = await cleo.download({ share: 'notes.bin', destination: got, onConflict: 'fail' });
    await untilTransfer(cleo, transfer.id, ({ state }) => state === 'done');
    assert.ok(readFileSync(path.join(got, 'notes.bin')).equals(content));
  });

  it('is meant for the device of an id, not for a member that takes the id for its name', async () => {
    const { source } = file('secret-plan.bin', 1000);
    await cleo.setDeviceName(await device(ben));
    await eventually(ann, async () => (await ann.peers()).some(({ name, words }) => name.length > 40 && words));
    const { to } = await ann.share({ path: source, to: [await device(ben)] });
    assert.deepEqual(to, [await device(ben)]);
    await assert.rejects(ann.share({ path: source, to: ['nobody'] }), { code: 'not-found' });
  });

  it('is changed by its owner only', async () => {
    const { source } = file('own.bin', 1000);
    await ann.share({ path: source });
    await seen(ben, 'own.bin');
    await assert.rejects(ben.setShareAccess({ share: 'own.bin' }), { code: 'not-found' });
  });
});
