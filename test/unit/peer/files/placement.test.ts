import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, relative } from 'node:path';
import fc from 'fast-check';
import { createInfo } from '../../../../src/bittorrent/metainfo.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { isStagingDir, place, removeStaging, stagingDir } from '../../../../src/peer/files/placement.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { HASH_WORKER } from './hash-worker-path.ts';
import { type Content, stageAndPlace, versionOf } from './version.ts';

/** Every file below a folder with its content; a link as `-> target`. */
function tree(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) found[relative(folder, path)] = `-> ${readlinkSync(path)}`;
    else if (entry.isFile()) found[relative(folder, path)] = readFileSync(path, 'utf8');
  }
  return found;
}

/** The same, without what is still staged. */
function placedTree(folder: string): Record<string, string> {
  return Object.fromEntries(Object.entries(tree(folder)).filter(([path]) => !path.startsWith('.peerwire-')));
}

describe('staging', () => {
  const temp = useTempDir();

  it('is private, on the same file system, invisible to git, and made where nothing was', async () => {
    const destination = join(temp.path, 'new/sub');
    const staging = await stagingDir(destination);
    const stats = statSync(staging);
    if (process.platform !== 'win32') assert.equal(stats.mode & 0o777, 0o700);
    assert.equal(stats.dev, statSync(destination).dev);
    assert.match(basename(staging), /^\.peerwire-[0-9a-f]{16}$/);
    assert.equal(readFileSync(join(staging, '.gitignore'), 'utf8'), '*\n');
    assert.equal(await isStagingDir(staging), true);
    assert.notEqual(await stagingDir(destination), staging);
  });

  it('is deleted with all in it; nothing else ever is', async () => {
    const staging = await stagingDir(temp.path);
    mkdirSync(join(staging, 'a'));
    writeFileSync(join(staging, 'a/0'), 'x');
    await removeStaging(staging);
    assert.equal(existsSync(staging), false);
    await removeStaging(staging);
    const precious = temp.file('precious/file');
    await removeStaging(join(temp.path, 'precious'));
    symlinkSync(join(temp.path, 'precious'), join(temp.path, '.peerwire-0123456789abcdef'));
    await removeStaging(join(temp.path, '.peerwire-0123456789abcdef'));
    assert.equal(await isStagingDir(join(temp.path, '.peerwire-0123456789abcdef')), false);
    assert.equal(readFileSync(precious, 'utf8'), 'precious/file');
  });

  it('says that a destination is a file', async () => {
    await assert.rejects(stagingDir(temp.file('file')), { code: 'exists' });
    await assert.rejects(stagingDir(join(temp.file('file'), 'x')), (error) => error instanceof PeerwireError);
  });
});

