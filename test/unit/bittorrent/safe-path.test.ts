import assert from 'node:assert/strict';
import path from 'node:path';
import fc from 'fast-check';
import { checkComponent, checkTree, escapeName, foldName } from '../../../src/bittorrent/safe-path.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { throwsCode } from './support.ts';

describe('checkComponent', () => {
  const allowed = [
    'a',
    'README.md',
    '.gitignore',
    '..a',
    '...a',
    'a..b',
    'with space',
    ' leading space',
    "it's #1 (50%) & [new] {x} ~ $y @z +,;=!`^_-",
    'com',
    'com10',
    'console',
    'conin',
    'nullable.txt',
    'aux_',
    'xcon.txt',
    'lpt.txt',
    'com1x.txt',
    '~',
    'file.txt~',
    '~$report.docx',
    'longer-than-8~1',
    'x~1.html',
    'é',
    'Ünïcödé',
    'ß',
    'Straße',
    '日本語.txt',
    'עברית.txt',
    'العربية',
    'кириллица',
    '😀.png',
    '❤\ufe0f.png',
    '葛\u{e0100}',
    'a'.repeat(255),
    'é'.repeat(127),
    '\u00a0x',
    'Screenshot 2024-01-01 at 3.00.00\u202fPM.png',
  ];
  for (const name of allowed) {
    it(`allows ${JSON.stringify(escapeName(name))}`, () => checkComponent(name));
  }

  const refused: [string, string, RegExp][] = [
    ['empty', '', /empty/],
    ['dot', '.', /another folder/],
    ['dot dot', '..', /another folder/],
    ['parent path', '../x', /reserved/],
    ['windows parent path', '..\\x', /reserved/],
    ['absolute', '/etc/passwd', /reserved/],
    ['windows absolute', 'C:\\x', /reserved/],
    ['UNC', '\\\\server\\share', /reserved/],
    ['drive', 'C:', /reserved/],
    ['alternate data stream', 'file.txt::$DATA', /reserved/],
    ...[...'/\\:<>"|?*'].map((c): [string, string, RegExp] => [`character ${c}`, `a${c}b`, /reserved/]),
    ['trailing dot', 'a.', /end/],
    ['three dots', '...', /end/],
    ['trailing space', 'a ', /end/],
    ['space', ' ', /end/],
    ['dot dot space', '.. ', /end/],
    ...[
      'CON',
      'con',
      'Prn',
      'AUX',
      'nul',
      'COM1',
      'com9',
      'LPT1',
      'lpt9',
      'com0',
      'COM¹',
      'com²',
      'lpt³',
      'CONIN$',
      'conout$',
      'CLOCK$',
    ].flatMap((name): [string, string, RegExp][] => [
      [name, name, /device/],
      [`${name}.txt`, `${name}.txt`, /device/],
      [`${name}.tar.gz`, `${name}.tar.gz`, /device/],
      [`${name} .txt`, `${name} .txt`, /device/],
    ]),
    ['short name of .git', 'GIT~1', /short name/],
    ['short name with extension', 'LONGNA~1.TXT', /short name/],
    ['NUL byte', 'a\0b', /control/],
    ['newline', 'a\nb', /control/],
    ['escape sequence', '\x1b[2J', /control/],
    ['delete', 'a\x7f', /control/],
    ['C1 control', 'a\x9b', /control/],
    ['line separator', 'a\u2028b', /control/],
    ...[
      '\u202a',
      '\u202b',
      '\u202c',
      '\u202d',
      '\u202e',
      '\u2066',
      '\u2067',
      '\u2068',
      '\u2069',
      '\u200e',
      '\u200f',
      '\u061c',
    ].map((c): [string, string, RegExp] => [`bidi ${escapeName(c)}`, `a${c}gpj.exe`, /direction/]),
    ...['\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u034f', '\u180e', '\u3164', '\u{e0041}'].map(
      (c): [string, string, RegExp] => [`invisible ${escapeName(c)}`, `a${c}b`, /invisible/],
    ),
    ['text hidden in variation selectors', 'a\ufe01\ufe02', /invisible/],
    ['variation selector without a base', '\ufe0fa', /invisible/],
    ['e with combining accent (NFD)', 'e\u0301', /normal form/],
    ['Kelvin sign', '\u212a', /normal form/],
    ['Ångström sign', '\u212b', /normal form/],
    ['lone surrogate', 'a\ud800', /Unicode/],
    ['noncharacter', 'a\uffff', /Unicode/],
    ['replacement character', 'a\ufffd', /Unicode/],
    ['private-use stand-in for a slash', 'a\uf02fb', /reserved/],
    ['256 bytes', 'a'.repeat(256), /255 bytes/],
    ['300 bytes', 'a'.repeat(300), /255 bytes/],
    ['256 bytes of UTF-8', 'é'.repeat(128), /255 bytes/],
    ['a million bytes', '\u0301'.repeat(1_000_000), /255 bytes/],
  ];
  for (const [name, component, rule] of refused) {
    it(`refuses ${name}`, () => throwsCode(() => checkComponent(component), 'unsafe-path', rule));
  }

  it('shows the name with nothing invisible in it', () => {
    assert.throws(
      () => checkComponent('evil\u202e\x1b[31mfdp.exe'),
      (error: unknown) => error instanceof PeerwireError && error.message.includes('evil\\u{202e}\\u{1b}[31mfdp.exe'),
    );
    assert.equal(escapeName('a'.repeat(500)).length, 121);
  });

  it('lets nothing through that leaves a folder, on either system', () => {
    const hostile = fc
      .array(fc.constantFrom('.', '..', '/', '\\', ':', 'a', 'C:', '\0', ' ', '~1', 'CON', '\u202e', 'é', 'e\u0301'), {
        minLength: 1,
        maxLength: 5,
      })
      .map((parts) => parts.join(''));
    let allowedCount = 0;
    fc.assert(
      fc.property(hostile, (name) => {
        try {
          checkComponent(name);
        } catch (error) {
          assert.ok(error instanceof PeerwireError && error.code === 'unsafe-path');
          return;
        }
        allowedCount++;
        assert.equal(path.posix.join('/root', name), `/root/${name}`);
        assert.equal(path.win32.join('C:\\root', name), `C:\\root\\${name}`);
        assert.equal(path.win32.resolve('C:\\root', name), `C:\\root\\${name}`);
        assert.equal(name.normalize('NFC'), name);
      }),
      { numRuns: 2000 },
    );
    assert.ok(allowedCount > 0);
  });
});

