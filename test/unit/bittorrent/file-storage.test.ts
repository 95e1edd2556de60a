import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readStamp } from '../../../src/bittorrent/file-stamp.ts';
import { type FileLocation, FileStorage } from '../../../src/bittorrent/file-storage.ts';
import { isLocal, QuickReads } from '../../../src/bittorrent/quick-reads.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { useTempDir } from '../temp-dir.ts';

describe('FileStorage', () => {
  const temp = useTempDir();
  let dir: string;
  beforeEach(() => {
    dir = temp.path;
  });

  const stale = (error: unknown): boolean => error instanceof PeerwireError && error.code === 'stale';

  it('writes and reads back over more files than it keeps open', async () => {
    const storage = new FileStorage((index) => ({ kind: 'staged', path: join(dir, `f${index}`) }));
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => storage.write(index, 3, Buffer.from(`content ${index}`))),
    );
    for (const index of [0, 57, 199]) {
      const view = Buffer.alloc(`content ${index}`.length);
      await storage.read(index, 3, [view.subarray(0, 4), view.subarray(4)]);
      assert.equal(view.toString(), `content ${index}`);
    }
    await storage.close();
    await assert.rejects(
      storage.read(0, 0, [Buffer.alloc(1)]),
      (error) => error instanceof PeerwireError && error.code === 'closed',
    );
  });

  for (const [place, local] of [
    ['in this thread', true],
    ['by other threads', false],
  ] as const) {
    it(`refuses to read a published file that was edited, replaced or deleted, reading ${place}`, async () => {
      const path = join(dir, 'file');
      const read = QuickReads.prototype.read;
      const allowed = Object.getOwnPropertyDescriptor(QuickReads.prototype, 'allowed')!;
      let here = 0;
      QuickReads.prototype.read = function (...args) {
        here++;
        return read.apply(this, args);
      };
      if (!local) Object.defineProperty(QuickReads.prototype, 'allowed', { configurable: true, get: () => false });
      try {
        for (const change of [
          () => writeFile(path, 'other content'),
          async () => {
            await writeFile(join(dir, 'new'), 'content');
            await rename(join(dir, 'new'), path);
          },
          () => rm(path),
        ]) {
          await writeFile(path, 'content');
          await utimes(path, 1_000_000_000, 1_000_000_000);
          const stamp = await readStamp(path);
          const storage = new FileStorage((): FileLocation => ({ kind: 'published', path, stamp }));
          const view = Buffer.alloc(7);
          await storage.read(0, 0, [view]);
          assert.equal(view.toString(), 'content');
          await change();
          await assert.rejects(storage.read(0, 0, [view]), stale);
          await storage.close();
        }
      } finally {
        QuickReads.prototype.read = read;
        Object.defineProperty(QuickReads.prototype, 'allowed', allowed);
      }
      // Where temporary files are on no local disk, both read by other threads.
      const possible = await isLocal(dir, (await stat(dir, { bigint: true })).dev);
      assert.equal(here > 0, local && possible);
    });
  }

  it('only writing creates files and folders', async () => {
    const path = join(dir, 'folder', 'file');
    const storage = new FileStorage(() => ({ kind: 'staged', path }));
    await assert.rejects(storage.read(0, 0, [Buffer.alloc(1)]));
    await assert.rejects(stat(join(dir, 'folder')), { code: 'ENOENT' });
    await storage.write(0, 0, Buffer.from('ab'));
    const view = Buffer.alloc(2);
    await storage.read(0, 0, [view]);
    assert.equal(view.toString(), 'ab');
    await storage.release(new Set([0]));
    // Read first: the file that is open for reading alone is no obstacle to writing.
    await storage.read(0, 0, [view]);
    await storage.write(0, 0, Buffer.from('cd'));
    await storage.read(0, 0, [view]);
    assert.equal(view.toString(), 'cd');
    await storage.close();
  });

  it('release and close wait for those who read and write', async () => {
    const path = join(dir, 'file');
    const storage = new FileStorage(() => ({ kind: 'staged', path }));
    await storage.write(0, 0, Buffer.alloc(4 * 1024 * 1024));
    const done: string[] = [];
    const use = (name: string, action: Promise<void>): Promise<unknown> => action.then(() => done.push(name));
    const using = [
      use('read', storage.read(0, 0, [Buffer.alloc(4 * 1024 * 1024)])),
      use('write', storage.write(0, 0, Buffer.alloc(4 * 1024 * 1024, 1))),
    ];
    await Promise.all([
      ...using,
      use('release', storage.release(new Set([0]))),
      use('again', storage.release(new Set([0]))),
    ]);
    assert.deepEqual(done.slice(2).sort(), ['again', 'release']);
    const last = use('last', storage.read(0, 0, [Buffer.alloc(4 * 1024 * 1024)]));
    await use('close', storage.close());
    await last;
    assert.deepEqual(done.slice(4), ['last', 'close']);
  });

  it('writes none of the files that arrived together when one of them is published by now', async () => {
    const path = (index: number): string => join(dir, `f${index}`);
    await writeFile(path(2), 'published');
    const stamp = await readStamp(path(2));
    const storage = new FileStorage((index) =>
      index === 2 ? { kind: 'published', path: path(2), stamp } : { kind: 'staged', path: path(index) },
    );
    const data = Buffer.from('content');
    const root = createHash('sha256').update(data).digest();
    // Once it rejects, the memory is somebody else's.
    await assert.rejects(storage.writeVerified([0, 1, 2].map((fileIndex) => ({ fileIndex, data, root }))));
    await storage.close();
    assert.deepEqual(await readdir(dir), ['f2']);
    assert.equal(await readFile(path(2), 'utf8'), 'published');
  });

  it('lends its descriptor for writing, and keeps it open meanwhile', async () => {
    const path = join(dir, 'file');
    const storage = new FileStorage(() => ({ kind: 'staged', path }));
    const order: string[] = [];
    let closing: Promise<unknown> = Promise.resolve();
    const result = await storage.writeBy(0, async (descriptor) => {
      closing = storage.close().then(() => order.push('closed'));
      await stat(path);
      assert.equal(writeSync(descriptor, Buffer.from('content'), 0, 7, 0), 7);
      order.push('written');
      return 'result';
    });
    await closing;
    assert.equal(result, 'result');
    assert.deepEqual(order, ['written', 'closed']);
    assert.equal(await readFile(path, 'utf8'), 'content');
    await assert.rejects(
      storage.writeBy(0, async () => {}),
      { code: 'closed' },
    );
    const stamp = await readStamp(path);
    const published = new FileStorage(() => ({ kind: 'published', path, stamp }));
    await assert.rejects(
      published.writeBy(0, async () => {}),
      { code: 'internal' },
    );
  });

  it('never follows a link', async () => {
    await writeFile(join(dir, 'secret'), 'secret');
    await symlink(join(dir, 'secret'), join(dir, 'link'));
    const storage = new FileStorage(() => ({ kind: 'staged', path: join(dir, 'link') }));
    await assert.rejects(storage.write(0, 0, Buffer.from('x')));
    await assert.rejects(storage.read(0, 0, [Buffer.alloc(1)]));
    await storage.close();
  });
});
