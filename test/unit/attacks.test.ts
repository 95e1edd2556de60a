import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const TESTS = path.resolve(import.meta.dirname, '..');

describe('test/ATTACKS.md', () => {
  const rows = readFileSync(path.join(TESTS, 'ATTACKS.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| attack |'));

  it('names a test for each attack, and each of them exists', () => {
    assert.ok(rows.length > 40);
    for (const row of rows) {
      const match = /\| `([^`]+\.test\.ts)`: ?(.*?) ?\|$/.exec(row);
      assert.ok(match, row);
      const [, file = '', title = ''] = match;
      const text = readFileSync(path.join(TESTS, file), 'utf8');
      const titles = [...text.matchAll(/\bit(?:\.\w+)?\(\s*(['"`])(.*?)\1/gs)].map(([, , name = '']) => name);
      assert.ok(
        titles.some((name) => name.startsWith(title)),
        `${file} has no test “${title}…”`,
      );
    }
  });
});

describe('what others send', () => {
  it('no code inflates or unpacks what others sent', () => {
    const inflating = /node:zlib|DecompressionStream|\b(?:gunzip|inflate|brotliDecompress|unzip|untar)\w*\(/i;
    let files = 0;
    for (const folder of ['src', 'tracker']) {
      const dir = path.join(TESTS, '..', folder);
      for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
        if (!name.endsWith('.ts')) continue;
        files++;
        assert.doesNotMatch(readFileSync(path.join(dir, name), 'utf8'), inflating, name);
      }
    }
    assert.ok(files > 300);
  });
});