describe('checkTree', () => {
  const paths = (...all: string[]): string[][] => all.map((one) => one.split('/'));

  const allowed: [string, string[][]][] = [
    ['one file', paths('a')],
    ['files in folders', paths('a/b/c', 'a/b/d', 'a/e', 'f')],
    ['the same name in different folders', paths('a/x', 'b/X', 'x')],
    ['dotless and dotted i, which no system folds', paths('kız', 'kiz')],
    ['accents apart', paths('e', 'é', 'è')],
    ['names like object properties', paths('__proto__', 'constructor/__proto__', 'toString')],
    ['64 levels', [Array.from({ length: 64 }, () => 'a')]],
  ];
  for (const [name, tree] of allowed) it(`allows ${name}`, () => checkTree(tree));

  const refused: [string, string[][], RegExp][] = [
    ['an empty path', [[]], /empty/],
    ['an empty component', [['a', '', 'b']], /empty/],
    ['a bad component deep inside', paths('a/b/../c'), /another folder/],
    ['a bad component in a later file', paths('a/b', 'a/CON'), /device/],
    ['the same file twice', paths('a/b', 'a/b'), /same path/],
    ['a file that is also a folder', paths('a', 'a/b'), /also a file/],
    ['a folder that is also a file', paths('a/b', 'a'), /same path/],
    ['files that differ in case', paths('a/File', 'a/file'), /same as/],
    ['folders that differ in case', paths('Src/a', 'src/b'), /same as/],
    ['a file and a folder that differ in case', paths('DOC', 'doc/x'), /same as/],
    ['ß and SS', paths('straße', 'STRASSE'), /same as/],
    ['ß and ẞ', paths('ß', 'ẞ'), /same as/],
    ['final and plain sigma', paths('σ', 'ς'), /same as/],
    ['long s', paths('ſ', 's'), /same as/],
    ['ligature', paths('ﬁ', 'fi'), /same as/],
    ['É and é', paths('É', 'é'), /same as/],
    ['É in NFC and e with accent in NFD', [['É'], ['e\u0301']], /normal form/],
    ['K and Kelvin sign', [['K'], ['\u212a']], /normal form/],
    ['variation selector', [['a'], ['a\ufe0f']], /same as/],
    ['65 levels', [Array.from({ length: 65 }, () => 'a')], /64 levels/],
    ['a million levels', [Array.from({ length: 1_000_000 }, () => 'a')], /64 levels/],
    ['more than 1024 bytes', [Array.from({ length: 5 }, () => 'a'.repeat(250))], /1024 bytes/],
  ];
  for (const [name, tree, rule] of refused) {
    it(`refuses ${name}`, () => throwsCode(() => checkTree(tree), 'unsafe-path', rule));
  }

  it('takes 20,000 files', () => {
    checkTree(Array.from({ length: 20_000 }, (_, i) => ['packages', `p${i % 100}`, 'src', `file-${i}.ts`]));
  });
});

describe('foldName', () => {
  it('is idempotent and blind to case and form, for every character that has either', () => {
    let tried = 0;
    for (let code = 0x80; code < 0x110000; code++) {
      const name = String.fromCodePoint(code);
      const variants = [name.toLowerCase(), name.normalize('NFD'), name === 'ı' ? name : name.toUpperCase()];
      if (variants.every((variant) => variant === name)) continue;
      tried++;
      const folded = foldName(name);
      for (const variant of [...variants, folded]) {
        assert.equal(foldName(variant), folded, `U+${code.toString(16)}`);
      }
    }
    assert.ok(tried > 10_000);
  });
  it('equals what lower-case says for ASCII', () => assert.equal(foldName('ReadMe.MD'), 'readme.md'));
});
