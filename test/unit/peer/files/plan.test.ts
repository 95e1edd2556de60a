import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileStamp, readStamp } from '../../../../src/bittorrent/file-stamp.ts';
import type { Info } from '../../../../src/bittorrent/metainfo.ts';
import { type FilesPlan, planFiles } from '../../../../src/peer/files/plan.ts';
import { RootCache } from '../../../../src/peer/files/root-cache.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { HASH_WORKER } from './hash-worker-path.ts';
import { stageAndPlace, versionOf } from './version.ts';

/** Counts the files that it is asked to hash. */
class CountingPool extends HashPool {
  hashed = 0;

  override async hashFiles(...parameters: Parameters<HashPool['hashFiles']>): ReturnType<HashPool['hashFiles']> {
    this.hashed += parameters[0].length;
    return await super.hashFiles(...parameters);
  }
}

describe('planFiles', () => {
  const temp = useTempDir();
  const pool = new CountingPool({ workerUrl: HASH_WORKER, size: 1 });
  after(() => pool.dispose());
  beforeEach(() => {
    pool.hashed = 0;
  });

  const CONTENT = { 'a.txt': 'one', 'sub/b.txt': 'two', 'sub/deep/c': 'three', none: '' };
  const info = versionOf('share', CONTENT);
  const plan = (version: Info = info, options: { file?: string; cache?: RootCache } = {}): Promise<FilesPlan> =>
    planFiles(version, join(temp.path, 'dest'), { pool, ...options });
  const states = ({ files }: FilesPlan) => Object.fromEntries(files.map(({ path, state }) => [path, state]));
  const copies = ({ files }: FilesPlan) =>
    Object.fromEntries(files.flatMap(({ path, copyFrom }) => (copyFrom === undefined ? [] : [[path, copyFrom]])));

  it('finds all missing where nothing is, without making anything', async () => {
    const result = await plan();
    assert.equal(result.target, join(temp.path, 'dest/share'));
    assert.deepEqual(new Set(Object.values(states(result))), new Set(['missing']));
    assert.deepEqual([result.missing, result.same, result.different, result.fetchSize], [4, 0, 0, 11]);
    assert.equal(result.files[0]?.target, join(temp.path, 'dest/share', ...info.files[0]!.path));
    assert.deepEqual(readdirSync(temp.path), []);
    assert.equal(pool.hashed, 0);
  });

  it('tells same from different by content alone', async () => {
    temp.file('dest/share/a.txt', 'one');
    temp.file('dest/share/sub/b.txt', 'TWO');
    temp.file('dest/share/sub/deep/c', 'longer than three');
    temp.file('dest/share/none', '');
    utimesSync(join(temp.path, 'dest/share/a.txt'), 1, 1);
    const result = await plan();
    assert.deepEqual(states(result), {
      'a.txt': 'same',
      none: 'same',
      'sub/b.txt': 'different',
      'sub/deep/c': 'different',
    });
    assert.deepEqual([result.missing, result.same, result.different, result.fetchSize], [0, 2, 2, 8]);
  });

  it('calls a link or a folder in a place different, and looks behind no link', async () => {
    temp.file('outside/b.txt', 'two');
    temp.file('dest/share/a.txt/inner');
    symlinkSync(join(temp.path, 'outside'), join(temp.path, 'dest/share/sub'));
    const result = await plan();
    assert.deepEqual(states(result), {
      'a.txt': 'different',
      none: 'missing',
      'sub/b.txt': 'different',
      'sub/deep/c': 'different',
    });
    assert.deepEqual(copies(result), {});
  });

  it('is about one file when one is named', async () => {
    const result = await plan(info, { file: 'sub/b.txt' });
    assert.deepEqual(states(result), { 'sub/b.txt': 'missing' });
    assert.equal(result.fetchSize, 3);
    await assert.rejects(plan(info, { file: 'sub' }), { code: 'not-found' });
    await assert.rejects(plan(info, { file: '../x' }), { code: 'not-found' });
  });

  it('handles a single-file share', async () => {
    const single = versionOf('f.txt', { 'f.txt': 'text' });
    temp.file('dest/f.txt', 'text');
    const result = await plan(single);
    assert.equal(result.target, join(temp.path, 'dest/f.txt'));
    assert.equal(result.files[0]?.target, result.target);
    assert.equal(result.same, 1);
  });

  it('lists what is risky, but for what is the same already', async () => {
    const content = { '.vscode/a.json': 'a', '.envrc': 'b', ok: 'c' };
    temp.file('dest/proj/.envrc', 'b');
    assert.deepEqual((await plan(versionOf('proj', content))).risky, ['.vscode/a.json']);
  });

  it('finds content of the same name elsewhere in the destination, also where a different file is', async () => {
    temp.file('dest/share/sub/b.txt', 'mine');
    temp.file('dest/old/b.txt', 'two');
    temp.file('dest/share/moved/deeper/a.txt', 'one');
    temp.file('dest/elsewhere/c', 'THREE');
    temp.file('dest/.git/c', 'three');
    temp.file('dest/.peerwire-0123456789abcdef/c', 'three');
    symlinkSync(temp.file('c', 'three'), join(temp.path, 'dest/c'));
    const result = await plan();
    assert.deepEqual(copies(result), {
      'a.txt': join(temp.path, 'dest/share/moved/deeper/a.txt'),
      'sub/b.txt': join(temp.path, 'dest/old/b.txt'),
    });
    assert.equal(result.fetchSize, 5);
  });

  it('finds bigger content under any name, even behind others of its size', async () => {
    const big = 'x'.repeat(100_000);
    for (const name of ['1', '2', '3']) temp.file(`dest/a/${name}`, name.repeat(100_000));
    temp.file('dest/b/renamed.bin', big);
    const result = await plan(versionOf('big', { 'data.bin': big }));
    assert.deepEqual(copies(result), { 'data.bin': join(temp.path, 'dest/b/renamed.bin') });
    assert.equal(result.fetchSize, 0);
  });

  it('costs no hashing the second time, and notices every change', async () => {
    const cache = new RootCache();
    await stageAndPlace(info, CONTENT, join(temp.path, 'dest'), pool);
    const path = join(temp.path, 'dest/share/sub/b.txt');
    pool.hashed = 0;
    await plan(info, { cache });
    assert.equal(pool.hashed, 3);
    await plan(info, { cache });
    assert.equal(pool.hashed, 3);
    const again = await plan(info, { file: 'sub/b.txt', cache });
    assert.equal(states(again)['sub/b.txt'], 'same');
    assert.equal(again.files[0]?.stamp, await readStamp(path));
    // At once, of the same size, and with its old modification time.
    const stats = statSync(path);
    writeFileSync(path, 'TWO');
    utimesSync(path, stats.atime, stats.mtime);
    assert.equal(states(await plan(info, { file: 'sub/b.txt', cache }))['sub/b.txt'], 'different');
  });

  it('says that the destination is a file, and can be cancelled', async () => {
    temp.file('dest', 'a file');
    await assert.rejects(plan(), { code: 'exists' });
    const other = join(temp.path, 'other');
    mkdirSync(other);
    temp.file('other/share/a.txt', 'one');
    const cancelled = planFiles(info, other, { pool, signal: AbortSignal.abort() });
    await assert.rejects(cancelled, { code: 'cancelled' });
  });
});

describe('RootCache', () => {
  const stamp = (text: string) => text as FileStamp;

  it('forgets the oldest beyond its bound, and keeps nothing that has only just changed', () => {
    const cache = new RootCache();
    const root = Buffer.alloc(32);
    for (let index = 0; index <= 50_000; index++)
      cache.set(`${index}`, { stamp: stamp('1.0.0.1'), root, settled: true });
    assert.equal(cache.get('0', stamp('1.0.0.1')), undefined);
    assert.equal(cache.get('1', stamp('1.0.0.1'))?.root, root);
    cache.set('fresh', { stamp: stamp('1.9.9.1'), root, settled: false });
    assert.equal(cache.get('fresh', stamp('1.9.9.1')), undefined);
    assert.equal(cache.get('2', stamp('1.0.1.1')), undefined);
  });
});
