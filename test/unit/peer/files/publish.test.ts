import assert from 'node:assert/strict';
import { appendFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readStamp } from '../../../../src/bittorrent/file-stamp.ts';
import { pieceHash, verifyPieceLayers } from '../../../../src/bittorrent/metainfo.ts';
import { buildVersion } from '../../../../src/peer/files/publish.ts';
import { type WalkResult, walk } from '../../../../src/peer/files/walk.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { HASH_WORKER } from './hash-worker-path.ts';

describe('buildVersion', () => {
  const temp = useTempDir();
  const pool = new HashPool({ workerUrl: HASH_WORKER, size: 2 });
  after(() => pool.dispose());

  const build = (walked: WalkResult, extra: { signal?: AbortSignal } = {}) =>
    buildVersion({ files: walked.files, name: walked.name, single: walked.single, pool, ...extra });

  it('makes a version whose sources match its files by index', async () => {
    temp.file('s/z', Buffer.alloc(200_000, 1));
    temp.file('s/a/b', 'ab');
    temp.file('s/a.x', 'ax');
    temp.file('s/empty', '');
    const progress: number[] = [];
    const walked = await walk(join(temp.path, 's'));
    const { info, layers, sources } = await buildVersion({
      files: [...walked.files].reverse(),
      name: 'renamed',
      single: false,
      pool,
      onProgress: ({ done, total }) => progress.push(done / total),
    });
    assert.equal(info.name, 'renamed');
    assert.equal(info.size, 200_004);
    assert.equal(sources.length, info.files.length);
    for (const [index, file] of info.files.entries()) {
      assert.equal(sources[index]?.absolute, join(temp.path, 's', ...file.path));
      assert.equal(sources[index]?.size, file.length);
      assert.equal(sources[index]?.stamp, await readStamp(sources[index]!.absolute));
    }
    verifyPieceLayers(info, layers);
    for (let piece = 0; piece < info.pieceCount; piece++) assert.ok(pieceHash(info, layers, piece));
    assert.equal(progress.at(-1), 1);
  });

  it('shares a single file under the name given', async () => {
    const walked = await walk(temp.file('local.bin', 'content'));
    const { info, sources } = await buildVersion({ files: walked.files, name: 'public.bin', single: true, pool });
    assert.equal(info.single, true);
    assert.deepEqual(info.files[0]?.path, ['public.bin']);
    assert.equal(sources[0]?.absolute, join(temp.path, 'local.bin'));
  });

  it('gives the same infohash for the same content, whatever the times are', async () => {
    temp.file('one/s/f', 'same');
    temp.file('two/s/f', 'same');
    utimesSync(join(temp.path, 'two/s/f'), 1, 1);
    const [one, two] = [
      await build(await walk(join(temp.path, 'one/s'))),
      await build(await walk(join(temp.path, 'two/s'))),
    ];
    assert.equal(one.info.infoHash, two.info.infoHash);
  });

  it('refuses files that changed, vanished or were replaced after the walk', async () => {
    const changes: ((path: string) => void)[] = [
      (path) => appendFileSync(path, 'x'),
      (path) => writeFileSync(path, 'tnetnoc'),
      (path) => rmSync(path),
    ];
    for (const [index, change] of changes.entries()) {
      const path = temp.file(`s${index}/f`, 'content');
      utimesSync(path, 1, 1);
      const walked = await walk(join(temp.path, `s${index}`));
      change(path);
      await assert.rejects(build(walked), { code: 'stale' });
    }
  });

  it('refuses a version in which an early file changed while a later one was hashed', async () => {
    // One worker takes the first 64 files in one message, then the big one in several.
    const serial = new HashPool({ workerUrl: HASH_WORKER, size: 1 });
    for (let index = 0; index < 64; index++) temp.file(`s/a${index}`, 'early');
    temp.file('s/b', Buffer.alloc(40 << 20));
    for (let index = 0; index < 64; index++) utimesSync(join(temp.path, `s/a${index}`), 1, 1);
    const walked = await walk(join(temp.path, 's'));
    const seen: number[] = [];
    const onProgress = ({ done }: { done: number }): void => {
      seen.push(done);
      if (done === 64 * 5) writeFileSync(join(temp.path, 's/a0'), 'LATER');
    };
    const building = buildVersion({ files: walked.files, name: 's', single: false, pool: serial, onProgress });
    await assert.rejects(building, { code: 'stale', message: /changed while it was being read/ });
    serial.dispose();
    assert.ok(seen.includes(64 * 5));
  });

  it('has nothing to share without files, and refuses a name that others cannot have', async () => {
    temp.file('s/.env');
    await assert.rejects(build(await walk(join(temp.path, 's'))), { code: 'usage' });
    const walked = await walk(temp.file('ok'));
    await assert.rejects(buildVersion({ files: walked.files, name: '../x', single: true, pool }), {
      code: 'unsafe-path',
    });
  });

  it('can be cancelled', async () => {
    temp.file('s/f', 'x');
    await assert.rejects(build(await walk(join(temp.path, 's')), { signal: AbortSignal.abort() }), {
      code: 'cancelled',
    });
  });
});
