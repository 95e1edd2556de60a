import assert from 'node:assert/strict';
import { appendFileSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { buildVersion } from '../../../../src/peer/files/publish.ts';
import { walk, walkFew } from '../../../../src/peer/files/walk.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { HASH_WORKER } from './hash-worker-path.ts';

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

  it('to hash them begins with the small ones on the way', async () => {
    const root = makeTree(700);
    temp.file('tree/1/big', Buffer.alloc(16_385, 1));
    temp.file('tree/2/block', Buffer.alloc(16_384, 1));
    temp.file('tree/2/empty');
    // Settled at once.
    for (const { absolute } of (await walk(root)).files) utimesSync(absolute, 1, 1);
    const two = new HashPool({ workerUrl: HASH_WORKER, size: 2 });
    const { walked, early } = await two.walkToHash(root);
    assert.deepEqual(walked, await walk(root));
    const others = new Set(early.without(walked.files));
    const files = walked.files.filter((file) => !others.has(file));
    // The very same objects, each once.
    const all = new Set(walked.files);
    assert.ok(files.every((file) => all.delete(file)));
    assert.deepEqual(
      [...all].map(({ path }) => path.join('/')),
      ['1/big'],
    );
    let reported = 0;
    await early.finish((bytes) => {
      reported += bytes;
    });
    assert.equal(
      reported,
      files.reduce((sum, { size }) => sum + size, 0),
    );
    const hashes = files.map((file) => early.hashOf(file));
    const expected = await pool.hashFiles(
      files.map(({ absolute, size }) => ({ path: absolute, size })),
      { pieceLength: 65_536, settle: true },
    );
    assert.deepEqual(hashes, expected);
    two.dispose();
  });

  it('to hash them takes those that changed meanwhile for changed', async () => {
    const root = makeTree(600);
    const two = new HashPool({ workerUrl: HASH_WORKER, size: 2 });
    const abort = new AbortController();
    const { walked, early } = await two.walkToHash(root, { signal: abort.signal });
    const build = (): Promise<unknown> =>
      buildVersion({ ...walked, early, pool: two, ...(abort.signal.aborted && { signal: abort.signal }) });
    await build();
    appendFileSync(join(root, '0/0/0'), 'x');
    await assert.rejects(build(), { code: 'stale' });
    const again = two.walkToHash(root, {
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await assert.rejects(again, { code: 'cancelled' });
    await assert.rejects(build(), { code: 'cancelled' });
    two.dispose();
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

  it('tells which of many files changed', async () => {
    const root = makeTree(200);
    const { files } = await walk(root);
    assert.deepEqual(await pool.changed(files), []);
    const [, second, third] = files;
    assert.ok(second && third);
    appendFileSync(second.absolute, 'x');
    rmSync(third.absolute);
    assert.deepEqual(await pool.changed(files), [1, 2]);
    assert.deepEqual(await pool.changed(files.slice(0, 3)), [1, 2]);
    await assert.rejects(pool.changed(files, AbortSignal.abort()), { code: 'cancelled' });
  });
});
