import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { SafeFolder } from '../../../../src/peer/files/safe-folder.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { HASH_WORKER } from './hash-worker-path.ts';
import { stageAndPlace, versionOf } from './version.ts';

/** Puts a folder aside and a link in its place, for random moments, until told to stop through shared memory. */
const SWAPPER = `
  const { parentPort, workerData: { folder, aside, outside, stop } } = require('node:worker_threads');
  const fs = require('node:fs');
  const flag = new Int32Array(stop);
  const attempt = (action) => { try { action(); } catch {} };
  const pause = () => Atomics.wait(flag, 0, 0, Math.random() * 2);
  let swaps = 0;
  while (Atomics.load(flag, 0) === 0) {
    attempt(() => {
      fs.renameSync(folder, aside + '/' + swaps);
      fs.symlinkSync(outside, folder);
      swaps++;
    });
    pause();
    attempt(() => fs.unlinkSync(folder));
    attempt(() => fs.mkdirSync(folder));
    pause();
  }
  parentPort.postMessage(swaps);
`;

describe('SafeFolder', () => {
  const temp = useTempDir();

  for (const anchored of process.platform === 'linux' ? [true, false] : [false]) {
    describe(anchored ? 'held by descriptor' : 'checked before every use', () => {
      it('makes and opens folders, and lists names as file systems compare them', async () => {
        const root = await SafeFolder.root(temp.path, { anchored });
        assert.equal(await root.folder('new', { create: false }), undefined);
        const made = await root.folder('new', { create: true });
        const again = await root.folder('new', { create: true });
        assert.equal(again?.path, join(temp.path, 'new'));
        await writeFile(made?.entry('File') ?? '', 'x');
        assert.deepEqual(await made?.foldedNames(), new Set(['file']));
        assert.equal(readFileSync(join(temp.path, 'new/File'), 'utf8'), 'x');
        for (const folder of [again, made, root]) await folder?.close();
      });

      it('refuses a link and a file, whether it may create or not', async () => {
        temp.file('file');
        mkdirSync(join(temp.path, 'real'));
        symlinkSync('real', join(temp.path, 'link'));
        symlinkSync('gone', join(temp.path, 'dangling'));
        const root = await SafeFolder.root(temp.path, { anchored });
        for (const create of [true, false]) {
          await assert.rejects(root.folder('link', { create }), { code: 'unsafe-path' });
          await assert.rejects(root.folder('dangling', { create }), { code: 'unsafe-path' });
          await assert.rejects(root.folder('file', { create }), { code: 'exists' });
        }
        await root.close();
      });

      it('does not follow a folder that is swapped for a link after it was opened', async () => {
        const root = await SafeFolder.root(temp.path, { anchored });
        const above = await root.folder('above', { create: true });
        const folder = await above?.folder('folder', { create: true });
        mkdirSync(join(temp.path, 'outside/folder'), { recursive: true });
        renameSync(join(temp.path, 'above'), join(temp.path, 'aside'));
        symlinkSync(join(temp.path, 'outside'), join(temp.path, 'above'));
        const write = async (): Promise<void> => {
          await writeFile(folder?.entry('file') ?? '', 'x');
          await mkdir(folder?.entry('inner') ?? '');
        };
        if (anchored) {
          await write();
          assert.deepEqual(readdirSync(join(temp.path, 'aside/folder')), ['file', 'inner']);
        } else await assert.rejects(write(), { code: 'unsafe-path' });
        assert.deepEqual(readdirSync(join(temp.path, 'outside/folder')), []);
        for (const each of [folder, above, root]) await each?.close();
      });
    });
  }

  it('says that a root is a file or missing', async () => {
    await assert.rejects(SafeFolder.root(temp.file('file')), { code: 'exists' });
    await assert.rejects(SafeFolder.root(join(temp.path, 'gone')), { code: 'not-found' });
  });

  it('keeps placing inside the destination while another thread swaps its folders for links', async function () {
    if (process.platform !== 'linux') this.skip();
    const pool = new HashPool({ workerUrl: HASH_WORKER, size: 1 });
    const content = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [`sub/${index % 6}/${index}`, `${index}`]),
    );
    const info = versionOf('share', content);
    const outside = join(temp.path, 'outside');
    const aside = join(temp.path, 'aside');
    mkdirSync(outside);
    mkdirSync(aside);
    mkdirSync(join(temp.path, 'dest/share/sub'), { recursive: true });
    const stop = new SharedArrayBuffer(4);
    const folder = join(temp.path, 'dest/share/sub');
    const swapper = new Worker(SWAPPER, {
      eval: true,
      workerData: { folder, aside, outside, stop },
    });
    const swaps = new Promise<number>((resolve) => swapper.once('message', resolve));
    const ended = new Promise((resolve) => swapper.once('exit', resolve));
    let refused = 0;
    try {
      for (let run = 0; run < 30 || (refused === 0 && run < 1000); run++) {
        try {
          await stageAndPlace(info, content, join(temp.path, 'dest'), pool, { policy: 'overwrite' });
        } catch (error) {
          if (!(error instanceof PeerwireError)) throw error;
          refused++;
        }
        assert.deepEqual(readdirSync(outside), []);
      }
    } finally {
      Atomics.store(new Int32Array(stop), 0, 1);
      await ended;
      pool.dispose();
    }
    assert.ok((await swaps) > 0, 'nothing was swapped');
    assert.ok(refused > 0, 'no run met a link');
  }).timeout(180_000);
});
