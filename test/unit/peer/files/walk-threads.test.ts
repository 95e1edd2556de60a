import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { walk, walkFew } from '../../../../src/peer/files/walk.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { HASH_WORKER } from './hash-worker-path.ts';
import { useTempDir } from './temp-dir.ts';

describe('walking a folder of many files', () => {
  const temp = useTempDir();
  const pool = new HashPool({ workerUrl: HASH_WORKER, size: 1 });
  after(() => pool.dispose());

  const makeTree = (count: number): string => {
    for (let index = 0; index < count; index++) temp.file(`tree/${index % 5}/${index % 3}/${index}`, `${index}`);
    temp.file('tree/.gitignore', 'left-out\n');
    temp.file('tree/left-out', 'x');
    temp.file('tree/.env', 'x');
    // Shared in another normal form than it has here.
    temp.file('tree/cafe\u0301/u\u0308ber', 'x');
    symlinkSync('left-out', join(temp.path, 'tree/link'));
    return join(temp.path, 'tree');
  };

  it('in a worker gives the same as here', async () => {
    const root = makeTree(200);
    const here = await walk(root);
    assert.equal(here.files.length, 202);
    const there = await pool.walk(root);
    assert.equal(pool.workers, 1);
    assert.deepEqual(there, here);
    assert.deepEqual(await walk(root, { blocking: true }), here);
    assert.ok(there.files.some(({ path, absolute }) => path.at(-1) === '\u00fcber' && absolute.endsWith('u\u0308ber')));
    assert.equal((await pool.walk(root, { includeSecrets: true })).files.length, 203);
  });

  it('of few files needs no worker', async () => {
    const root = makeTree(20);
    const own = new HashPool({ workerUrl: HASH_WORKER, size: 1 });
    assert.equal((await own.walk(root)).files.length, 22);
    assert.equal((await own.walk(join(root, '0/0/0'))).single, true);
    assert.equal(own.workers, 0);
    own.dispose();
    assert.equal((await walkFew(root, 22))?.files.length, 22);
    assert.equal(await walkFew(root, 21), undefined);
  });

  it('tells how far it is, and stops when it is cancelled', async () => {
    const root = makeTree(3000);
    const abort = new AbortController();
    let told = 0;
    const walking = pool.walk(root, {
      signal: abort.signal,
      onProgress: ({ files }) => {
        told = files;
        abort.abort();
      },
    });
    await assert.rejects(walking, { code: 'cancelled' });
    assert.ok(told > 0 && told < 3000, `${told}`);
    // The worker is free for others, and nothing of the walk is left.
    assert.equal((await pool.walk(root)).files.length, 3002);
    await assert.rejects(pool.walk(root, { signal: AbortSignal.abort() }), { code: 'cancelled' });
  });

  it('rejects as it does here', async () => {
    await assert.rejects(pool.walk(join(temp.path, 'nothing')), { code: 'not-found' });
  });

  it('looks at the stamps of many files', async () => {
    const root = makeTree(200);
    const { files } = await walk(root);
    const paths = files.map(({ absolute }) => absolute);
    const stamps = await pool.stamps([...paths, join(root, 'nothing')]);
    assert.deepEqual(stamps, [...files.map(({ stamp }) => stamp), undefined]);
    assert.deepEqual(await pool.stamps(paths.slice(0, 3)), stamps.slice(0, 3));
    await assert.rejects(pool.stamps(paths, AbortSignal.abort()), { code: 'cancelled' });
  });
});
