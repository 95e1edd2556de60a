import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { freeNames } from '../../../../src/peer/files/free-names.ts';
import { markFromNetwork } from '../../../../src/peer/files/mark-from-network.ts';
import { moveExclusive, moveOver } from '../../../../src/peer/files/move-file.ts';
import { SafeFolder } from '../../../../src/peer/files/safe-folder.ts';
import { stagingNameFor } from '../../../../src/peer/files/staging-name.ts';
import { useTempDir } from '../../temp-dir.ts';

/** What `link` does on a file system without hard links. */
const noLinks = (): void => {
  throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' });
};

describe('moveExclusive', () => {
  const temp = useTempDir();
  let folder: SafeFolder;

  beforeEach(async () => {
    mkdirSync(join(temp.path, 'dest'));
    folder = await SafeFolder.root(join(temp.path, 'dest'));
  });
  afterEach(() => folder.close());

  for (const [system, link] of [
    ['hard links', undefined],
    ['no hard links', noLinks],
  ] as const) {
    describe(`with ${system}`, () => {
      it('moves to a free name', async () => {
        const from = temp.file('from', 'content');
        assert.equal(await moveExclusive(from, folder, 'to', link), true);
        assert.equal(readFileSync(join(temp.path, 'dest/to'), 'utf8'), 'content');
        assert.equal(existsSync(from), false);
        assert.equal(statSync(join(temp.path, 'dest/to')).nlink, 1);
      });

      it('leaves whatever has the name, and the file, as they are', async () => {
        const from = temp.file('from', 'content');
        temp.file('dest/file', 'theirs');
        temp.file('dest/folder/inner');
        symlinkSync('nowhere', join(temp.path, 'dest/link'));
        for (const name of ['file', 'folder', 'link'])
          assert.equal(await moveExclusive(from, folder, name, link), false);
        assert.equal(readFileSync(join(temp.path, 'dest/file'), 'utf8'), 'theirs');
        assert.deepEqual(readdirSync(join(temp.path, 'dest')).sort(), ['file', 'folder', 'link']);
        assert.equal(readFileSync(from, 'utf8'), 'content');
      });

      it('of many that want one name exactly one gets it', async () => {
        const files = Array.from({ length: 12 }, (_, index) => temp.file(`from-${index}`, `${index}`));
        const moved = await Promise.all(files.map((from) => moveExclusive(from, folder, 'to', link)));
        assert.equal(moved.filter(Boolean).length, 1);
        assert.equal(readFileSync(join(temp.path, 'dest/to'), 'utf8'), `${moved.indexOf(true)}`);
        assert.equal(files.filter((file) => existsSync(file)).length, 11);
      });

      it('leaves nothing behind when the file is gone', async () => {
        await assert.rejects(moveExclusive(join(temp.path, 'gone'), folder, 'to', link), { code: 'ENOENT' });
        assert.deepEqual(readdirSync(join(temp.path, 'dest')), []);
      });
    });
  }

  describe('across file systems', () => {
    let other = '';
    beforeEach(function () {
      const memory = '/dev/shm';
      if (!existsSync(memory) || statSync(memory).dev === statSync(temp.path).dev) this.skip();
      other = mkdtempSync(join(memory, 'peerwire-files-'));
    });
    afterEach(() => {
      if (other !== '') rmSync(other, { recursive: true, force: true });
      other = '';
    });

    it('copies first, so that the name only ever has the whole file', async () => {
      writeFileSync(join(other, 'from'), 'content', { mode: 0o644 });
      assert.equal(await moveExclusive(join(other, 'from'), folder, 'to'), true);
      assert.equal(readFileSync(join(temp.path, 'dest/to'), 'utf8'), 'content');
      assert.deepEqual(readdirSync(other), []);
      assert.deepEqual(readdirSync(join(temp.path, 'dest')), ['to']);
    });

    it('leaves a taken name alone, and no copy behind', async () => {
      writeFileSync(join(other, 'from'), 'content');
      temp.file('dest/to', 'theirs');
      assert.equal(await moveExclusive(join(other, 'from'), folder, 'to'), false);
      assert.equal(readFileSync(join(temp.path, 'dest/to'), 'utf8'), 'theirs');
      assert.deepEqual(readdirSync(join(temp.path, 'dest')), ['to']);
      assert.deepEqual(readdirSync(other), ['from']);
      await moveOver(join(other, 'from'), folder, 'to');
      assert.equal(readFileSync(join(temp.path, 'dest/to'), 'utf8'), 'content');
      assert.deepEqual(readdirSync(join(temp.path, 'dest')), ['to']);
    });

    it('replaces the copy that a crash left, and does not write through a link in its place', async () => {
      writeFileSync(join(other, 'from'), 'content');
      const victim = temp.file('victim', 'precious');
      symlinkSync(victim, join(temp.path, 'dest', stagingNameFor('to')));
      assert.equal(await moveExclusive(join(other, 'from'), folder, 'to'), true);
      assert.equal(readFileSync(victim, 'utf8'), 'precious');
      assert.equal(readFileSync(join(temp.path, 'dest/to'), 'utf8'), 'content');
    });
  });
});

describe('free names', () => {
  const firstTwo = (name: string): (string | undefined)[] => {
    const names = freeNames(name);
    return [names.next().value, names.next().value] as (string | undefined)[];
  };

  it('number the stem and keep the extension', () => {
    assert.deepEqual(firstTwo('a.txt'), ['a (2).txt', 'a (3).txt']);
    assert.deepEqual(firstTwo('a'), ['a (2)', 'a (3)']);
    assert.deepEqual(firstTwo('.env'), ['.env (2)', '.env (3)']);
    assert.deepEqual(firstTwo('x.tar.gz'), ['x (2).tar.gz', 'x (3).tar.gz']);
    assert.deepEqual(firstTwo('a. b c'), ['a. b c (2)', 'a. b c (3)']);
  });

  it('stay within the longest name, and end between characters', () => {
    const [name] = firstTwo(`${'é'.repeat(125)}.txt`);
    assert.ok(Buffer.byteLength(name ?? '') <= 255);
    assert.match(name ?? '', /^é+ \(2\)\.txt$/);
    assert.ok(Buffer.byteLength(name ?? '') > 250);
  });
});

describe('mark of the web', () => {
  const temp = useTempDir();

  it('is a stream beside the file on Windows, and nothing elsewhere', async () => {
    const path = temp.file('f');
    await markFromNetwork(path, 'linux');
    assert.deepEqual(readdirSync(temp.path), ['f']);
    await markFromNetwork(path, 'win32');
    assert.match(readFileSync(`${path}:Zone.Identifier`, 'utf8'), /ZoneId=3/);
    await markFromNetwork(join(temp.path, 'gone/f'), 'win32');
  });
});