describe('place', () => {
  const temp = useTempDir();
  const pool = new HashPool({ workerUrl: HASH_WORKER, size: 1 });
  after(() => pool.dispose());

  const CONTENT: Content = { 'a.txt': 'one', 'sub/b.txt': 'two', 'sub/deep/c': 'three', 'empty/none': '' };
  const folder = versionOf('share', CONTENT);
  const single = versionOf('file.txt', { 'file.txt': 'only' });

  it('puts a folder under its name, with plain modes, and leaves the staging directory empty', async () => {
    const placed = await stageAndPlace(folder, CONTENT, join(temp.path, 'dest'), pool);
    assert.deepEqual(placedTree(join(temp.path, 'dest/share')), CONTENT);
    for (const { fileIndex, path, outcome } of placed) {
      assert.equal(outcome, 'placed');
      assert.equal(path, join(temp.path, 'dest/share', ...folder.files[fileIndex]!.path));
      if (process.platform === 'win32') continue;
      assert.equal(statSync(path).mode & 0o777, 0o644 & ~process.umask());
      assert.equal(statSync(path).nlink, 1);
    }
    if (process.platform !== 'win32')
      assert.equal(statSync(join(temp.path, 'dest/share/sub')).mode & 0o777, 0o755 & ~process.umask());
    const [staging] = readdirSync(join(temp.path, 'dest')).filter((name) => name.startsWith('.peerwire-'));
    assert.deepEqual(readdirSync(join(temp.path, 'dest', staging!)), ['.gitignore']);
  });

  it('never makes a file executable', async function () {
    if (process.platform === 'win32') this.skip();
    const staging = await stagingDir(temp.path);
    writeFileSync(join(staging, '0'), 'only');
    chmodSync(join(staging, '0'), 0o4777);
    const stagedPath = (): string => join(staging, '0');
    await place({
      info: single,
      files: [0],
      stagedPath,
      destination: temp.path,
      policy: 'fail',
      allowRisky: false,
      pool,
    });
    assert.equal(statSync(join(temp.path, 'file.txt')).mode & 0o7777, 0o644 & ~process.umask());
  });

  it('places only the files asked for', async () => {
    const index = folder.files.findIndex(({ path }) => path.join('/') === 'sub/b.txt');
    const placed = await stageAndPlace(folder, CONTENT, temp.path, pool, { files: [index, index] });
    assert.deepEqual(
      placed.map(({ path }) => path),
      [join(temp.path, 'share/sub/b.txt')],
    );
    assert.deepEqual(placedTree(temp.path), { 'share/sub/b.txt': 'two' });
  });

  it('goes through a destination that is a link, since the user chose it', async () => {
    mkdirSync(join(temp.path, 'real'));
    symlinkSync('real', join(temp.path, 'link'));
    const [placed] = await stageAndPlace(single, { 'file.txt': 'only' }, join(temp.path, 'link'), pool);
    assert.equal(placed?.path, join(temp.path, 'real/file.txt'));
    assert.equal(readFileSync(join(temp.path, 'real/file.txt'), 'utf8'), 'only');
  });

  it('counts the same content as placed, without touching it or needing the staged file', async () => {
    temp.file('share/a.txt', 'one');
    const look = (): number[] => {
      const { ino, mtimeMs, ctimeMs, nlink } = lstatSync(join(temp.path, 'share/a.txt'));
      return [ino, mtimeMs, ctimeMs, nlink];
    };
    const before = look();
    const index = folder.files.findIndex(({ path }) => path.join('/') === 'a.txt');
    const staging = await stagingDir(temp.path);
    const stagedPath = (): string => join(staging, 'nothing');
    const options = { info: folder, files: [index], stagedPath, destination: temp.path, allowRisky: false, pool };
    for (const policy of ['fail', 'skip', 'overwrite', 'keep-both'] as const) {
      const [placed] = await place({ ...options, policy });
      assert.equal(placed?.outcome, 'same');
    }
    assert.deepEqual(look(), before);
  });

  describe('when other content is there', () => {
    it('fail: places nothing at all and names the files', async () => {
      temp.file('share/sub/b.txt', 'mine');
      const placing = stageAndPlace(folder, CONTENT, temp.path, pool);
      await assert.rejects(placing, { code: 'exists', message: /“share\/sub\/b\.txt” is there already/ });
      assert.deepEqual(placedTree(temp.path), { 'share/sub/b.txt': 'mine' });
    });

    it('skip: places the others', async () => {
      temp.file('share/sub/b.txt', 'mine');
      const placed = await stageAndPlace(folder, CONTENT, temp.path, pool, { policy: 'skip' });
      assert.deepEqual(placedTree(join(temp.path, 'share')), { ...CONTENT, 'sub/b.txt': 'mine' });
      assert.deepEqual(placed.map(({ outcome }) => outcome).sort(), ['placed', 'placed', 'placed', 'skipped']);
    });

    it('overwrite: replaces it in one step, also by an empty file', async () => {
      temp.file('share/sub/b.txt', 'mine');
      temp.file('share/empty/none', 'not empty');
      const placed = await stageAndPlace(folder, CONTENT, temp.path, pool, { policy: 'overwrite' });
      assert.deepEqual(placedTree(join(temp.path, 'share')), CONTENT);
      assert.deepEqual(placed.map(({ outcome }) => outcome).sort(), ['overwritten', 'overwritten', 'placed', 'placed']);
    });

    it('overwrite: a file that somebody has linked elsewhere keeps its content there', async () => {
      temp.file('share/a.txt', 'mine');
      linkSync(join(temp.path, 'share/a.txt'), join(temp.path, 'elsewhere'));
      await stageAndPlace(folder, CONTENT, temp.path, pool, { policy: 'overwrite' });
      assert.equal(readFileSync(join(temp.path, 'elsewhere'), 'utf8'), 'mine');
    });

    it('keep-both: finds the next free name, and knows its own from a run before', async () => {
      temp.file('share/a.txt', 'mine');
      temp.file('share/a (2).txt', 'also mine');
      const content = { ...CONTENT, 'a (3).txt': 'belongs to the share' };
      const info = versionOf('share', content);
      const expected = { ...content, 'a.txt': 'mine', 'a (2).txt': 'also mine', 'a (4).txt': 'one' };
      for (let run = 0; run < 2; run++) {
        const placed = await stageAndPlace(info, content, temp.path, pool, { policy: 'keep-both' });
        assert.deepEqual(placedTree(join(temp.path, 'share')), expected);
        const kept = placed.find(({ outcome }) => outcome === 'kept-both');
        assert.equal(kept?.path, join(temp.path, 'share/a (4).txt'));
      }
    });
  });

  describe('when something is in the way', () => {
    it('a folder in the place of a file: refused, skipped or avoided', async () => {
      temp.file('share/a.txt/inner');
      for (const policy of ['fail', 'overwrite'] as const) {
        const placing = stageAndPlace(folder, CONTENT, temp.path, pool, { policy });
        await assert.rejects(placing, { code: 'exists', message: /A folder is in the way at .*share\/a\.txt/ });
        assert.deepEqual(placedTree(temp.path), { 'share/a.txt/inner': 'share/a.txt/inner' });
      }
      await stageAndPlace(folder, CONTENT, temp.path, pool, { policy: 'skip' });
      await stageAndPlace(folder, CONTENT, temp.path, pool, { policy: 'keep-both' });
      const { 'a.txt': one, ...others } = CONTENT;
      const expected = { ...others, 'a.txt/inner': 'share/a.txt/inner', 'a (2).txt': one };
      assert.deepEqual(placedTree(join(temp.path, 'share')), expected);
    });

    for (const policy of ['fail', 'skip', 'overwrite', 'keep-both'] as const) {
      it(`${policy}: a file in the place of a folder is refused before anything is placed`, async () => {
        temp.file('share/sub', 'a file');
        const placing = stageAndPlace(folder, CONTENT, temp.path, pool, { policy });
        await assert.rejects(placing, { code: 'exists', message: /A file is in the way at .*share\/sub/ });
        assert.deepEqual(placedTree(temp.path), { 'share/sub': 'a file' });
      });

      it(`${policy}: a link at an ancestor is refused before anything is placed`, async () => {
        mkdirSync(join(temp.path, 'outside'));
        mkdirSync(join(temp.path, 'dest/share'), { recursive: true });
        symlinkSync(join(temp.path, 'outside'), join(temp.path, 'dest/share/sub'));
        const placing = stageAndPlace(folder, CONTENT, join(temp.path, 'dest'), pool, { policy });
        await assert.rejects(placing, { code: 'unsafe-path', message: /share\/sub is a link/ });
        assert.deepEqual(placedTree(join(temp.path, 'dest')), { 'share/sub': `-> ${join(temp.path, 'outside')}` });
        assert.deepEqual(tree(join(temp.path, 'outside')), {});
      });

      it(`${policy}: a link in the place of the share is refused`, async () => {
        mkdirSync(join(temp.path, 'outside'));
        mkdirSync(join(temp.path, 'dest'));
        symlinkSync('../outside', join(temp.path, 'dest/share'));
        const placing = stageAndPlace(folder, CONTENT, join(temp.path, 'dest'), pool, { policy });
        await assert.rejects(placing, { code: 'unsafe-path' });
        assert.deepEqual(tree(join(temp.path, 'outside')), {});
      });

      it(`${policy}: a link at the target, dangling or not, is neither followed nor replaced`, async () => {
        const victim = temp.file('victim', 'precious');
        for (const target of [victim, join(temp.path, 'dangling')]) {
          const destination = join(temp.path, 'dest', basename(target));
          mkdirSync(destination, { recursive: true });
          symlinkSync(target, join(destination, 'file.txt'));
          const placing = stageAndPlace(single, { 'file.txt': 'only' }, destination, pool, { policy });
          await assert.rejects(placing, { code: 'unsafe-path', message: /file\.txt is a link/ });
          assert.deepEqual(placedTree(destination), { 'file.txt': `-> ${target}` });
        }
        assert.equal(readFileSync(victim, 'utf8'), 'precious');
        assert.equal(existsSync(join(temp.path, 'dangling')), false);
      });
    }
  });

  it('asks before it places what can run, and names it', async () => {
    const content = { '.vscode/tasks.json': '{}', 'a/.envrc': 'x', 'ok.txt': 'ok' };
    const info = versionOf('project', content);
    await assert.rejects(stageAndPlace(info, content, temp.path, pool), {
      code: 'usage',
      message: /“project\/\.vscode\/tasks\.json”, “project\/a\/\.envrc” can run/,
    });
    assert.deepEqual(placedTree(temp.path), {});
    await stageAndPlace(info, content, temp.path, pool, { allowRisky: true });
    assert.deepEqual(placedTree(join(temp.path, 'project')), content);
  });

  it('does not place a staged file that is missing, short or a link', async () => {
    const staging = await stagingDir(temp.path);
    const options = {
      info: single,
      files: [0],
      destination: temp.path,
      policy: 'fail',
      allowRisky: false,
      pool,
    } as const;
    const attempt = (name: string) => place({ ...options, stagedPath: () => join(staging, name) });
    await assert.rejects(attempt('gone'), { code: 'not-found' });
    writeFileSync(join(staging, 'short'), 'onl');
    await assert.rejects(attempt('short'), { code: 'corrupt' });
    symlinkSync(temp.file('four', 'four'), join(staging, 'link'));
    await assert.rejects(attempt('link'), { code: 'corrupt' });
    assert.equal(existsSync(join(temp.path, 'file.txt')), false);
  });

  it('finishes what an earlier run began, at whatever point that ended', async () => {
    // Linked but not yet unlinked, placed, and not yet placed.
    const staging = await stagingDir(temp.path);
    const names = folder.files.map(({ path }) => path.join('/'));
    for (const [index, name] of names.entries())
      if (name !== 'empty/none') writeFileSync(join(staging, `${index}`), CONTENT[name]!);
    mkdirSync(join(temp.path, 'share/sub'), { recursive: true });
    linkSync(join(staging, `${names.indexOf('a.txt')}`), join(temp.path, 'share/a.txt'));
    linkSync(join(staging, `${names.indexOf('sub/b.txt')}`), join(temp.path, 'share/sub/b.txt'));
    rmSync(join(staging, `${names.indexOf('sub/b.txt')}`));
    const stagedPath = (index: number): string => join(staging, `${index}`);
    const options = {
      info: folder,
      files: [...names.keys()],
      stagedPath,
      destination: temp.path,
      policy: 'fail',
      allowRisky: false,
      pool,
    };
    const placed = await place({ ...options, policy: 'fail' });
    const outcomes = Object.fromEntries(placed.map(({ fileIndex, outcome }) => [names[fileIndex], outcome]));
    assert.deepEqual(outcomes, {
      'a.txt': 'same',
      'sub/b.txt': 'same',
      'sub/deep/c': 'placed',
      'empty/none': 'placed',
    });
    assert.deepEqual(placedTree(join(temp.path, 'share')), CONTENT);
  });

  it('can be cancelled, and finished later', async () => {
    const cancelled = stageAndPlace(folder, CONTENT, temp.path, pool, { signal: AbortSignal.abort() });
    await assert.rejects(cancelled, { code: 'cancelled' });
    await stageAndPlace(folder, CONTENT, temp.path, pool);
    assert.deepEqual(placedTree(join(temp.path, 'share')), CONTENT);
  });

  it('for any names either refuses the version or stays inside the destination', async () => {
    const nasty = fc.constantFrom(
      '..',
      '.',
      '',
      '/',
      '\\',
      'a/../b',
      '../x',
      'C:',
      '\0',
      'aux',
      'a',
      'A',
      'b',
      '.git',
      '~',
      'nul.txt',
      ' ',
      'é',
      '..\\x',
    );
    const component = fc.oneof(nasty, fc.string({ maxLength: 6 }), fc.string({ maxLength: 6, unit: 'binary' }));
    const paths = fc.uniqueArray(fc.array(component, { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 5,
      selector: (path) => path.join('\0'),
    });
    let run = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(component, paths, async (name, files) => {
        const around = join(temp.path, `run-${run++}`);
        const destination = join(around, 'x/dest');
        mkdirSync(destination, { recursive: true });
        try {
          const content = 'content';
          const root = versionOf('f', { f: content }).files[0]?.root;
          const info = createInfo({
            name,
            pieceLength: 65_536,
            single: false,
            files: files.map((path) => ({ path, length: 7, root })),
          });
          const all = Object.fromEntries(info.files.map(({ path }) => [path.join('/'), content]));
          const placed = await stageAndPlace(info, all, destination, pool, { allowRisky: true });
          for (const { path } of placed) {
            assert.equal(readFileSync(path, 'utf8'), content);
            assert.ok(!relative(destination, path).startsWith('..'));
          }
          assert.equal(Object.keys(placedTree(destination)).length, files.length);
        } catch (error) {
          if (!(error instanceof PeerwireError)) throw error;
          assert.equal(error.code, 'unsafe-path');
          refused++;
        }
        assert.deepEqual(readdirSync(around), ['x']);
        assert.deepEqual(readdirSync(join(around, 'x')), ['dest']);
      }),
      { numRuns: 300 },
    );
    assert.ok(refused > 0 && refused < run, `${refused} of ${run} were refused`);
  }).timeout(180_000);
});
