import type { ShareInfo } from '../peer/api.ts';

/** Better ranks are lower. */
const RANKS = { start: 0, word: 1, name: 2, elsewhere: 3 } as const;

/**
 * The shares of others that a text means, the best first, at most `most`: every word of it must be in the name, the owner's name or
 * the message, whatever its case. A name that begins with the text goes before one that has it at the beginning of a word, that before any
 * other, and what is in the owner's name or the message comes last; among equals the newest is first. No text means all.
 */
export function searchShares(shares: readonly ShareInfo[], text: string, most: number): ShareInfo[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found: { readonly share: ShareInfo; readonly rank: number }[] = [];
  for (const share of shares) {
    if (share.own) continue;
    const rank = rankOf(share, words);
    if (rank !== undefined) found.push({ share, rank });
  }
  found.sort((a, b) => a.rank - b.rank || b.share.time - a.share.time);
  return found.slice(0, most).map(({ share }) => share);
}

/** Of the worst word; undefined when one of them is nowhere. */
function rankOf({ name, ownerName, message = '' }: ShareInfo, words: readonly string[]): number | undefined {
  const lower = name.toLowerCase();
  let worst = 0;
  let rest: string | undefined;
  for (const word of words) {
    let rank = rankIn(lower, word);
    if (rank === undefined) {
      rest ??= `${ownerName}\n${message}`.toLowerCase();
      if (!rest.includes(word)) return undefined;
      rank = RANKS.elsewhere;
    }
    worst = Math.max(worst, rank);
  }
  return worst;
}

function rankIn(name: string, word: string): number | undefined {
  const at = name.indexOf(word);
  if (at < 0) return undefined;
  if (at === 0) return RANKS.start;
  for (let next = at; next > 0; next = name.indexOf(word, next + 1))
    if (/[^\p{L}\p{N}]/u.test(name.charAt(next - 1))) return RANKS.word;
  return RANKS.name;
}
