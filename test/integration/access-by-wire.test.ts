/** What a seeder answers to a member that asks for a share which is not for it: over the wire, by the infohash itself. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { choosePieceLength } from '../../src/bittorrent/metainfo.ts';
import type { ShareInfo } from '../../src/peer/api.ts';
import { encodeCatalogueMessage } from '../../src/peer/network/control-messages.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { LoneMember, type RawWire } from './lone-member.ts';
import { eventually, PeersHere, untilTransfer } from './peers-here.ts';
import { announceShare, headsOf } from './raw-catalogue.ts';

const MiB = 1024 * 1024;
const BLOCK = 16_384;

describe('a share with chosen members, asked for over the wire', function () {
  this.timeout(120_000);
  let peers: PeersHere;
  let owner: OpenPeer;
  let seeder: OpenPeer;
  let chosen: LoneMember;
  let other: LoneMember;
  let share: ShareInfo;

  beforeEach(async () => {
    peers = new PeersHere();
    [owner, seeder] = await Promise.all([peers.open('owner'), peers.open('seeder')]);
    const { invite } = await owner.createNetwork({ name: 'team', trackers: [] });
    await seeder.joinNetwork(invite);
    await seeder.addPeerAddress(`127.0.0.1:${(await owner.status()).port}`);
    chosen = LoneMember.join(invite);
    other = LoneMember.join(invite);
    const source = path.join(peers.dir, 'plan.bin');
    writeFileSync(source, randomBytes(4 * MiB));
    const to = [(await seeder.status()).device, chosen.device];
    share = await owner.share({ path: source, to });
    await eventually(seeder, async () => (await seeder.shares()).length === 1);
    const { id } = await seeder.download({
      share: 'plan.bin',
      destination: path.join(peers.dir, 'out'),
      onConflict: 'fail',
    });
    await untilTransfer(seeder, id, ({ state }) => state === 'done');
  });
  afterEach(async () => {
    chosen.dispose();
    other.dispose();
    await peers.dispose();
  });

  it('is there for who is chosen, at its owner and at a third who has it', async () => {
    for (const peer of [owner, seeder]) {
      assert.equal((await chosen.knock(peer, share.infohash)).answered, true);
      const raw = await chosen.open(peer, share.infohash);
      await raw.until(() => raw.messages.some(({ type }) => type === 'have-all' || type === 'bitfield'));
      raw.wire.send({ type: 'have-none' });
      raw.wire.send({ type: 'interested' });
      await raw.until(() => raw.messages.some(({ type }) => type === 'unchoke'));
      raw.wire.send({ type: 'request', piece: 0, begin: 0, length: BLOCK });
      await raw.until(() => raw.blocks.length === 1);
    }
  });

  it('is nowhere for who is not: refused as what nobody has, without a byte', async () => {
    for (const peer of [owner, seeder]) {
      const refused = await other.knock(peer, share.infohash);
      assert.deepEqual(refused, { answered: false, bytes: 0 });
      // Nothing tells it from a version that does not exist: it learns not even that this one does.
      assert.deepEqual(refused, await other.knock(peer, randomBytes(32).toString('hex')));
    }
  });

  it('is not served to who says first what it wants, without waiting for an answer', async () => {
    for (const peer of [owner, seeder]) {
      const raw = await other.open(peer, share.infohash);
      raw.wire.send({ type: 'have-none' });
      raw.wire.send({ type: 'interested' });
      raw.wire.send({ type: 'request', piece: 0, begin: 0, length: BLOCK });
      await raw.closed;
      assert.deepEqual([raw.messages, raw.extended, raw.blocks], [[], [], []]);
    }
  });

  it('is named to nobody else on the control connection, not even when asked for, by whomever', async () => {
    for (const peer of [owner, seeder]) {
      const [mine, theirs] = [await chosen.open(peer), await other.open(peer)];
      await mine.until(() => headsOf(mine).some(({ audience }) => audience !== ''));
      const limited = headsOf(mine).filter(({ audience }) => audience !== '');
      await theirs.until(() => theirs.wire.supports('pw_catalogue'));
      theirs.wire.sendExtended('pw_catalogue', encodeCatalogueMessage({ type: 'want', names: limited }));
      // Whatever it would be told comes before what it is told later.
      const marker = path.join(peers.dir, randomBytes(4).toString('hex'));
      writeFileSync(marker, marker);
      await owner.share({ path: marker });
      await untilTold(theirs, marker);
      assert.deepEqual(
        headsOf(theirs).filter(({ audience }) => audience !== ''),
        [],
      );
      assert.ok(!theirs.extended.some(({ payload }) => payload.includes('plan.bin')));
      // Nor is what is new pushed to who is connected; what is for all, and signed after it, is.
      const hidden = path.join(peers.dir, randomBytes(4).toString('hex'));
      writeFileSync(hidden, hidden);
      await owner.share({ path: hidden, to: [chosen.device, (await seeder.status()).device] });
      await untilTold(mine, hidden);
      const second = path.join(peers.dir, randomBytes(4).toString('hex'));
      writeFileSync(second, second);
      await owner.share({ path: second });
      await untilTold(theirs, second);
      assert.ok(!theirs.extended.some(({ payload }) => payload.includes(path.basename(hidden))));
      for (const raw of [mine, theirs]) raw.wire.close();
    }
  });

  it('is cut off at a third who serves it, when its owner takes a member off the list', async () => {
    const pieceLength = choosePieceLength(share.size);
    await seeder.setLimits({ upload: 64 * 1024, download: 0 });
    const raw = await chosen.open(seeder, share.infohash);
    await raw.until(() => raw.messages.some(({ type }) => type === 'have-all' || type === 'bitfield'));
    raw.wire.send({ type: 'have-none' });
    raw.wire.send({ type: 'interested' });
    await raw.until(() => raw.messages.some(({ type }) => type === 'unchoke'));
    for (let begin = 0; begin < MiB; begin += BLOCK)
      raw.wire.send({
        type: 'request',
        piece: Math.floor(begin / pieceLength),
        begin: begin % pieceLength,
        length: BLOCK,
      });
    await raw.until(() => raw.blocks.length > 0);
    await owner.setShareAccess({ share: share.share, to: [(await seeder.status()).device] });
    await raw.closed;
    assert.ok(raw.blocks.length < MiB / BLOCK);
    for (const peer of [owner, seeder])
      assert.deepEqual(await chosen.knock(peer, share.infohash), { answered: false, bytes: 0 });
  });

  it('is given to nobody by one who lists the same content for everybody', async () => {
    // `other` knows the infohash and says that it shares it with all: that opens nothing at those who have it from its owner.
    await announceShare(other, seeder, { infohash: share.infohash, name: 'mine.bin' });
    await eventually(seeder, async () => (await seeder.shares()).some(({ name }) => name === 'mine.bin'));
    assert.deepEqual(await other.knock(seeder, share.infohash), { answered: false, bytes: 0 });
  });

  it('is not closed to its audience by one who lists the same content for nobody', async () => {
    const to = [(await seeder.status()).device];
    await announceShare(other, seeder, { infohash: share.infohash, name: 'mine.bin', to });
    await eventually(seeder, async () => (await seeder.shares()).some(({ name }) => name === 'mine.bin'));
    assert.equal((await chosen.knock(seeder, share.infohash)).answered, true);
  });
});

/** Asks for every section that is named, until one lists the file. */
async function untilTold(raw: RawWire, file: string): Promise<void> {
  const asked = new Set<string>();
  await raw.until(() => {
    for (const head of headsOf(raw)) {
      if (asked.has(head.digest)) continue;
      asked.add(head.digest);
      raw.wire.sendExtended('pw_catalogue', encodeCatalogueMessage({ type: 'want', names: [head] }));
    }
    return raw.extended.some(({ payload }) => payload.includes(path.basename(file)));
  });
}
