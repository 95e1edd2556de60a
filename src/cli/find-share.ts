import { PeerwireError } from '../common/errors.ts';
import { formatBytes } from '../common/format-bytes.ts';
import type { ShareInfo } from '../peer/api.ts';

/** The share of this id, or the only one of this name; undefined when there is none. Throws `ambiguous`. */
export function findShare(shares: readonly ShareInfo[], text: string): ShareInfo | undefined {
  const byId = shares.find((share) => share.share === text);
  if (byId !== undefined) return byId;
  const named = shares.filter((share) => share.name === text);
  if (named.length > 1) {
    throw new PeerwireError(
      'ambiguous',
      `${named.length} shares are called “${text}”; use an id: ${candidates(named)}.`,
    );
  }
  return named[0];
}

/** What to say when `findShare` finds nothing. */
export function unknownShare(shares: readonly ShareInfo[], text: string): PeerwireError {
  const wanted = text.toLowerCase();
  const similar = shares.filter((share) => share.name.toLowerCase().includes(wanted) || share.share.startsWith(text));
  const offered = similar.length > 0 ? similar : shares;
  const hint = offered.length === 0 ? 'No shares are known here.' : `Known shares: ${candidates(offered)}.`;
  return new PeerwireError('not-found', `No share “${text}” is known. ${hint}`);
}

/** As many as one line can hold. */
const SHOWN = 5;

function candidates(shares: readonly ShareInfo[]): string {
  const shown = shares
    .slice(0, SHOWN)
    .map((share) => `${share.share} (${share.name}, ${formatBytes(share.size)}, from ${share.ownerName})`);
  const rest = shares.length - shown.length;
  return shown.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
