/** Downloads of two peers in this process, over real sockets: paused, cancelled, closed and damaged while bytes flow. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { bytesOf, decode, listOf } from '../../src/bittorrent/bencode.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { once } from '../../src/common/event.ts';
import type { TransferInfo } from '../../src/peer/api.ts';
import { decodeSection } from '../../src/peer/network/catalogue.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { eventually, PeersHere, untilTransfer } from './peers-here.ts';

const MiB = 1024 * 1024;

describe('downloads under disturbance', function () {
  this.timeout(180_000);
  let dir: string;
  let peers: PeersHere;

  beforeEach(() => {
    peers = new PeersHere();
    dir = peers.dir;
  });
  afterEach(() => peers.dispose());

  const peer = (name: string, port = 0): Promise<OpenPeer> => peers.open(name, port);

  const close = (peer: OpenPeer): Promise<void> => peers.close(peer);

  /** A shares a file; B knows of it. A's uplink is limited to `rate` bytes per second. */
  async function pair(
    size: number,
    rate: number,
  ): Promise<{ a: OpenPeer; b: OpenPeer; content: Buffer; source: string }> {
    const [a, b] = [await peer('a'), await peer('b')];
    const { invite } = await a.createNetwork({ name: 'team', trackers: [] });
    await b.joinNetwork(invite);
    const content = randomBytes(size);
    const source = path.join(dir, 'file.bin');
    writeFileSync(source, content);
    await a.setLimits({ upload: rate, download: 0 });
    await a.share({ path: source });
    const seen = once(b.onEvent, (event) => event.event === 'shares');
    await b.addPeerAddress(`127.0.0.1:${(await a.status()).port}`);
    await seen;
    await eventually(b, async () => (await b.shares()).some(({ sources }) => sources > 0));
    return { a, b, content, source };
  }

  const destination = (): string => path.join(dir, 'out');
  const started = (transfer: TransferInfo): boolean => transfer.done > MiB;
  const done = (transfer: TransferInfo): boolean => transfer.state === 'done';

  it('pause stops it, resume finishes it without fetching anything twice', async () => {
    const { b, content } = await pair(12 * MiB, 4 * MiB);
    const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
    await untilTransfer(b, id, started);
    const asked = performance.now();
    const before = await untilTransfer(b, id, () => true);
    await b.pauseTransfer(id);
    const seconds = (performance.now() - asked) / 1000;
    const paused = await untilTransfer(b, id, ({ state }) => state === 'paused');
    // What the limit let through meanwhile, and what is counted in whole blocks.
    const most = before.fetched + (seconds + 0.3) * 4 * MiB + 65_536;
    assert.ok(paused.fetched <= most, `${paused.fetched - before.fetched} bytes came in ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // Nothing happens: there is no event to wait for.
    const later = await untilTransfer(b, id, () => true);
    assert.equal(later.state, 'paused');
    assert.equal(later.fetched, paused.fetched);
    assert.ok(!existsSync(path.join(destination(), 'file.bin')));
    await b.resumeTransfer(id);
    const finished = await untilTransfer(b, id, done);
    assert.ok(readFileSync(path.join(destination(), 'file.bin')).equals(content));
    assert.ok(finished.fetched < content.length + 4 * MiB, `${finished.fetched}`);
  });

  it('all are paused at once and go on at once', async () => {
    const { b, content } = await pair(12 * MiB, 4 * MiB);
    const places = [destination(), `${destination()}-2`];
    for (const place of places) await b.download({ share: 'file.bin', destination: place, onConflict: 'fail' });
    const [first] = await b.transfers();
    await untilTransfer(b, first!.id, started);
    await b.pauseAll();
    const paused = await b.transfers();
    assert.deepEqual(
      paused.map(({ state, rate }) => [state, rate]),
      [
        ['paused', 0],
        ['paused', 0],
      ],
    );
    await b.resumeAll();
    for (const { id } of paused) await untilTransfer(b, id, done);
    for (const place of places) assert.ok(readFileSync(path.join(place, 'file.bin')).equals(content));
  });

  it('overwrites nothing that came after the plan', async () => {
    const { b } = await pair(MiB, 0);
    const request = { share: 'file.bin', destination: destination() };
    const plan = await b.plan(request);
    assert.equal(plan.missing, 1);
    mkdirSync(destination());
    writeFileSync(path.join(destination(), 'file.bin'), 'mine');
    const { id } = await b.download({ ...request, onConflict: 'fail' });
    const row = async (): Promise<TransferInfo | undefined> =>
      (await b.transfers()).find((transfer) => transfer.id === id && transfer.state === 'failed');
    assert.equal((await eventually(b, row)).error?.code, 'exists');
    assert.equal(readFileSync(path.join(destination(), 'file.bin'), 'utf8'), 'mine');
  });

  it('a download keeps its own limit and priority, over a restart, too', async () => {
    const { a, b, content } = await pair(6 * MiB, 0);
    const share = { share: 'file.bin', destination: destination(), onConflict: 'fail' } as const;
    const { id } = await b.download({ ...share, limits: { upload: 0, download: 500_000 } });
    const moving = await untilTransfer(b, id, ({ fetched }) => fetched > 100_000);
    assert.deepEqual([moving.limits, moving.priority], [{ upload: 0, download: 500_000 }, 'normal']);
    const heard = once(b.onEvent, (event) => event.event === 'transfer' && event.transfer.priority === 'high');
    await b.setTransferPriority(id, 'high');
    await heard;
    await b.setTransferLimits(id, { upload: 7, download: 400_000 });
    await assert.rejects(b.setTransferLimits(id, { upload: -1, download: 0 }), { code: 'usage' });
    await assert.rejects(b.setTransferPriority(id, 'urgent' as 'high'), { code: 'usage' });
    await assert.rejects(b.setTransferLimits('no-such', { upload: 0, download: 0 }), { code: 'not-found' });
    await close(b);
    const again = await peer('b');
    const resumed = await untilTransfer(again, id, ({ state }) => state === 'downloading');
    assert.deepEqual([resumed.limits, resumed.priority], [{ upload: 7, download: 400_000 }, 'high']);
    assert.ok(resumed.done < content.length, 'the limit did not hold');
    await again.setTransferLimits(id, { upload: 0, download: 0 });
    const finished = await untilTransfer(again, id, done);
    assert.ok(finished.fetched <= content.length + MiB, `${finished.fetched}`);
    // The row of an upload follows a moment after its bytes.
    const upload = await eventually(a, async () =>
      (await a.transfers()).find(({ direction }) => direction === 'upload'),
    );
    await a.setTransferLimits(upload.id, { upload: 1_000_000, download: 0 });
    assert.equal((await a.transfers()).find((row) => row.id === upload.id)?.limits.upload, 1_000_000);
  });

  for (const direction of ['download', 'upload'] as const) {
    it(`no burst exceeds the ${direction} limit, whatever the buffers of sockets hold`, async () => {
      const rate = 2_000_000;
      const { b } = await pair(24 * MiB, direction === 'upload' ? rate : 0);
      const samples: { time: number; bytes: number }[] = [];
      const listening = b.onEvent((event) => {
        // In the same thread as the counter, at the moment when it was read.
        if (event.event === 'transfer') samples.push({ time: performance.now(), bytes: event.transfer.fetched });
      });
      const limits = { upload: 0, download: direction === 'download' ? rate : 0 };
      const started = performance.now();
      const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail', limits });
      await untilTransfer(b, id, ({ fetched }) => fetched > 5 * rate * 0.9);
      while (performance.now() - started < 6_000) await once(b.onEvent, ({ event }) => event === 'transfer');
      listening.dispose();
      // Anything less than the limit may be the machine's fault; more never is.
      let windows = 0;
      for (const [index, from] of samples.entries()) {
        const to = samples.slice(index).find(({ time }) => time - from.time >= 5_000);
        if (!to) break;
        windows++;
        const most = (rate * (to.time - from.time) * 1.05) / 1000;
        assert.ok(to.bytes - from.bytes <= most, `${to.bytes - from.bytes} bytes in ${to.time - from.time} ms`);
      }
      assert.ok(windows > 0);
    });
  }

  it('cancel leaves nothing behind, and nothing arrives later', async () => {
    const { b } = await pair(12 * MiB, 4 * MiB);
    const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
    await untilTransfer(b, id, started);
    await b.cancelTransfer(id);
    assert.deepEqual(await b.transfers(), []);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // Nothing happens: there is no event to wait for.
    assert.deepEqual(readdirSync(destination()), []);
  });

  it('goes on after the peer was closed, and says where its bytes came from', async () => {
    const { a, b, content } = await pair(12 * MiB, 4 * MiB);
    const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
    await untilTransfer(b, id, started);
    await close(b);
    await a.setLimits({ upload: 0, download: 0 });
    const again = await peer('b');
    const finished = await untilTransfer(again, id, done);
    assert.ok(readFileSync(path.join(destination(), 'file.bin')).equals(content));
    assert.equal(
      finished.sources.reduce((sum, { bytes }) => sum + bytes, 0),
      content.length,
    );
  });

  it('never places what was damaged on disk between two runs', async () => {
    const { a, b, content } = await pair(12 * MiB, 4 * MiB);
    const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
    await untilTransfer(b, id, started);
    await close(b);
    const [staging = ''] = readdirSync(destination());
    const staged = path.join(destination(), staging, 'files', 'file.bin');
    const bytes = readFileSync(staged);
    // One bit of what had arrived, and the times as they were.
    const { atime, mtime } = statSync(staged);
    bytes[bytes.findIndex((byte) => byte !== 0)]! ^= 1;
    writeFileSync(staged, bytes);
    utimesSync(staged, atime, mtime);
    await a.setLimits({ upload: 0, download: 0 });
    const again = await peer('b');
    const finished = await untilTransfer(again, id, done);
    assert.ok(readFileSync(path.join(destination(), 'file.bin')).equals(content));
    // Only the piece with the wrong bit was fetched again, and what was on its way when the peer closed.
    assert.ok(finished.fetched < content.length + 4 * MiB, `${finished.fetched}`);
  });

  it('an edited source is not served under its old version', async () => {
    const { a, b, source } = await pair(8 * MiB, 2 * MiB);
    const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
    await untilTransfer(b, id, started);
    writeFileSync(source, 'edited');
    const published = async (): Promise<boolean> => (await a.shares()).some(({ version }) => version === 2);
    await eventually(a, published);
    await b.cancelTransfer(id);
    await eventually(b, async () => (await b.shares()).some(({ version, sources }) => version === 2 && sources > 0));
    const next = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
    await untilTransfer(b, next.id, done);
    assert.equal(readFileSync(path.join(destination(), 'file.bin'), 'utf8'), 'edited');
  });

  it('a peer that fails to open loses nothing', async () => {
    const { b } = await pair(1 * MiB, 0);
    const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
    await untilTransfer(b, id, done);
    await close(b);
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as { port: number };
    await assert.rejects(peer('b', port));
    blocker.close();
    const again = await peer('b');
    assert.equal((await again.transfers()).find((transfer) => transfer.id === id)?.state, 'done');
  });

  it('a share that others would refuse is refused at once, and the peer opens again', async () => {
    const { a, source } = await pair(1 * MiB, 0);
    const refused = a.share({ path: source, message: 'x'.repeat(5_000) });
    await assert.rejects(refused, (error) => error instanceof PeerwireError && error.code === 'usage');
    await close(a);
    const again = await peer('a');
    assert.equal((await again.shares()).length, 1);
  });

  it('a big file is on the disk before it is said to be complete, and what the disk says then is heard', async () => {
    const { b, content } = await pair(20 * MiB, 0);
    const target = path.join(destination(), 'file.bin');
    const synced: number[] = [];
    const some = await open(path.join(dir, 'file.bin'));
    const proto = Object.getPrototypeOf(some) as FileHandle;
    await some.close();
    const { datasync } = proto;
    proto.datasync = async function (this: FileHandle) {
      assert.ok(!existsSync(target), 'it is in place already');
      synced.push((await this.stat()).ino);
      if (synced.length === 1) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      await datasync.call(this);
    };
    try {
      const { id } = await b.download({ share: 'file.bin', destination: destination(), onConflict: 'fail' });
      const paused = await untilTransfer(b, id, ({ state }) => state === 'paused' || state === 'done');
      assert.equal(paused.error?.code, 'disk-full');
      assert.ok(!existsSync(target));
      await b.resumeTransfer(id);
      const finished = await untilTransfer(b, id, done);
      assert.ok(synced.length > 1, 'once more');
      assert.equal(synced.at(-1), statSync(target).ino);
      assert.equal(finished.fetched, content.length, 'it was fetched again');
      assert.ok(readFileSync(target).equals(content));
    } finally {
      proto.datasync = datasync;
    }
  });

  it('one that left other files where they were says that it has a part, until it has all', async () => {
    const [a, b] = [await peer('a'), await peer('b')];
    const { invite } = await a.createNetwork({ name: 'team', trackers: [] });
    await b.joinNetwork(invite);
    const source = path.join(dir, 'folder');
    mkdirSync(source);
    for (const name of ['one', 'two']) writeFileSync(path.join(source, name), randomBytes(100_000));
    await a.share({ path: source });
    await b.addPeerAddress(`127.0.0.1:${(await a.status()).port}`);
    await eventually(b, async () => (await b.shares()).some(({ sources }) => sources > 0));
    const theirs = path.join(destination(), 'folder', 'two');
    mkdirSync(path.dirname(theirs), { recursive: true });
    writeFileSync(theirs, 'mine');
    const request = { share: 'folder', destination: destination() } as const;
    const { id } = await b.download({ ...request, onConflict: 'skip' });
    await untilTransfer(b, id, done);
    let { said, again } = await saidAfterRestart(b);
    assert.equal(readFileSync(theirs, 'utf8'), 'mine');
    assert.deepEqual(said, [false]);
    for (const edited of [false, true]) {
      if (edited) {
        writeFileSync(theirs, 'mine again');
        assert.deepEqual((await again.recheckTransfer(id)).changed, ['two']);
      }
      await again.download({ ...request, onConflict: 'overwrite' });
      await untilTransfer(again, id, done);
      ({ said, again } = await saidAfterRestart(again));
      assert.deepEqual(said, [true]);
    }
  });

  /** Whether b has all of what it has something of, by what it publishes once it was opened again. */
  async function saidAfterRestart(b: OpenPeer): Promise<{ said: boolean[]; again: OpenPeer }> {
    await close(b);
    const restarted = await peer('b');
    // Until it is connected, it has published; what it said before the restart it does not sign once more.
    await eventually(restarted, async () => (await restarted.peers()).length > 0);
    await close(restarted);
    const networks = path.join(dir, 'b', 'networks');
    const [network = ''] = readdirSync(networks);
    const stored = listOf(decode(readFileSync(path.join(networks, network, 'catalogues'))));
    const sections = stored.map((item) => decodeSection(bytesOf(item)).section);
    const said = sections.flatMap(({ name, holds }) => (name === 'b' ? holds.map(({ complete }) => complete) : []));
    return { said, again: await peer('b') };
  }
});
