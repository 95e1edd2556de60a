/**
 * l10n/bundle.l10n.json is what translators start from: it has every text of the code, and no other.
 * `UPDATE_L10N=1` with this test writes it anew.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PROJECT = path.resolve(import.meta.dirname, '../../..');
const SOURCES = path.join(PROJECT, 'src/extension');
const BUNDLE = path.join(PROJECT, 'l10n/bundle.l10n.json');
/** A call of `t`, by whatever name it is reached, with its first argument. */
const CALL = /\bt\(\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^'"\s)][^,)]*)/g;

function textsOf(source: string): string[] {
  return [...source.matchAll(CALL)].map(([call, argument]) => {
    assert.match(argument!, /^['"]/, `Not a literal text, so it cannot be translated: ${call}`);
    return argument!.slice(1, -1).replaceAll(/\\(.)/g, '$1');
  });
}

describe('localization', () => {
  const texts = readdirSync(SOURCES)
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => textsOf(readFileSync(path.join(SOURCES, file), 'utf8')));
  const expected = [...new Set(texts)].sort();

  it('finds texts wherever t is called', () => {
    assert.deepEqual(
      textsOf(`t('a'); this.#t("b"); vscode.l10n.t(\n  'c {0}', x); start('d'); f(t, 'e'); t('it\\'s')`),
      ['a', 'b', 'c {0}', "it's"],
    );
    assert.throws(() => textsOf('t(message)'));
    assert.ok(expected.length > 100);
  });

  it('has every text in the bundle', () => {
    if (process.env.UPDATE_L10N) {
      writeFileSync(BUNDLE, `${JSON.stringify(Object.fromEntries(expected.map((key) => [key, key])), null, 2)}\n`);
    }
    const bundle: Record<string, string> = JSON.parse(readFileSync(BUNDLE, 'utf8'));
    assert.deepEqual(Object.keys(bundle), expected, 'run this test with UPDATE_L10N=1');
    for (const [key, value] of Object.entries(bundle)) assert.equal(value, key);
  });

  it('fills exactly the placeholders that it counts', () => {
    for (const message of expected) {
      const numbers = [...new Set([...message.matchAll(/\{(\d+)\}/g)].map(([, digit]) => Number(digit)))].sort();
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => index),
        message,
      );
    }
  });
});
