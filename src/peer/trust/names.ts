import { MAX_NAME } from './certificates.ts';

/** Control characters, bidirectional overrides and invisible ones: they make a name look like something else. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** A name of a network or device as it may be shown: one line, NFC, at most `MAX_NAME` bytes. May be empty. */
export function displayName(text: string): string {
  let name = text.normalize('NFC').replaceAll(UNPRINTABLE, ' ').replaceAll(/\s+/gu, ' ').trim();
  while (Buffer.byteLength(name) > MAX_NAME) name = [...name].slice(0, -1).join('');
  return name.trim();
}
