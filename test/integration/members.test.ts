/** Who belongs to a network and who may say so: by real peers over real sockets, also such as were away. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { MemberInfo } from '../../src/peer/api.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { eventually, PeersHere } from './peers-here.ts';

describe('the members of a network', function () {
  this.timeout(60_000);
  let peers: PeersHere;
  let creator: OpenPeer;
  let network: string;
  let invite: string;

  beforeEach(async () => {
    peers = new PeersHere();
    creator = await peers.open('creator');
    const made = await creator.createNetwork({ name: 'team', trackers: [] });
    ({ invite } = made);
    network = made.network.network;
  });
  afterEach(() => peers.dispose());

  const deviceOf = async (peer: OpenPeer) => (await peer.status()).device;

  async function dial(peer: OpenPeer, to: OpenPeer): Promise<void> {
    const device = await deviceOf(to);
    await peer.addPeerAddress(`127.0.0.1:${(await to.status()).port}`);
    await eventually(peer, async () => (await peer.peers()).some((other) => other.device === device));
  }

  async function joined(name: string, text = invite): Promise<OpenPeer> {
    const peer = await peers.open(name);
    await peer.joinNetwork(text);
    return peer;
  }

  async function memberIn(peer: OpenPeer, name: string): Promise<MemberInfo | undefined> {
    return (await peer.members(network)).find((member) => member.name === name);
  }

  /** Until the peer says so of itself. */
  async function becomesAdmin(peer: OpenPeer): Promise<void> {
    await creator.setAdmin({ device: await deviceOf(peer) });
    await eventually(peer, async () => (await peer.networks())[0]?.admin);
  }

  it('are listed with inviter, words and what became of them, also those that never shared, and after a restart', async () => {
    const ann = await joined('ann');
    await dial(ann, creator);
    const bob = await joined('bob', await ann.createInvite({}));
    await dial(bob, creator);
    const seen = await eventually(creator, async () => {
      const member = await memberIn(creator, 'bob');
      return member?.inviterName === 'ann' ? member : undefined;
    });
    assert.deepEqual([seen.state, seen.via, seen.inviter], ['connected', 'direct', await deviceOf(ann)]);
    assert.deepEqual(seen.words, (await bob.status()).words);
    assert.ok(seen.joined !== undefined && Math.abs(Date.now() - seen.joined) < 60_000);
    const [self] = await creator.members(network);
    assert.ok(self?.self && self.creator && self.admin && self.state === 'connected' && self.inviter === undefined);

    await peers.close(bob);
    await eventually(creator, async () => (await memberIn(creator, 'bob'))?.state === 'away');
    await creator.revokeMember({ device: seen.device });
    await peers.close(creator);
    creator = await peers.open('creator');
    const later = await memberIn(creator, 'bob');
    assert.deepEqual([later?.state, later?.inviterName], ['revoked', 'ann']);
    assert.ok(later?.lastSeen !== undefined && Math.abs(Date.now() - later.lastSeen) < 60_000);
    assert.equal((await memberIn(creator, 'ann'))?.creator, false);
    // Members know who made the network, by its certificate.
    await eventually(ann, async () => (await memberIn(ann, 'creator'))?.creator);
  });

  it('are revoked by a second admin while the creator is away; it and a member of another partition hear of it', async () => {
    const [ann, bob, eve] = [await joined('ann'), await joined('bob'), await joined('eve')];
    for (const peer of [ann, bob, eve]) await dial(peer, creator);
    await assert.rejects(ann.revokeMember({ device: await deviceOf(eve) }), { code: 'permission' });
    await becomesAdmin(ann);
    // Two partitions: ann alone, and bob with eve.
    await peers.close(creator);
    await peers.close(bob);
    const again = await peers.open('bob');
    await dial(again, eve);
    await ann.revokeMember({ device: await deviceOf(eve) });
    assert.equal(
      (await again.peers()).some(({ name }) => name === 'eve'),
      true,
    );

    await dial(again, ann);
    const isGone = async (peer: OpenPeer) => (await memberIn(peer, 'eve'))?.state === 'revoked';
    await eventually(again, () => isGone(again));
    await eventually(eve, async () => (await eve.peers()).length === 0);
    creator = await peers.open('creator');
    await dial(creator, again);
    await eventually(creator, () => isGone(creator));
  });

  it('come back by a new invite when the admin who revoked them turns out to be a rogue one', async () => {
    const [ann, eve] = [await joined('ann'), await joined('eve')];
    for (const peer of [ann, eve]) await dial(peer, creator);
    await becomesAdmin(ann);
    const device = await deviceOf(eve);
    await ann.revokeMember({ device });
    const removed = await eventually(creator, async () => {
      const member = await memberIn(creator, 'eve');
      return member?.state === 'revoked' ? member : undefined;
    });
    // Who did that is to be seen.
    assert.deepEqual([removed.removedBy, removed.removedByName], [await deviceOf(ann), 'ann']);
    await eventually(eve, async () => (await eve.peers()).length === 0);
    const { back } = await creator.revokeMember({ device: await deviceOf(ann) });
    assert.deepEqual(back, [{ device, name: 'eve' }]);
    // An invite that is no good changes nothing.
    const expired = await creator.createInvite({ validFor: 1 });
    for (const made = Date.now(); Date.now() < made + 5; ) await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(eve.joinNetwork(expired), { code: 'expired' });
    assert.equal((await eve.networks()).length, 1);
    await eve.joinNetwork(await creator.createInvite({}));
    await dial(eve, creator);
    await eventually(creator, async () => (await memberIn(creator, 'eve'))?.state === 'connected');
    assert.equal((await memberIn(creator, 'ann'))?.state, 'revoked');
  });

  it('hear of a changed name and changed trackers when they come back, whoever tells them', async () => {
    const [ann, bob] = [await joined('ann'), await joined('bob')];
    for (const peer of [ann, bob]) await dial(peer, creator);
    await becomesAdmin(ann);
    await peers.close(bob);
    await assert.rejects(
      peers.open('bob').then((peer) => peer.renameNetwork({ network, name: 'mine' })),
      { code: 'permission' },
    );
    const back = peers.all.at(-1) as OpenPeer;
    await ann.renameNetwork({ network, name: 'renamed' });
    await eventually(creator, async () => (await creator.networks())[0]?.name === 'renamed');
    const trackers = ['http://127.0.0.1:9/announce'];
    await creator.setTrackers({ network, trackers });
    await eventually(ann, async () => (await ann.networks())[0]?.trackers.length === 1);
    await peers.close(creator);
    await dial(back, ann);
    const info = await eventually(back, async () => {
      const [first] = await back.networks();
      return first?.name === 'renamed' ? first : undefined;
    });
    assert.deepEqual(info.trackers, trackers);
    await peers.close(back);
    const restarted = await peers.open('bob');
    assert.deepEqual((await restarted.networks())[0]?.trackers, trackers);
  });

  it('settle on one name when two admins change it at once, apart', async () => {
    const [ann, bob] = [await joined('ann'), await joined('bob')];
    for (const peer of [ann, bob]) await dial(peer, creator);
    await becomesAdmin(ann);
    await becomesAdmin(bob);
    await peers.close(creator);
    // Never up at once, until both have spoken.
    await peers.close(bob);
    await ann.renameNetwork({ network, name: 'by ann' });
    await peers.close(ann);
    const bobAgain = await peers.open('bob');
    await bobAgain.renameNetwork({ network, name: 'by bob' });
    const annAgain = await peers.open('ann');
    const nameAt = async (peer: OpenPeer) => (await peer.networks())[0]?.name;
    assert.equal(await nameAt(annAgain), 'by ann');
    await dial(annAgain, bobAgain);
    await eventually(annAgain, async () => (await nameAt(annAgain)) === 'by bob');
    // In the order of the signed bytes, not of who heard first.
    assert.equal(await nameAt(bobAgain), 'by bob');
  });

  it('do not come by an invite that was withdrawn; who came by it before stays', async () => {
    const ann = await joined('ann');
    await dial(ann, creator);
    const text = await ann.createInvite({ validFor: 3_600_000 });
    const early = await joined('early', text);
    await dial(early, creator);
    const [made] = await ann.invites(network);
    assert.ok(made?.state === 'valid' && made.text === text && made.expires - made.created === 3_600_000);
    await assert.rejects(early.revokeInvite({ invite: made.invite }), { code: 'permission' });
    await ann.revokeInvite({ invite: made.invite });
    const withdrawn = await eventually(creator, async () =>
      (await creator.invites(network)).find(({ invite }) => invite === made.invite && invite),
    );
    assert.deepEqual([withdrawn.state, withdrawn.inviterName], ['revoked', 'ann']);
    assert.equal((await ann.invites(network))[0]?.text, undefined);

    const late = await joined('late', text);
    await late.addPeerAddress(`127.0.0.1:${(await creator.status()).port}`);
    const refused = await eventually(late, async () => {
      const [first] = await late.networks();
      return first?.problem === undefined ? undefined : first;
    });
    assert.equal(refused.peers, 0);
    assert.match(refused.problem ?? '', /refuse|removed/);
    assert.ok((await creator.peers()).some(({ name }) => name === 'early'));
    // It stays even when it comes back.
    await peers.close(early);
    await dial(await peers.open('early'), creator);
    await peers.close(ann);
    const secrets = path.join(peers.dir, 'ann', 'secrets');
    for (const name of readdirSync(secrets)) assert.ok(!readFileSync(path.join(secrets, name), 'utf8').includes(text));
  });
});
