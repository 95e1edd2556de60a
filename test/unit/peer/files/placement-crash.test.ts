import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  type FSWatcher,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Info } from '../../../../src/bittorrent/metainfo.ts';
import { place, stagingDir } from '../../../../src/peer/files/placement.ts';
import { stagedFile } from '../../../../src/peer/files/staged-file.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { Child } from './child.ts';
import { HASH_WORKER } from './hash-worker-path.ts';
import { manyFiles } from './many-files.ts';
import { type Content, versionOf } from './version.ts';

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** Stages the files of a version as a download does, but with modes that they are not to keep. */
function stageAll(staging: string, info: Info, content: Content): void {
  for (const file of info.files) {
    const path = stagedFile(staging, file);
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    writeFileSync(path, content[file.path.join('/')]!, { mode: 0o600 });
  }
}

/** Watches a folder and those below it. */
function watchFolders(folder: string, onChange: () => void): FSWatcher[] {
  const below = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...below.map((entry) => join(entry.parentPath, entry.name))].map((path) => watch(path, onChange));
}

describe('place, when it is interrupted', () => {
  const temp = useTempDir();
  const pool = new HashPool({ workerUrl: HASH_WORKER, size: 1 });
  after(() => pool.dispose());

  it('survives kill -9 at any moment: no file is ever incomplete, and the next run finishes', async () => {
    const COUNT = 3000;
    const { info, content } = manyFiles(COUNT);
    const staging = await stagingDir(temp.path);
    stageAll(staging, info, content);
    const share = join(temp.path, 'share');
    let killed = 0;
    for (const enough of [1, 500, 1200, 2000]) {
      const child = new Child('./place-child.ts', [staging, temp.path, `${COUNT}`]);
      // The kernel tells of every staged file that moves.
      let moved = COUNT + 1 - filesIn(staging).length;
      const watchers = watchFolders(staging, () => {
        if (++moved < enough) return;
        child.kill();
        for (const watcher of watchers) watcher.close();
      });
      await child.lines(() => undefined);
      for (const watcher of watchers) watcher.close();
      if ((await child.exit()) === null) killed++;
      for (const path of filesIn(share)) assert.equal(readFileSync(join(share, path), 'utf8'), content[path]);
    }
    assert.ok(killed > 0, 'no run was interrupted');
    const last = new Child('./place-child.ts', [staging, temp.path, `${COUNT}`]);
    const lines: string[] = [];
    await last.lines((line) => lines.push(line));
    assert.equal(await last.exit(), 0);
    assert.deepEqual(lines, ['begin', `placed ${COUNT}`]);
    assert.deepEqual(filesIn(share).sort(), Object.keys(content).sort());
    for (const [path, text] of Object.entries(content)) assert.equal(readFileSync(join(share, path), 'utf8'), text);
    assert.deepEqual(readdirSync(temp.path).sort(), [staging.slice(temp.path.length + 1), 'share'].sort());
  }).timeout(180_000);

  it('survives kill -9 while a whole folder is finished: nothing is lost, and nothing shows before it is complete', async () => {
    const COUNT = 3000;
    const { info, content } = manyFiles(COUNT);
    const staging = await stagingDir(temp.path);
    const share = join(temp.path, 'share');
    let killed = 0;
    for (const enough of [1, 500, 1200, 2000]) {
      // Each gets its mode, of which the kernel tells.
      stageAll(staging, info, content);
      let changes = 0;
      const child = new Child('./place-child.ts', [staging, temp.path, `${COUNT}`, 'whole']);
      const watchers = watchFolders(staging, () => {
        if (++changes < enough) return;
        child.kill();
        for (const watcher of watchers) watcher.close();
      });
      await child.lines(() => undefined);
      for (const watcher of watchers) watcher.close();
      if ((await child.exit()) !== null) break;
      killed++;
      // Or it was just fast enough.
      if (existsSync(share)) break;
      assert.equal(filesIn(staging).length, COUNT + 1);
    }
    assert.ok(killed > 0, 'no run was interrupted');
    if (!existsSync(share)) {
      const last = new Child('./place-child.ts', [staging, temp.path, `${COUNT}`, 'whole']);
      await last.lines(() => undefined);
      assert.equal(await last.exit(), 0);
    }
    for (const [path, text] of Object.entries(content)) assert.equal(readFileSync(join(share, path), 'utf8'), text);
    assert.deepEqual(filesIn(share).sort(), Object.keys(content).sort());
    assert.deepEqual(readdirSync(staging), ['.gitignore']);
  }).timeout(180_000);

  describe('by the disk', () => {
    let mounted = '';
    const mount = (options: string): void => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', mounted], { stdio: 'ignore' });
    };

    beforeEach(function () {
      mounted = '';
      // A small file system in the destination needs root on Linux.
      if (process.platform !== 'linux' || process.getuid?.() !== 0) this.skip();
      mounted = join(temp.path, 'share/small');
      mkdirSync(mounted, { recursive: true });
      try {
        mount('size=256k');
      } catch {
        mounted = '';
        this.skip();
      }
    });
    afterEach(() => {
      if (mounted !== '') execFileSync('umount', [mounted]);
    });

    const stage = async () => {
      const big = 'x'.repeat(1 << 20);
      const content = { 'other/file': 'other', 'small/big': big };
      const info = versionOf('share', content);
      const staging = await stagingDir(temp.path);
      stageAll(staging, info, content);
      const stagedPath = (index: number): string => stagedFile(staging, info.files[index]!);
      const files = [...info.files.keys()];
      return { info, files, stagedPath, destination: temp.path, policy: 'fail', allowRisky: false, pool } as const;
    };

    it('full: says so, leaves no partial file, and finishes when there is space', async () => {
      const options = await stage();
      await assert.rejects(place(options), {
        code: 'disk-full',
        message: /^The disk is full: .*share\/small\/big.*resume\.$/,
      });
      assert.deepEqual(readdirSync(mounted), []);
      execFileSync('mount', ['-o', 'remount,size=4m', mounted]);
      await place(options);
      assert.equal(statSync(join(mounted, 'big')).size, 1 << 20);
      assert.deepEqual(readdirSync(mounted), ['big']);
      assert.equal(readFileSync(join(temp.path, 'share/other/file'), 'utf8'), 'other');
    });

    it('read-only: says that it is not permitted', async () => {
      const options = await stage();
      execFileSync('mount', ['-o', 'remount,ro', mounted]);
      await assert.rejects(place(options), { code: 'permission', message: /read-only/ });
      execFileSync('mount', ['-o', 'remount,rw,size=4m', mounted]);
      await place(options);
      assert.equal(statSync(join(mounted, 'big')).size, 1 << 20);
    });
  });

  it('by a permission: says so, and finishes when it is given', async function () {
    if (process.platform !== 'linux') this.skip();
    const locked = join(temp.path, 'share');
    mkdirSync(locked);
    const content = { file: 'content' };
    const info = versionOf('share', content);
    const staging = await stagingDir(temp.path);
    writeFileSync(join(staging, '0'), content.file);
    const stagedPath = (): string => join(staging, '0');
    const options = {
      info,
      files: [0],
      stagedPath,
      destination: temp.path,
      policy: 'fail',
      allowRisky: false,
      pool,
    } as const;
    // Root may write everywhere but into an immutable folder.
    const root = process.getuid?.() === 0;
    const lock = (on: boolean): void => {
      if (root) execFileSync('chattr', [on ? '+i' : '-i', locked], { stdio: 'ignore' });
      else execFileSync('chmod', [on ? '500' : '700', locked]);
    };
    try {
      lock(true);
    } catch {
      this.skip();
    }
    try {
      await assert.rejects(place(options), {
        code: 'permission',
        message: /^You are not permitted to place “.*share\/file”; change/,
      });
    } finally {
      lock(false);
    }
    assert.deepEqual(readdirSync(locked), []);
    await place(options);
    assert.equal(readFileSync(join(locked, 'file'), 'utf8'), 'content');
    rmSync(locked, { recursive: true });
  });
});
