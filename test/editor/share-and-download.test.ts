import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { TwoEditors } from './two-editors.ts';

const MB = 1_000_000;
const ODD_NAME = 'Größe der Äpfel – 日本語 notes.txt';

describe('two editors', function () {
  this.timeout(180_000);
  const big = randomBytes(200 * MB);
  const hello = Buffer.from('Hello from ann.\n');
  let editors: TwoEditors;

  before(async function () {
    this.timeout(180_000);
    editors = await TwoEditors.start({
      fill: async (a, b) => {
        await writeFile(path.join(a, 'hello.txt'), hello);
        await writeFile(path.join(a, ODD_NAME), 'äöü\n');
        await writeFile(path.join(a, 'empty.dat'), '');
        await writeFile(path.join(a, 'big.bin'), big);
        await mkdir(path.join(a, 'docs/guide/deep'), { recursive: true });
        await writeFile(path.join(a, 'docs/readme.md'), '# Docs\n');
        await writeFile(path.join(a, 'docs/empty.txt'), '');
        await writeFile(path.join(a, 'docs/guide/intro.md'), randomBytes(70_000));
        await writeFile(path.join(a, 'docs/guide/deep', ODD_NAME), 'deep\n');
        await writeFile(path.join(a, 'docs/.gitignore'), 'build/\n');
        await mkdir(path.join(a, 'docs/build'));
        await writeFile(path.join(a, 'docs/build/output.o'), 'never shared');
        await writeFile(path.join(b, 'own.txt'), 'ben has this\n');
      },
      // Slow enough that progress can be seen, fast enough for a test. Kilobytes per second.
      settings: { b: { 'peerwire.transfer.downloadLimit': 50_000 } },
    });
  });

  after(() => editors?.dispose());

  afterEach(async function () {
    if (this.currentTest?.state === 'failed')
      await editors?.screenshots(this.currentTest.title.replaceAll(/\W+/g, '-'));
  });

  it('meet in a network that one creates and the other joins with the pasted invite', async () => {
    await editors.introduce('Team');
    await editors.screenshots('network');
  });

  it('move a file, byte for byte', async () => {
    await shareAndDownload('hello.txt', 'file');
    assert.deepEqual(await readFile(path.join(editors.b.workspace, 'hello.txt')), hello);
    await editors.screenshots('file');
  });

  it('move a file whose name has spaces and letters of other alphabets', async () => {
    await shareAndDownload(ODD_NAME, 'file');
    assert.equal(await readFile(path.join(editors.b.workspace, ODD_NAME), 'utf8'), 'äöü\n');
  });

  it('move an empty file', async () => {
    await shareAndDownload('empty.dat', 'file');
    assert.equal((await readFile(path.join(editors.b.workspace, 'empty.dat'))).length, 0);
  });

  it('move a folder with nested and empty files, without what Git ignores', async () => {
    await shareAndDownload('docs', 'folder');
    const expected = await filesIn(path.join(editors.a.workspace, 'docs'));
    expected.delete('build/output.o');
    assert.deepEqual(await filesIn(path.join(editors.b.workspace, 'docs')), expected);
    await editors.screenshots('folder');
  });

  it('move 200 MB and show the progress', async () => {
    const { window } = editors.b;
    await editors.a.window.share('big.bin');
    await window.download(editors.a.name, 'big.bin');
    await window
      .transferRow('big.bin', 'downloading')
      .filter({ hasText: /[1-9]%/ })
      .waitFor();
    await editors.screenshots('progress');
    await window.transferRow('big.bin', 'done').waitFor();
    assert.ok(big.equals(await readFile(path.join(editors.b.workspace, 'big.bin'))));
  });

  it('meet again after both windows were reloaded, and know their shares and transfers', async () => {
    const [a, b] = [editors.a.window, editors.b.window];
    await a.reload();
    await b.reload();
    await b.personRow(editors.a.name, 'online').waitFor();
    await a.personRow(editors.b.name, 'online').waitFor();
    await a.ownShareRow('docs').waitFor();
    await b.transferRow('docs', 'done').waitFor();
    await editors.screenshots('reloaded');
  });

  it('move a file that is shared after the reload', async () => {
    await writeFile(path.join(editors.a.workspace, 'later.txt'), 'later\n');
    await shareAndDownload('later.txt', 'file');
    assert.equal(await readFile(path.join(editors.b.workspace, 'later.txt'), 'utf8'), 'later\n');
  });

  it('move a file that is found by letters of its name and its owner', async () => {
    const { window, workspace } = editors.b;
    await writeFile(path.join(editors.a.workspace, 'a needle.txt'), 'found\n');
    await editors.a.window.share('a needle.txt');
    await window.shareRow('a needle.txt').waitFor();
    await window.workbench.command('Peerwire: Find Share…');
    const { quickPick } = window.workbench;
    await quickPick.locator('input').first().fill(`EEDLE ${editors.a.name}`);
    await window.workbench.option(/^a needle\.txt/).waitFor();
    // The list follows the letters a moment later.
    await quickPick.getByRole('option').nth(1).waitFor({ state: 'hidden' });
    await window.workbench.screens('find-share');
    await quickPick.locator('input').first().press('Enter');
    await window.transferRow('a needle.txt', 'done').waitFor();
    assert.equal(await readFile(path.join(workspace, 'a needle.txt'), 'utf8'), 'found\n');
  });

  it('leave the rest of the workspace alone', async () => {
    const names = (await readdir(editors.b.workspace)).sort();
    assert.deepEqual(
      names,
      ['a needle.txt', 'big.bin', 'docs', 'empty.dat', 'hello.txt', 'later.txt', 'own.txt', ODD_NAME].sort(),
    );
  });

  async function shareAndDownload(name: string, kind: 'file' | 'folder'): Promise<void> {
    await editors.a.window.share(name, kind);
    await editors.b.window.download(editors.a.name, name);
    await editors.b.window.transferRow(name, 'done').waitFor();
  }
});

/** Content in hex by path below the folder. */
async function filesIn(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const contents = await Promise.all(
    files.map(async (file): Promise<[string, string]> => {
      return [path.relative(folder, file), (await readFile(file)).toString('hex')];
    }),
  );
  return new Map(contents.sort(([one], [other]) => (one < other ? -1 : 1)));
}
