const LINK = /[a-z][a-z0-9+.-]*:\/\/peerwire\.peerwire\/join\?[^\s"'<>`)]+/i;
const CODE = /\bPW1-[A-Za-z0-9_-]{20,}/;
/** Words on lines of their own, as mail programs break long ones. */
const BROKEN_LINE = /^\S+(?:[^\S\n]*\r?\n[^\S\n]*\S+)+$/;
const LONGEST = 16_384;

/** The invite in a text that may have words around it, as chats deliver it. Says nothing about its being valid. */
export function findInvite(text: string): string | undefined {
  if (text.length > LONGEST) return undefined;
  const trimmed = text.trim();
  const whole = BROKEN_LINE.test(trimmed) ? trimmed.replaceAll(/\s+/g, '') : trimmed;
  return LINK.exec(whole)?.[0] ?? CODE.exec(whole)?.[0];
}
