import assert from 'node:assert/strict';
import { mkdir, readdir, rename, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { withFolderLock } from '../../../src/common/folder-lock.ts';
import { useTempDir } from '../temp-dir.ts';

describe('folder lock', () => {
  const temp = useTempDir();
  let lock: string;
  beforeEach(() => {
    lock = path.join(temp.path, 'lock');
  });

  async function abandon(): Promise<void> {
    await mkdir(lock);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
  }

  it('lets one in at a time, and is gone after', async () => {
    let inside = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        withFolderLock(lock, async () => {
          most = Math.max(most, ++inside);
          await setImmediate();
          inside--;
          return index;
        }),
      ),
    );
    assert.equal(most, 1);
    assert.deepEqual(
      results,
      [...results].sort((a, b) => a - b),
    );
    await assert.rejects(
      withFolderLock(lock, async () => assert.fail('inside')),
      /inside/,
    );
    assert.deepEqual(await readdir(temp.path), []);
  });

  it('of one that was killed is taken over, by one', async () => {
    await abandon();
    let inside = 0;
    await Promise.all(
      [1, 2, 3].map(() =>
        withFolderLock(lock, async () => {
          assert.equal(++inside, 1);
          await setImmediate();
          inside--;
        }),
      ),
    );
    assert.deepEqual(await readdir(temp.path), []);
  });

  it('that another took over is not ended by the one that was held up', async () => {
    await withFolderLock(lock, async () => {
      await rename(lock, `${lock}.taken`);
      await mkdir(lock);
    });
    assert.ok((await stat(lock)).isDirectory());
  });
});
