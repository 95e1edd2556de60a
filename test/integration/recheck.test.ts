/** What a download left on disk is looked at again: by `recheckTransfer`, and by itself when a file was touched. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { TransferInfo } from '../../src/peer/api.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { eventually, PeersHere, untilTransfer } from './peers-here.ts';

const MiB = 1024 * 1024;

describe('rechecking downloads', function () {
  this.timeout(180_000);
  let dir: string;
  let peers: PeersHere;

  beforeEach(() => {
    peers = new PeersHere();
    dir = peers.dir;
  });
  afterEach(() => peers.dispose());

  const peer = (name: string): Promise<OpenPeer> => peers.open(name);

  const close = (peer: OpenPeer): Promise<void> => peers.close(peer);

  async function connect(from: OpenPeer, to: OpenPeer): Promise<void> {
    await from.addPeerAddress(`127.0.0.1:${(await to.status()).port}`);
    await eventually(from, async () => (await from.shares()).some(({ sources }) => sources > 0));
  }

  /** A shares a folder of four files; `rate` limits its uplink, in bytes per second. */
  async function pair(rate = 0) {
    const [a, b] = [await peer('a'), await peer('b')];
    const { invite } = await a.createNetwork({ name: 'team', trackers: [] });
    await b.joinNetwork(invite);
    const contents = new Map([
      ['big.bin', randomBytes(6 * MiB)],
      ['empty', Buffer.alloc(0)],
      ['one.txt', randomBytes(70_000)],
      ['two.txt', randomBytes(500)],
    ]);
    const source = path.join(dir, 'folder');
    mkdirSync(source);
    for (const [name, content] of contents) writeFileSync(path.join(source, name), content);
    await a.setLimits({ upload: rate, download: 0 });
    await a.share({ path: source });
    await connect(b, a);
    return { a, b, invite, contents };
  }

  const destination = (name = 'out'): string => path.join(dir, name);
  const placed = (name: string): string => path.join(destination(), 'folder', name);
  const done = (transfer: TransferInfo): boolean => transfer.state === 'done';
  const fetched = (b: OpenPeer, to = 'out') =>
    b.download({ share: 'folder', destination: destination(to), onConflict: 'fail' });

  /** Changes one byte; size and modification time stay what they were. */
  function damage(file: string, at: number): void {
    const { atime, mtime } = statSync(file);
    const bytes = readFileSync(file);
    bytes[at]! ^= 1;
    writeFileSync(file, bytes);
    utimesSync(file, atime, mtime);
  }

  it('finds a whole download intact, says how far it is, and seeds on', async () => {
    const { b } = await pair();
    const { id } = await fetched(b);
    await untilTransfer(b, id, done);
    const states: TransferInfo[] = [];
    const listening = b.onEvent((event) => {
      if (event.event === 'transfer') states.push(event.transfer);
    });
    assert.deepEqual(await b.recheckTransfer(id), { files: 4, changed: [] });
    listening.dispose();
    assert.equal(states[0]?.state, 'checking');
    assert.equal(states[0]?.rechecking, true);
    assert.equal(states[0]?.done, 0);
    const { state, seeding, rechecking, done: bytes, size } = await untilTransfer(b, id, done);
    assert.deepEqual([state, seeding, rechecking, bytes], ['done', true, undefined, size]);
  });

  it('seeds edited and lost files no longer, and again when they are what they were', async () => {
    const { b, contents } = await pair();
    const { id } = await fetched(b);
    await untilTransfer(b, id, done);
    damage(placed('big.bin'), 3 * MiB);
    rmSync(placed('two.txt'));
    assert.deepEqual(await b.recheckTransfer(id), { files: 4, changed: ['big.bin', 'two.txt'] });
    assert.equal((await untilTransfer(b, id, done)).seeding, true);
    for (const name of ['one.txt', 'empty']) rmSync(placed(name));
    const { changed } = await b.recheckTransfer(id);
    assert.deepEqual(changed.toSorted(), ['big.bin', 'empty', 'one.txt', 'two.txt']);
    assert.equal((await untilTransfer(b, id, done)).seeding, false);
    // The list survives, and what was put back is found.
    await close(b);
    for (const [name, content] of contents) writeFileSync(placed(name), content);
    const again = await peer('b');
    assert.deepEqual(await again.recheckTransfer(id), { files: 4, changed: [] });
    assert.equal((await untilTransfer(again, id, done)).seeding, true);
  });

  it('looks by itself at what was placed just before the system stopped, and says what the disk never got', async function () {
    if (process.platform !== 'linux') this.skip();
    const { b, contents } = await pair();
    const { id } = await fetched(b);
    await untilTransfer(b, id, done);
    await close(b);
    const file = path.join(dir, 'b', 'state', 'transfers.json');
    const stored = () => JSON.parse(readFileSync(file, 'utf8')) as { transfers: { unsynced?: { boot: string } }[] };
    // As after a power loss: another boot, and a file that has its name and time but no content. One was edited since.
    const state = stored();
    const { unsynced } = state.transfers[0]!;
    assert.equal(unsynced?.boot, readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
    unsynced.boot = 'before';
    writeFileSync(file, JSON.stringify(state));
    const { atime, mtime } = statSync(placed('one.txt'));
    truncateSync(placed('one.txt'));
    utimesSync(placed('one.txt'), atime, mtime);
    writeFileSync(placed('two.txt'), 'edited');
    const later = new Date(Date.now() + 60_000);
    utimesSync(placed('two.txt'), later, later);

    const again = await peer('b');
    const look = async (): Promise<TransferInfo> => (await again.transfers())[0]!;
    await eventually(again, async () => (await look()).state === 'failed');
    const { error } = await look();
    assert.equal(error?.code, 'io');
    assert.match(error?.message ?? '', /before 1 of the files of “folder” were on its disk/);
    await again.download({ share: 'folder', destination: destination(), onConflict: 'overwrite' });
    await untilTransfer(again, id, done);
    for (const [name, content] of contents) assert.ok(readFileSync(placed(name)).equals(content), name);

    // Nothing is amiss: it is looked at, and that is all.
    await close(again);
    const intact = stored();
    intact.transfers[0]!.unsynced!.boot = 'before';
    writeFileSync(file, JSON.stringify(intact));
    const last = await peer('b');
    // No event tells when it is stored.
    while (stored().transfers[0]?.unsynced) await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await untilTransfer(last, id, done)).seeding, true);
  });

  it('drops damaged pieces of a paused download, which are fetched again', async () => {
    const { a, b, contents } = await pair(3 * MiB);
    const { id } = await fetched(b);
    await untilTransfer(b, id, (transfer) => transfer.done > 2 * MiB);
    await assert.rejects(b.recheckTransfer(id), { code: 'busy' });
    await b.pauseTransfer(id);
    const before = await untilTransfer(b, id, ({ state }) => state === 'paused');
    const intact = await b.recheckTransfer(id);
    assert.deepEqual(intact.changed, []);
    assert.equal((await untilTransfer(b, id, ({ state }) => state === 'paused')).done, before.done);

    const [staging = ''] = readdirSync(destination());
    const staged = readdirSync(path.join(destination(), staging), { recursive: true, encoding: 'utf8' })
      .map((name) => path.join(destination(), staging, name))
      .find((file) => lstatSync(file).isFile() && lstatSync(file).size > MiB)!;
    damage(
      staged,
      readFileSync(staged).findIndex((byte) => byte !== 0),
    );
    const found = await b.recheckTransfer(id);
    assert.deepEqual([found.files, found.changed], [intact.files, ['big.bin']]);
    const after = await untilTransfer(b, id, ({ state }) => state === 'paused');
    assert.ok(after.done < before.done, `${after.done}`);
    assert.equal(after.fetched, before.fetched);
    await a.setLimits({ upload: 0, download: 0 });
    await b.resumeTransfer(id);
    await untilTransfer(b, id, done);
    for (const [name, content] of contents) assert.ok(readFileSync(placed(name)).equals(content), name);
  });

  it('ends when it is cancelled or paused, and leaves the transfer as it was', async () => {
    const { b } = await pair();
    const { id } = await fetched(b);
    await untilTransfer(b, id, done);
    const ways = [() => b.cancel('op'), () => b.pauseTransfer(id), () => b.cancelTransfer(id)];
    for (const end of ways) {
      const ended = assert.rejects(b.recheckTransfer(id, { operation: 'op' }), { code: 'cancelled' });
      await end();
      await ended;
      const { state, seeding, done: bytes, size } = await untilTransfer(b, id, () => true);
      assert.deepEqual([state, seeding, bytes], ['done', true, size]);
    }
    await assert.rejects(b.recheckTransfer('no-such'), { code: 'not-found' });
  });

  /** C, which can get the folder from B alone. */
  async function third({ a, b, invite }: { a: OpenPeer; b: OpenPeer; invite: string }): Promise<OpenPeer> {
    const c = await peer('c');
    await c.joinNetwork(invite);
    await connect(c, a);
    await c.awaitMetadata('folder');
    // What A told about the share stays with C.
    await close(a);
    await connect(c, b);
    return c;
  }

  it('seeds on what was only touched, once it is read again', async () => {
    const { a, b, invite, contents } = await pair();
    const { id } = await fetched(b);
    await untilTransfer(b, id, done);
    const c = await third({ a, b, invite });
    for (const name of contents.keys()) chmodSync(placed(name), 0o600);
    const copy = await fetched(c, 'copy');
    await untilTransfer(c, copy.id, done);
    for (const [name, content] of contents)
      assert.ok(readFileSync(path.join(destination('copy'), 'folder', name)).equals(content), name);
    assert.equal((await untilTransfer(b, id, done)).seeding, true);
  });

  it('forgets what was edited under the same size and time, and serves no byte of it', async () => {
    const { a, b, invite } = await pair();
    const { id } = await fetched(b);
    await untilTransfer(b, id, done);
    const c = await third({ a, b, invite });
    for (const [name, at] of [
      ['big.bin', 0],
      ['one.txt', 5],
      ['two.txt', 9],
    ] as const)
      damage(placed(name), at);
    rmSync(placed('empty'));
    const copy = await fetched(c, 'copy');
    await untilTransfer(b, id, ({ seeding }) => !seeding);
    const [row] = await c.transfers();
    assert.equal(row?.id, copy.id);
    assert.equal(row?.fetched, 0);
    assert.notEqual(row?.state, 'done');
  });
});
