/** What becomes of a member that is revoked: by real peers over real sockets, also one that does not want to hear of it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Connection } from '../../src/bittorrent/connection.ts';
import { choosePieceLength } from '../../src/bittorrent/metainfo.ts';
import { encodeHandshake } from '../../src/bittorrent/wire/handshake.ts';
import type { ShareInfo } from '../../src/peer/api.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { LoneMember, type RawWire } from './lone-member.ts';
import { eventually, PeersHere, untilTransfer } from './peers-here.ts';
import { TcpCable } from './tcp-cable.ts';

const MiB = 1024 * 1024;
const BLOCK = 16_384;
/** Milliseconds after which nobody who is connected may send the revoked anything any more. */
const IN_TIME = 2000;

describe('a revoked member', function () {
  this.timeout(120_000);
  let peers: PeersHere;
  let creator: OpenPeer;
  let seeder: OpenPeer;
  let invite: string;
  const lone: LoneMember[] = [];
  const cables: TcpCable[] = [];

  beforeEach(async () => {
    peers = new PeersHere();
    creator = await peers.open('creator');
    ({ invite } = await creator.createNetwork({ name: 'team', trackers: [] }));
  });
  afterEach(async () => {
    for (const member of lone.splice(0)) member.dispose();
    for (const cable of cables.splice(0)) cable.dispose();
    await peers.dispose();
  });

  const addressOf = async (peer: OpenPeer): Promise<string> => `127.0.0.1:${(await peer.status()).port}`;
  const deviceOf = async (peer: OpenPeer) => (await peer.status()).device;

  async function joined(name: string, port: number | 'none' = 0): Promise<OpenPeer> {
    const peer = await peers.open(name, port);
    await peer.joinNetwork(invite);
    return peer;
  }

  function loneMember(text = invite): LoneMember {
    const member = LoneMember.join(text);
    lone.push(member);
    return member;
  }

  async function connected(...all: OpenPeer[]): Promise<void> {
    await Promise.all(all.map((peer) => eventually(peer, async () => (await peer.peers()).length >= all.length - 1)));
  }

  async function shareFrom(peer: OpenPeer, size: number): Promise<ShareInfo> {
    const source = path.join(peers.dir, 'file.bin');
    writeFileSync(source, randomBytes(size));
    return await peer.share({ path: source });
  }

  async function fetchAll(peer: OpenPeer, out: string): Promise<void> {
    await eventually(peer, async () => (await peer.shares()).length > 0);
    const destination = path.join(peers.dir, out);
    const { id } = await peer.download({ share: 'file.bin', destination, onConflict: 'fail' });
    await untilTransfer(peer, id, ({ state }) => state === 'done');
  }

  /** The creator and a second seeder of its share, both of which send slowly. */
  async function twoSlowSeeders(): Promise<ShareInfo> {
    seeder = await joined('seeder');
    await seeder.addPeerAddress(await addressOf(creator));
    await connected(creator, seeder);
    const share = await shareFrom(creator, 16 * MiB);
    await fetchAll(seeder, 'seeder-out');
    for (const peer of [creator, seeder]) await peer.setLimits({ upload: 256 * 1024, download: 0 });
    return share;
  }

  /** Asks for all that it may, and goes on asking; when blocks came, in ms. */
  async function take(
    member: LoneMember,
    peer: OpenPeer,
    share: ShareInfo,
  ): Promise<{ raw: RawWire; times: number[] }> {
    const pieceLength = choosePieceLength(share.size);
    const raw = await member.open(peer, share.infohash);
    await raw.until(() => raw.messages.some(({ type }) => type === 'have-all' || type === 'bitfield'));
    raw.wire.send({ type: 'have-none' });
    raw.wire.send({ type: 'interested' });
    await raw.until(() => raw.messages.some(({ type }) => type === 'unchoke'));
    for (let at = 0; at < 8 * MiB; at += BLOCK)
      raw.wire.send({ type: 'request', piece: Math.floor(at / pieceLength), begin: at % pieceLength, length: BLOCK });
    const times: number[] = [];
    void raw
      .until(() => {
        while (times.length < raw.blocks.length) times.push(performance.now());
        return false;
      })
      .catch(() => undefined);
    await raw.until(() => raw.blocks.length > 2);
    return { raw, times };
  }

  it('gets no further block in the middle of a transfer, from anyone who is connected', async () => {
    const share = await twoSlowSeeders();
    const evicted = await joined('evicted');
    await evicted.addPeerAddress(await addressOf(creator));
    await connected(creator, seeder, evicted);
    await eventually(evicted, async () => (await evicted.shares())[0]?.sources === 2);
    const destination = path.join(peers.dir, 'evicted-out');
    const { id } = await evicted.download({ share: 'file.bin', destination, onConflict: 'fail' });
    // From both of them.
    await untilTransfer(evicted, id, ({ sources }) => sources.filter(({ bytes }) => bytes > 0).length === 2);

    await creator.revokeMember({ device: await deviceOf(evicted) });
    const revoked = performance.now();
    await eventually(evicted, async () => (await evicted.peers()).length === 0);
    await eventually(seeder, async () => (await seeder.peers()).length === 1);
    assert.ok(performance.now() - revoked < IN_TIME, `it was connected for ${performance.now() - revoked} ms more`);
    // Nobody is left of whom it could have anything.
    const stopped = await untilTransfer(evicted, id, ({ state }) => state === 'waiting');
    assert.ok(performance.now() - revoked < IN_TIME, `it was served for ${performance.now() - revoked} ms more`);
    assert.ok(stopped.fetched > 0 && stopped.fetched < share.size);
    assert.deepEqual(
      stopped.sources.filter(({ connected }) => connected),
      [],
    );
    assert.equal((await evicted.networks())[0]?.state, 'offline');
  });

  it('gets no further block through a relay, be it told of the revocation by a member that it relays for', async () => {
    await peers.close(creator);
    creator = await peers.open('creator', 'none');
    const relay = await joined('relay');
    seeder = await joined('seeder', 'none');
    const evicted = await joined('evicted', 'none');
    for (const peer of [creator, seeder, evicted]) await peer.addPeerAddress(await addressOf(relay));
    await connected(creator, relay, seeder, evicted);
    await seeder.setLimits({ upload: 256 * 1024, download: 0 });
    const share = await shareFrom(seeder, 16 * MiB);
    await eventually(evicted, async () => (await evicted.shares()).length > 0);
    const destination = path.join(peers.dir, 'evicted-out');
    const { id } = await evicted.download({ share: 'file.bin', destination, onConflict: 'fail' });
    await untilTransfer(evicted, id, ({ sources }) => sources.some(({ bytes }) => bytes > 0));
    const ways = (await evicted.peers()).filter(({ name }) => name !== 'relay').map(({ via }) => via);
    assert.deepEqual(ways, ['relay', 'relay']);

    const device = await deviceOf(evicted);
    await creator.revokeMember({ device });
    const revoked = performance.now();
    await Promise.all(
      [relay, seeder].map((peer) =>
        eventually(peer, async () => (await peer.peers()).every((other) => other.device !== device)),
      ),
    );
    const stopped = await untilTransfer(evicted, id, ({ state }) => state === 'waiting');
    assert.ok(performance.now() - revoked < IN_TIME, `it was served for ${performance.now() - revoked} ms more`);
    assert.ok(stopped.fetched > 0 && stopped.fetched < share.size);
    await eventually(evicted, async () => (await evicted.peers()).length === 0);
    assert.ok(performance.now() - revoked < IN_TIME, `it was connected for ${performance.now() - revoked} ms more`);
  });

  it('gets none either when it does not care that it was revoked, and no connection any more', async () => {
    const share = await twoSlowSeeders();
    const member = loneMember();
    const taken = [await take(member, creator, share), await take(member, seeder, share)];
    const control = await member.open(seeder);
    await control.until(() => control.extended.length > 0);

    const revoked = performance.now();
    await creator.revokeMember({ device: member.device });
    await Promise.all([...taken.map(({ raw }) => raw.closed), control.closed]);
    assert.ok(performance.now() - revoked < IN_TIME, `it was connected for ${performance.now() - revoked} ms more`);
    for (const { raw, times } of taken) {
      assert.ok(raw.blocks.length < (8 * MiB) / BLOCK, 'it had everything before');
      assert.ok(times.every((time) => time - revoked < IN_TIME));
    }
    for (const peer of [creator, seeder]) await assert.rejects(member.dial(peer), { code: 'revoked' });
  });

  it('is let into nothing by a handshake that was under way', async () => {
    const share = await twoSlowSeeders();
    const member = loneMember();
    // Past the member handshake, and nothing said yet: one for the swarm, one for the control connection.
    const waiting = [await member.dial(creator), await member.dial(seeder)];
    const opening = await member.dial(seeder);
    const hello = (infoHash: Uint8Array): Buffer => encodeHandshake({ infoHash, peerId: randomBytes(20) });
    // A control connection without its extended handshake.
    opening.write([hello(member.trust.controlInfoHash)]);
    const opened = hear(opening);
    // It has been answered: from here on nothing but its end is due, should it go on saying nothing.
    await opened.first;

    await creator.revokeMember({ device: member.device });
    const revoked = performance.now();
    // What it was told before, it was told as a member: who it talks to, and no more.
    assert.ok((await opened.all) < 400);
    await eventually(seeder, async () => (await seeder.peers()).length === 1);
    for (const [index, channel] of waiting.entries()) {
      channel.write([
        hello(index === 0 ? Buffer.from(share.infohash, 'hex').subarray(0, 20) : member.trust.controlInfoHash),
      ]);
      assert.equal(await hear(channel).all, 0);
    }
    assert.ok(performance.now() - revoked < IN_TIME);
  });

  it('is refused by a partitioned member as soon as that hears of it', async () => {
    // The honest one is reached by the creator through a cable alone, and by the other directly.
    const honest = await joined('honest');
    await peers.close(creator);
    creator = await peers.open('creator', 'none');
    const cable = await TcpCable.to((await honest.status()).port ?? 0);
    cables.push(cable);
    await creator.addPeerAddress(`127.0.0.1:${cable.port}`);
    await connected(creator, honest);
    const share = await shareFrom(honest, 16 * MiB);
    await honest.setLimits({ upload: 256 * 1024, download: 0 });
    const member = loneMember();
    const { raw, times } = await take(member, honest, share);

    cable.cut();
    await eventually(creator, async () => (await creator.peers()).length === 0);
    await eventually(honest, async () => (await honest.peers()).length === 0);
    await creator.revokeMember({ device: member.device });
    const before = raw.blocks.length;
    // It cannot know, and goes on serving.
    await raw.until(() => raw.blocks.length > before + 2);

    cable.mend();
    await creator.addPeerAddress(`127.0.0.1:${cable.port}`);
    await eventually(honest, async () => (await honest.peers()).length === 1);
    const healed = performance.now();
    await raw.closed;
    assert.ok(times.every((time) => time - healed < IN_TIME));
    assert.ok(performance.now() - healed < IN_TIME);
    await assert.rejects(member.dial(honest), { code: 'revoked' });
    // And it stays so after the next partition, and after a restart.
    cable.cut();
    await assert.rejects(member.dial(honest), { code: 'revoked' });
    await peers.close(honest);
    const again = await peers.open('honest');
    await assert.rejects(member.dial(again), { code: 'revoked' });
  });

  it('is refused when it was revoked while it was away, and told why', async () => {
    seeder = await joined('seeder');
    await seeder.addPeerAddress(await addressOf(creator));
    let away = await joined('away');
    await away.addPeerAddress(await addressOf(creator));
    await connected(creator, seeder, away);
    const device = await deviceOf(away);
    await peers.close(away);
    await eventually(seeder, async () => (await seeder.peers()).length === 1);
    await creator.revokeMember({ device });
    const share = await shareFrom(creator, 1000);
    await eventually(seeder, async () => (await seeder.shares()).length === 1);

    away = await peers.open('away');
    const network = await eventually(away, async () => (await away.networks()).find(({ problem }) => problem));
    assert.match(network.problem ?? '', /removed/);
    assert.deepEqual(await away.peers(), []);
    assert.deepEqual(await away.shares(), []);
    assert.equal((await creator.peers()).length, 1);
    assert.ok(share);
  });

  it('brings nobody in by the invites that it made, nor itself by the one it came by', async () => {
    seeder = await joined('seeder');
    await seeder.addPeerAddress(await addressOf(creator));
    const inviting = await joined('inviting');
    await inviting.addPeerAddress(await addressOf(creator));
    await connected(creator, seeder, inviting);
    const made = await inviting.createInvite({});
    // One came by it in time, and was confirmed by the creator: it stays.
    const early = loneMember(made);
    (await early.dial(creator)).close();
    await creator.revokeMember({ device: await deviceOf(inviting) });
    await eventually(seeder, async () => (await seeder.peers()).length === 1);

    for (const peer of [creator, seeder]) {
      await assert.rejects(loneMember(made).dial(peer), { code: 'revoked' });
      await assert.rejects(loneMember(invite).dial(peer), { code: 'revoked' });
      (await early.dial(peer)).close();
    }
  });
});

/** `first`: something came; `all`: bytes that came until the other end closed. */
function hear(connection: Connection): { readonly first: Promise<void>; readonly all: Promise<number> } {
  let bytes = 0;
  let onFirst = (): void => {};
  const first = new Promise<void>((resolve) => {
    onFirst = resolve;
  });
  const all = new Promise<number>((resolve) => {
    connection.start({
      onData: (chunk) => {
        bytes += chunk.length;
        onFirst();
      },
      onDrain() {},
      onClose: () => resolve(bytes),
    });
  });
  return { first, all };
}
