import assert from 'node:assert/strict';
import fc from 'fast-check';
import { iconlessText, messageText, safeText } from '../../../src/extension/safe-text.ts';

describe('safe text', () => {
  it('spells out what cannot be seen', () => {
    assert.equal(safeText('evil\u202Egpj.exe'), 'evil⟨U+202E⟩gpj.exe');
    assert.equal(safeText('a\nb\tc\u001b[31m'), 'a⟨U+000A⟩b⟨U+0009⟩c⟨U+001B⟩[31m');
    assert.equal(safeText('zero\u200Bwidth\uFEFF'), 'zero⟨U+200B⟩width⟨U+FEFF⟩');
    assert.equal(safeText('lone\uD800'), 'lone⟨U+D800⟩');
    assert.equal(safeText('tag\u{E0041}'), 'tag⟨U+E0041⟩');
    assert.equal(safeText('blank\u3164'), 'blank⟨U+3164⟩');
  });

  it('leaves names of all alphabets alone', () => {
    for (const name of ['Größe der Äpfel – 日本語 notes.txt', 'עברית.md', 'é', '👍.png'])
      assert.equal(safeText(name), name);
  });

  it('cuts what is too long to show, between characters', () => {
    const text = safeText('👍'.repeat(300));
    assert.equal([...text].length, 201);
    assert.ok(text.endsWith('👍…'));
    assert.ok(safeText('\u202E'.repeat(100_000)).length < 2_500);
  });

  it('keeps notifications free of links, and quick picks free of icons', () => {
    assert.equal(messageText('[click](command:evil)'), '[click] (command:evil)');
    assert.equal(iconlessText('$(bug) x'), '\\$(bug) x');
  });

  it('never lets a control or format character through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        assert.doesNotMatch(safeText(text), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        assert.doesNotMatch(messageText(text), /\]\(/);
        assert.doesNotMatch(iconlessText(text), /(?<!\\)\$\(/);
      }),
    );
  });
});
