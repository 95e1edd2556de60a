/**
 * Names, messages and addresses come from other people. Here they are made safe to show: nothing in them may hide,
 * reorder or end the text around them, become a link, or become an icon. (Paths on disk are checked elsewhere, by
 * rejecting; this is only for the eye.)
 */

/** Controls, bidi and other format characters, line separators, private use, unassigned and lone surrogates. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u115F\u1160\u3164\uFFA0]/gu;
const LONGEST = 200;

/** One line with every unseen character spelled out as `⟨U+202E⟩`; long text is cut with an ellipsis. */
export function safeText(text: string): string {
  // Two units a character at most, and one more character to see that there is more.
  const characters = [...text.slice(0, (LONGEST + 1) * 2)];
  const cut = characters.length > LONGEST ? `${characters.slice(0, LONGEST).join('')}…` : characters.join('');
  return cut.replaceAll(UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** For notifications and dialogs, which turn `[label](command:…)` into links. */
export function messageText(text: string): string {
  return safeText(text).replaceAll('](', '] (');
}

/** For quick picks and the status bar, which turn `$(name)` into icons; a backslash keeps it text. */
export function iconlessText(text: string): string {
  return safeText(text).replaceAll('$(', '\\$(');
}
