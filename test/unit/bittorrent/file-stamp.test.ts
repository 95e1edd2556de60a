/** Files that somebody changes behind our back, and tries to hide it. */
import assert from 'node:assert/strict';
import { type BigIntStats, renameSync, writeFileSync } from 'node:fs';
import { chmod, link, mkdir, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type FileStamp, readStamp, sizeOf, timeUntilSettled } from '../../../src/bittorrent/file-stamp.ts';
import { FileStorage } from '../../../src/bittorrent/file-storage.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { useTempDir } from '../temp-dir.ts';

const CONTENT = 'published content';
const OTHER = 'something similar';

describe('FileStamp', () => {
  const temp = useTempDir();
  let dir: string;
  let path: string;
  let stamp: FileStamp;
  beforeEach(async () => {
    dir = temp.path;
    await mkdir(join(dir, 'folder'));
    path = join(dir, 'folder', 'file');
    await writeFile(path, CONTENT);
    await utimes(path, 1_000_000_000, 1_000_000_000);
    stamp = await readStamp(path);
    await tickOf(path);
  });

  const stale = (error: unknown): boolean => error instanceof PeerwireError && error.code === 'stale';

  /** Waits until a change would get another time. */
  async function tickOf(file: string): Promise<void> {
    while (timeUntilSettled(await stat(file, { bigint: true }), Date.now()) > 0) await setImmediate();
  }

  async function read(storage: FileStorage): Promise<string> {
    const view = Buffer.alloc(CONTENT.length);
    await storage.read(0, 0, [view.subarray(0, 5), view.subarray(5)]);
    return view.toString();
  }

  const changes: Record<string, () => Promise<unknown>> = {
    'edited, with its old size and modification time': async () => {
      await writeFile(path, OTHER);
      await utimes(path, 1_000_000_000, 1_000_000_000);
    },
    'replaced by a file of the same size and modification time': async () => {
      await writeFile(join(dir, 'new'), OTHER);
      await utimes(join(dir, 'new'), 1_000_000_000, 1_000_000_000);
      await rename(join(dir, 'new'), path);
    },
    'replaced by a link to itself': async () => {
      await rename(path, join(dir, 'elsewhere'));
      await symlink(join(dir, 'elsewhere'), path);
    },
    truncated: () => truncate(path, 4),
    'truncated and filled up again': async () => {
      await truncate(path, 0);
      await truncate(path, CONTENT.length);
      await utimes(path, 1_000_000_000, 1_000_000_000);
    },
    'appended to': () => writeFile(path, 'more', { flag: 'a' }),
    'moved away': () => rename(path, join(dir, 'elsewhere')),
    deleted: () => rm(path),
    'turned into a folder': async () => {
      await rm(path);
      await mkdir(path);
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    it(`tells a file that was ${name}`, async () => {
      for (const open of [true, false]) {
        const storage = new FileStorage(() => ({ kind: 'published', path, stamp }));
        if (open) assert.equal(await read(storage), CONTENT);
        if (open) await change();
        await assert.rejects(read(storage), stale, `${open ? 'held open' : 'opened'} when it changed`);
        await storage.close();
      }
    });
  }

  it('takes no harm from what is no change of the content for longer than it takes to look again', async () => {
    for (const change of [() => chmod(path, 0o600), () => link(path, join(dir, 'second name'))]) {
      await change();
      assert.notEqual(await readStamp(path), stamp);
      stamp = await readStamp(path);
      const storage = new FileStorage(() => ({ kind: 'published', path, stamp }));
      assert.equal(await read(storage), CONTENT);
      await storage.close();
      await tickOf(path);
    }
  });

  it('is not fooled by a folder that is another one while the file is opened', async () => {
    await mkdir(join(dir, 'twin'));
    await writeFile(join(dir, 'twin', 'file'), OTHER);
    const swap = (from: string, to: string): void => {
      renameSync(join(dir, 'folder'), join(dir, to));
      renameSync(join(dir, from), join(dir, 'folder'));
    };
    for (let attempt = 0; attempt < 200; attempt++) {
      const storage = new FileStorage(() => ({ kind: 'published', path, stamp }));
      swap('twin', 'original');
      const reading = read(storage).catch((error: unknown) => error);
      for (let turn = attempt % 20; turn > 0; turn--) await setImmediate();
      swap('original', 'twin');
      const outcome = await reading;
      if (typeof outcome === 'string') assert.equal(outcome, CONTENT);
      else assert.ok(stale(outcome), String(outcome));
      await storage.close();
    }
  });

  it('knows the size', () => {
    assert.equal(sizeOf(stamp), CONTENT.length);
    assert.equal(sizeOf('9007199254740991.1.2.3' as FileStamp), Number.MAX_SAFE_INTEGER);
  });

  it('two changes within one tick of the clock may look like one: that is why one waits', async () => {
    const twin = join(dir, 'twin');
    for (let attempt = 0; attempt < 20; attempt++) {
      writeFileSync(twin, 'a');
      await tickOf(twin);
      const before = await readStamp(twin);
      writeFileSync(twin, 'b');
      assert.notEqual(await readStamp(twin), before);
    }
  });

  it('says how long until any change shows', () => {
    const at = (ctime: bigint, mtime = ctime): BigIntStats => ({ ctimeNs: ctime, mtimeNs: mtime }) as BigIntStats;
    const now = 1_700_000_000_123;
    const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;
    assert.equal(timeUntilSettled(at(ns(now)), now), 20);
    assert.equal(timeUntilSettled(at(ns(now - 15)), now), 5);
    assert.equal(timeUntilSettled(at(ns(now - 21)), now), 0);
    // A modification time that somebody set says nothing.
    assert.equal(timeUntilSettled(at(ns(now - 21), ns(now + 1_000_000)), now), 0);
    // FAT knows even seconds only.
    assert.equal(timeUntilSettled(at(ns(1_700_000_000_000)), now), 1_877);
    // The clock of a server may be ahead; that must not take forever.
    assert.equal(timeUntilSettled(at(ns(now + 3_600_000)), now), 2_000);
  });
});
