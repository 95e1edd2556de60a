/** Ranges of shares, read through peers of this process over real sockets: what crosses the network, and what may not. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { choosePieceLength } from '../../src/bittorrent/metainfo.ts';
import { once } from '../../src/common/event.ts';
import { MAX_READ, type ReadRequest, type TransferInfo } from '../../src/peer/api.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { eventually, PeersHere, untilTransfer } from './peers-here.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

describe('reads of ranges', function () {
  this.timeout(180_000);
  let dir: string;
  let peers: PeersHere;
  let invite: string;

  beforeEach(() => {
    peers = new PeersHere();
    dir = peers.dir;
    invite = '';
  });
  afterEach(() => peers.dispose());

  /** A peer of the one network. */
  async function peer(name: string): Promise<OpenPeer> {
    const opened = await peers.open(name);
    if (invite === '') ({ invite } = await opened.createNetwork({ name: 'team', trackers: [] }));
    else if ((await opened.networks()).length === 0) await opened.joinNetwork(invite);
    return opened;
  }

  const close = (peer: OpenPeer): Promise<void> => peers.close(peer);

  async function meet(a: OpenPeer, b: OpenPeer): Promise<void> {
    await b.addPeerAddress(`127.0.0.1:${(await a.status()).port}`);
  }

  async function sources(b: OpenPeer, share: string, count: number): Promise<void> {
    await eventually(b, async () =>
      (await b.shares()).some((known) => known.share === share && known.sources >= count),
    );
  }

  /** A shares a file of random bytes, and B knows it. */
  async function pair(
    size: number,
  ): Promise<{ a: OpenPeer; b: OpenPeer; content: Buffer; share: string; file: string }> {
    const [a, b] = [await peer('a'), await peer('b')];
    const content = randomBytes(size);
    const file = path.join(dir, 'file.bin');
    writeFileSync(file, content);
    const { share } = await a.share({ path: file });
    await meet(a, b);
    await sources(b, share, 1);
    return { a, b, content, share, file };
  }

  async function read(b: OpenPeer, request: ReadRequest): Promise<Buffer> {
    return Buffer.from((await b.readFile(request)).data);
  }

  /** Payload bytes that a peer has sent, once its report has come. */
  function sent(a: OpenPeer, least = 0): Promise<number> {
    return eventually(a, async () => {
      const bytes = (await a.transfers())
        .filter(({ direction }) => direction === 'upload')
        .reduce((sum, { done }) => sum + done, 0);
      return bytes >= least ? bytes : undefined;
    });
  }

  const finished = (b: OpenPeer, id: string): Promise<TransferInfo> =>
    untilTransfer(b, id, ({ state }) => state === 'done');

  const code = (expected: string) => (error: { code?: string }) => error.code === expected;
  const cacheFiles = (name: string): string[] => {
    const folder = path.join(dir, name, 'read-cache');
    return existsSync(folder) ? readdirSync(folder) : [];
  };
  /** Resolves when the peer's cache has so many files: they are written and removed when nobody waits. */
  const cached = async (name: string, count: number): Promise<void> => {
    while (cacheFiles(name).length !== count) await new Promise((resolve) => setImmediate(resolve));
  };

  it('fetches only the pieces that hold the range, once', async () => {
    const { a, b, content, share } = await pair(24 * MiB);
    const at = 12 * MiB - 10;
    assert.deepEqual(await read(b, { share, offset: at, length: 100 }), content.subarray(at, at + 100));
    // The range lies in two.
    const piece = choosePieceLength(24 * MiB);
    const first = await sent(a, 2 * piece);
    assert.equal(first, 2 * piece);
    await cached('b', 2);
    assert.deepEqual(
      await read(b, { share, offset: at - piece + 100, length: 200 }),
      content.subarray(at - piece + 100, at - piece + 300),
    );
    assert.equal((await a.transfers())[0]?.done, first);
  });

  it('reads across pieces and up to the edges of files, of every awkward size', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const folder = path.join(dir, 'folder');
    mkdirSync(path.join(folder, 'deep'), { recursive: true });
    const contents = new Map<string, Buffer>();
    for (const size of [0, 1, 16 * KiB - 1, 16 * KiB, 16 * KiB + 1, 64 * KiB, 64 * KiB + 1, 300 * KiB]) {
      const name = `deep/${size}.bin`;
      contents.set(name, randomBytes(size));
      writeFileSync(path.join(folder, name), contents.get(name)!);
    }
    const { share } = await a.share({ path: folder });
    await meet(a, b);
    await sources(b, share, 1);
    for (const [name, content] of contents) {
      const result = await b.readFile({ share, path: name, offset: 0, length: MAX_READ });
      assert.ok(content.equals(result.data), name);
      assert.equal(result.size, content.length);
      assert.equal(result.infohash, (await b.shares())[0]?.infohash);
      const end = await read(b, { share, path: name, offset: Math.max(0, content.length - 3), length: 100 });
      assert.ok(content.subarray(-3).equals(end) || content.length === 0, name);
      assert.equal((await read(b, { share, path: name, offset: content.length, length: 10 })).length, 0);
      assert.equal((await read(b, { share, path: name, offset: content.length + 10, length: 10 })).length, 0);
    }
    assert.deepEqual(
      await read(b, { share, path: 'deep/307200.bin', offset: 65_530, length: 131_082 }),
      contents.get('deep/307200.bin')?.subarray(65_530, 65_530 + 131_082),
    );
  });

  it('refuses what cannot be read', async () => {
    const { b, share } = await pair(10);
    await assert.rejects(b.readFile({ share, offset: 0, length: MAX_READ + 1 }), code('usage'));
    await assert.rejects(b.readFile({ share, offset: -1, length: 1 }), code('usage'));
    await assert.rejects(b.readFile({ share, offset: 0.5, length: 1 }), code('usage'));
    await assert.rejects(b.readFile({ share, path: '../file.bin', offset: 0, length: 1 }), code('not-found'));
    await assert.rejects(b.readFile({ share: 'nothing', offset: 0, length: 1 }), code('not-found'));
  });

  it('reads ahead when reads follow each other, and not far', async () => {
    const { a, b, content, share } = await pair(24 * MiB);
    await read(b, { share, offset: 0, length: 100 });
    const piece = choosePieceLength(24 * MiB);
    assert.equal(await sent(a, piece), piece);
    // The second of a row: a mebibyte behind it is fetched, too, without being asked for.
    assert.deepEqual(await read(b, { share, offset: 100, length: 100 }), content.subarray(100, 200));
    await sent(a, piece + MiB);
    await cached('b', 1 + MiB / piece);
    assert.equal((await a.transfers())[0]?.done, piece + MiB);
  });

  it('wants nothing any more of what it read ahead when the reader goes elsewhere', async () => {
    const { a, b, content, share } = await pair(24 * MiB);
    await a.setLimits({ upload: 2 * MiB, download: 0 });
    await read(b, { share, offset: 0, length: 100, ahead: 16 * MiB });
    const at = 20 * MiB;
    assert.deepEqual(await read(b, { share, offset: at, length: 100 }), content.subarray(at, at + 100));
    await a.setLimits({ upload: 0, download: 0 });
    // What was asked for before comes; the rest of 16 MiB does not.
    assert.deepEqual(
      await read(b, { share, offset: 22 * MiB, length: 100 }),
      content.subarray(22 * MiB, 22 * MiB + 100),
    );
    assert.ok((await sent(a)) < 12 * MiB, `${await sent(a)}`);
  });

  it('says so when the share changes while it is read', async () => {
    const { a, b, share, file } = await pair(8 * MiB);
    const { infohash } = await b.readFile({ share, offset: 0, length: 10 });
    await a.setLimits({ upload: 1, download: 0 });
    const waiting = b.readFile({ share, offset: 4 * MiB, length: MAX_READ });
    waiting.catch(() => undefined);
    const next = randomBytes(8 * MiB);
    writeFileSync(file, next);
    await assert.rejects(waiting, code('stale'));
    await assert.rejects(b.readFile({ share, infohash, offset: 0, length: 10 }), code('stale'));
    await a.setLimits({ upload: 0, download: 0 });
    await sources(b, share, 1);
    assert.deepEqual(await read(b, { share, offset: 4 * MiB, length: 1000 }), next.subarray(4 * MiB, 4 * MiB + 1000));
    // Nothing of the old version is kept.
    await cached('b', 1);
  });

  it('ends when the share is withdrawn', async () => {
    const { a, b, share } = await pair(8 * MiB);
    await a.setLimits({ upload: 1, download: 0 });
    const waiting = b.readFile({ share, offset: 0, length: MAX_READ });
    waiting.catch(() => undefined);
    await eventually(b, async () => (await b.transfers()).length === 0);
    await a.unshare(share);
    await assert.rejects(waiting, code('not-found'));
  });

  it('can be cancelled', async () => {
    const { a, b, share } = await pair(8 * MiB);
    await a.setLimits({ upload: 1, download: 0 });
    const waiting = b.readFile({ share, offset: 0, length: MAX_READ, operation: 'mine' });
    waiting.catch(() => undefined);
    await b.cancel('mine');
    await assert.rejects(waiting, code('cancelled'));
  });

  it('says that nobody is there, and reads what it has', async () => {
    const { a, b, content, share } = await pair(8 * MiB);
    assert.deepEqual(await read(b, { share, offset: 5, length: 10 }), content.subarray(5, 15));
    await close(a);
    assert.deepEqual(await read(b, { share, offset: 50, length: 10 }), content.subarray(50, 60));
    const started = performance.now();
    await assert.rejects(b.readFile({ share, offset: 4 * MiB, length: 10, wait: 300 }), code('no-sources'));
    assert.ok(performance.now() - started < 20_000, 'it waited for longer than it was told to');
  });

  it('says that a source does not send', async () => {
    const { a, b, share } = await pair(8 * MiB);
    await read(b, { share, offset: 0, length: 10 });
    await a.setLimits({ upload: 1, download: 0 });
    await assert.rejects(b.readFile({ share, offset: 4 * MiB, length: 10, wait: 300 }), code('timeout'));
  });

  it('goes on with another source when one dies', async () => {
    const { a, b, content, share } = await pair(16 * MiB);
    const c = await peer('c');
    await meet(a, c);
    await sources(c, share, 1);
    await finished(c, (await c.download({ share, destination: path.join(dir, 'c-out'), onConflict: 'fail' })).id);
    await meet(c, b);
    await sources(b, share, 2);
    for (const each of [a, c]) await each.setLimits({ upload: 4 * MiB, download: 0 });
    const parts: Buffer[] = [];
    for (let offset = 0; offset < content.length; offset += MAX_READ) {
      const reading = read(b, { share, offset, length: MAX_READ });
      if (offset === 4 * MiB) {
        await sent(a, 1);
        await close(a);
        await c.setLimits({ upload: 0, download: 0 });
      }
      parts.push(await reading);
    }
    assert.ok(Buffer.concat(parts).equals(content));
  });

  it('hands what was read to a later download, and is served by it', async () => {
    const { b, content, share } = await pair(8 * MiB);
    for (const offset of [0, 3 * MiB, 5 * MiB]) await read(b, { share, offset, length: MAX_READ, ahead: 0 });
    const destination = path.join(dir, 'out');
    const { id } = await b.download({ share, destination, onConflict: 'fail' });
    const { fetched, done } = await finished(b, id);
    assert.equal(fetched, 5 * MiB);
    assert.equal(done, content.length);
    assert.ok(readFileSync(path.join(destination, 'file.bin')).equals(content));
    await cached('b', 0);
    await close(peers.all[0]!);
    assert.deepEqual(await read(b, { share, offset: MiB, length: MAX_READ }), content.subarray(MiB, 2 * MiB));
    // Edited: what is on disk is not the share any more.
    writeFileSync(path.join(destination, 'file.bin'), 'mine now');
    await assert.rejects(b.readFile({ share, offset: 0, length: 10, wait: 300 }), code('no-sources'));
  });

  it('downloads again what was damaged in the cache', async () => {
    const { b, content, share } = await pair(MiB);
    await read(b, { share, offset: 0, length: MiB });
    await cached('b', 16);
    for (const name of cacheFiles('b')) {
      const file = path.join(dir, 'b', 'read-cache', name);
      while (statSync(file).size !== 64 * KiB) await new Promise((resolve) => setImmediate(resolve));
      if (name === cacheFiles('b')[0]) writeFileSync(file, Buffer.alloc(64 * KiB));
    }
    const destination = path.join(dir, 'out');
    const { id } = await b.download({ share, destination, onConflict: 'fail' });
    assert.equal((await finished(b, id)).fetched, 64 * KiB);
    assert.ok(readFileSync(path.join(destination, 'file.bin')).equals(content));
  });

  it('places a file that was read completely without fetching a byte', async () => {
    const { b, content, share } = await pair(2 * MiB);
    for (const offset of [0, MiB]) await read(b, { share, offset, length: MAX_READ });
    const destination = path.join(dir, 'out');
    const { id } = await b.download({ share, destination, onConflict: 'fail' });
    assert.equal((await finished(b, id)).fetched, 0);
    assert.ok(readFileSync(path.join(destination, 'file.bin')).equals(content));
    await close(peers.all[0]!);
    assert.deepEqual(await read(b, { share, offset: MiB, length: 10 }), content.subarray(MiB, MiB + 10));
  });

  it('reads ahead of a running download, whose pieces they are', async () => {
    const { a, b, content, share } = await pair(16 * MiB);
    await a.setLimits({ upload: 4 * MiB, download: 0 });
    const destination = path.join(dir, 'out');
    const { id } = await b.download({ share, destination, onConflict: 'fail' });
    await once(b.onEvent, (event) => event.event === 'transfer' && event.transfer.done > MiB);
    const at = 15 * MiB;
    assert.deepEqual(await read(b, { share, offset: at, length: MiB }), content.subarray(at));
    const [running] = await b.transfers();
    assert.equal(running?.state, 'downloading', 'the read came first');
    assert.equal(cacheFiles('b').length, 0);
    await a.setLimits({ upload: 0, download: 0 });
    const { fetched } = await finished(b, id);
    assert.ok(fetched < content.length + MiB, `${fetched}`);
    assert.ok(readFileSync(path.join(destination, 'file.bin')).equals(content));
  });

  it('goes on when its download is paused', async () => {
    const { a, b, content, share } = await pair(16 * MiB);
    await a.setLimits({ upload: 2 * MiB, download: 0 });
    const { id } = await b.download({ share, destination: path.join(dir, 'out'), onConflict: 'fail' });
    await once(b.onEvent, (event) => event.event === 'transfer' && event.transfer.done > MiB);
    const reading = read(b, { share, offset: 15 * MiB, length: MiB });
    await b.pauseTransfer(id);
    await a.setLimits({ upload: 0, download: 0 });
    assert.deepEqual(await reading, content.subarray(15 * MiB));
    await b.resumeTransfer(id);
    await finished(b, id);
    assert.ok(readFileSync(path.join(dir, 'out', 'file.bin')).equals(content));
  });

  it('reads one file of a folder while another is downloaded', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const folder = path.join(dir, 'folder');
    mkdirSync(folder);
    const contents = { big: randomBytes(8 * MiB), other: randomBytes(2 * MiB) };
    for (const [name, content] of Object.entries(contents)) writeFileSync(path.join(folder, name), content);
    const { share } = await a.share({ path: folder });
    await meet(a, b);
    await sources(b, share, 1);
    await a.setLimits({ upload: 4 * MiB, download: 0 });
    const destination = path.join(dir, 'out');
    const { id } = await b.download({ share, file: 'big', destination, onConflict: 'fail' });
    await once(b.onEvent, (event) => event.event === 'transfer' && event.transfer.done > MiB);
    const request = { share, path: 'other', offset: MiB, length: MiB };
    assert.deepEqual(await read(b, request), contents.other.subarray(MiB));
    await a.setLimits({ upload: 0, download: 0 });
    const { size, done } = await finished(b, id);
    assert.deepEqual([size, done], [8 * MiB, 8 * MiB]);
    assert.deepEqual(readdirSync(path.join(destination)).sort(), ['folder']);
    assert.deepEqual(readdirSync(path.join(destination, 'folder')), ['big']);
    await close(a);
    // Both are here: one in place, the other in the cache.
    assert.deepEqual(await read(b, request), contents.other.subarray(MiB));
    assert.deepEqual(await read(b, { ...request, path: 'big' }), contents.big.subarray(MiB, 2 * MiB));
  });

  it('reads own files where they are, and not what they have become', async () => {
    const a = await peer('a');
    const file = path.join(dir, 'own.bin');
    writeFileSync(file, 'what was shared');
    const { share, infohash } = await a.share({ path: file });
    assert.equal(String(await read(a, { share, offset: 5, length: 3 })), 'was');
    assert.deepEqual(cacheFiles('a'), []);
    writeFileSync(file, 'what it is by now');
    await assert.rejects(a.readFile({ share, infohash, offset: 0, length: 10, wait: 1_000 }), code('stale'));
    await eventually(a, async () => {
      const [row] = await a.shares();
      return row?.version === 2 && row.state === 'ready';
    });
    assert.equal(String(await read(a, { share, offset: 5, length: 5 })), 'it is');
  });

  it('keeps the cache private, and leaves nothing of it', async () => {
    const { b, share } = await pair(MiB);
    await read(b, { share, offset: 0, length: 10 });
    const folder = path.join(dir, 'b', 'read-cache');
    await cached('b', 1);
    if (process.platform !== 'win32') assert.equal(statSync(folder).mode & 0o777, 0o700);
    await close(b);
    assert.ok(!existsSync(folder));
    mkdirSync(folder);
    writeFileSync(path.join(folder, '0.piece'), 'left by a killed peer');
    const again = await peer('b');
    await meet(peers.all[0]!, again);
    await sources(again, share, 1);
    await read(again, { share, offset: 0, length: 10 });
    while (statSync(path.join(folder, '0.piece'), { throwIfNoEntry: false })?.size !== 64 * KiB)
      await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(readdirSync(folder), ['0.piece']);
  });
});
