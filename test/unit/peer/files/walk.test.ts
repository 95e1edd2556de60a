import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readStamp } from '../../../../src/bittorrent/file-stamp.ts';
import { errorCode } from '../../../../src/common/errors.ts';
import { walk } from '../../../../src/peer/files/walk.ts';
import { useTempDir } from '../../temp-dir.ts';

const paths = (files: readonly { readonly path: readonly string[] }[]): string[] =>
  files.map(({ path }) => path.join('/'));

describe('walk', () => {
  const temp = useTempDir();

  it('lists files with their sizes and times in the order of a torrent', async () => {
    temp.file('s/b/2', '22');
    temp.file('s/a', '1');
    temp.file('s/b.x', '');
    const result = await walk(join(temp.path, 's'));
    assert.deepEqual(paths(result.files), ['a', 'b/2', 'b.x']);
    assert.deepEqual(
      result.files.map(({ size }) => size),
      [1, 2, 0],
    );
    assert.equal(result.size, 3);
    assert.equal(result.name, 's');
    assert.equal(result.single, false);
    assert.equal(result.root, join(temp.path, 's'));
    assert.equal(result.files[0]?.absolute, join(temp.path, 's/a'));
    assert.equal(result.files[0]?.stamp, await readStamp(join(temp.path, 's/a')));
  });

  it('takes a single file, whatever ignore rules say', async () => {
    mkdirSync(join(temp.path, '.git'));
    temp.file('.gitignore', '*.log\n');
    const file = temp.file('x.log', 'abc');
    const result = await walk(file);
    assert.deepEqual(paths(result.files), ['x.log']);
    assert.equal(result.single, true);
    assert.equal(result.size, 3);
  });

  it('leaves out secrets unless told otherwise, also a single one', async () => {
    temp.file('s/.env');
    temp.file('s/.env.example');
    temp.file('s/deep/id_rsa');
    temp.file('s/.ssh/known_hosts');
    const careful = await walk(join(temp.path, 's'));
    assert.deepEqual(careful.secrets, ['.env', '.ssh', 'deep/id_rsa']);
    assert.deepEqual(paths(careful.files), ['.env.example']);
    const all = await walk(join(temp.path, 's'), { includeSecrets: true });
    assert.deepEqual(paths(all.files), ['.env', '.env.example', '.ssh/known_hosts', 'deep/id_rsa']);
    assert.deepEqual((await walk(join(temp.path, 's/.env'))).secrets, ['.env']);
    assert.equal((await walk(join(temp.path, 's/.env'), { includeSecrets: true })).files.length, 1);
  });

  it('never follows a link below the folder, and names each', async () => {
    temp.file('outside/secret.txt');
    temp.file('s/real');
    symlinkSync(join(temp.path, 'outside'), join(temp.path, 's/dir'));
    symlinkSync(join(temp.path, 'outside/secret.txt'), join(temp.path, 's/file'));
    symlinkSync('nowhere', join(temp.path, 's/dangling'));
    symlinkSync('.', join(temp.path, 's/loop'));
    const result = await walk(join(temp.path, 's'));
    assert.deepEqual(paths(result.files), ['real']);
    assert.deepEqual(
      result.skipped.map(({ path }) => path),
      ['dangling', 'dir', 'file', 'loop'],
    );
    for (const { reason } of result.skipped) assert.match(reason, /link/);
  });

  it('follows the link that the user named, and keeps the name that was seen', async () => {
    temp.file('v1.2/a');
    symlinkSync('v1.2', join(temp.path, 'current'));
    const result = await walk(join(temp.path, 'current'));
    assert.equal(result.name, 'current');
    assert.equal(result.root, realpathSync(join(temp.path, 'v1.2')));
    assert.deepEqual(paths(result.files), ['a']);
  });

  it('names what other systems refuse, instead of failing or renaming', async function () {
    if (process.platform !== 'linux') this.skip();
    for (const name of ['aux', 'a:b', 'trail.', 'x\u202ey', 'Case', 'case', 'ok']) temp.file(`s/${name}`);
    temp.file('s/con/inner');
    const { files, skipped } = await walk(join(temp.path, 's'));
    assert.deepEqual(paths(files).sort(), ['Case', 'ok']);
    assert.deepEqual(skipped.map(({ path }) => path).sort(), ['a:b', 'aux', 'case', 'con', 'trail.', 'x\u202ey']);
    assert.match(skipped.find(({ path }) => path === 'case')?.reason ?? '', /same as “Case”/);
  });

  it('shares a decomposed name in the form that everyone else uses', async () => {
    temp.file('s/cafe\u0301');
    const { files, skipped } = await walk(join(temp.path, 's'));
    assert.deepEqual(skipped, []);
    assert.deepEqual(paths(files), ['caf\u00e9']);
    assert.equal(files[0]?.absolute, join(temp.path, 's/cafe\u0301'));
  });

  it('skips a name that is not UTF-8', async function () {
    if (process.platform !== 'linux') this.skip();
    temp.file('s/ok');
    writeFileSync(Buffer.concat([Buffer.from(join(temp.path, 's/bad-')), Buffer.from([0xff])]), '');
    const { files, skipped } = await walk(join(temp.path, 's'));
    assert.deepEqual(paths(files), ['ok']);
    assert.equal(skipped.length, 1);
  });

  it('skips pipes without waiting for a writer', async function () {
    if (process.platform === 'win32') this.skip();
    temp.file('s/ok');
    execFileSync('mkfifo', [join(temp.path, 's/pipe')]);
    const { files, skipped } = await walk(join(temp.path, 's'));
    assert.deepEqual(paths(files), ['ok']);
    assert.deepEqual(
      skipped.map(({ path }) => path),
      ['pipe'],
    );
    await assert.rejects(walk(join(temp.path, 's/pipe')), (error) => errorCode(error) === 'unsupported');
  });

  it('goes on past a folder and a file that it may not read', async function () {
    if (process.platform === 'win32') this.skip();
    temp.file('s/ok');
    temp.file('s/locked/x');
    chmodSync(join(temp.path, 's/locked'), 0);
    // Root may read everything: be somebody else meanwhile. (For access(2), which judges files, one stays root.)
    const root = process.geteuid?.() === 0;
    if (root) chmodSync(temp.path, 0o755);
    else chmodSync(temp.file('s/sealed'), 0);
    try {
      if (root) process.seteuid?.(65_534);
      const { files, skipped } = await walk(join(temp.path, 's'));
      assert.deepEqual(paths(files), ['ok']);
      assert.deepEqual(
        skipped.map(({ path }) => path),
        root ? ['locked'] : ['locked', 'sealed'],
      );
      await assert.rejects(walk(join(temp.path, 's/locked')), {
        code: 'permission',
        message: /^You are not permitted/,
      });
    } finally {
      if (root) process.seteuid?.(0);
      chmodSync(join(temp.path, 's/locked'), 0o700);
    }
  });

  it('leaves out .git files and staging directories', async () => {
    temp.file('s/sub/.git', 'gitdir: elsewhere');
    temp.file('s/.peerwire-0123456789abcdef/0');
    temp.file('s/.peerwire-notes');
    assert.deepEqual(paths((await walk(join(temp.path, 's'))).files), ['.peerwire-notes']);
  });

  it('refuses what is not there', async () => {
    await assert.rejects(walk(join(temp.path, 'gone')), { code: 'not-found', message: /does not exist\.$/ });
  });

  it('walks 2,000 files, tells its progress, and can be cancelled', async () => {
    for (let index = 0; index < 2000; index++) temp.file(`s/${index % 40}/${index % 7}/${index}.txt`, `${index}`);
    const steps: number[] = [];
    const result = await walk(join(temp.path, 's'), { onProgress: ({ files }) => steps.push(files) });
    assert.equal(result.files.length, 2000);
    assert.equal(new Set(paths(result.files)).size, 2000);
    assert.equal(steps.at(-1), 2000);
    assert.deepEqual(
      steps,
      [...steps].sort((a, b) => a - b),
    );
    const abort = new AbortController();
    const cancelled = walk(join(temp.path, 's'), { signal: abort.signal, onProgress: () => abort.abort() });
    await assert.rejects(cancelled, { code: 'cancelled' });
  });
});
