import type { PeerSession } from './peer-session.ts';

/** A peer that answers nothing for this long loses its requests to others, in ms. */
const SNUB_AFTER = 15_000;
/** A single request that is not answered, or an answer that does not end, for this long is given up, in ms. */
const LATE_AFTER = 45_000;

/**
 * `stuck`: it stopped in the middle of an answer. `silent`: it answers nothing. `late`: it answers, but passes over the
 * oldest of its requests.
 */
export type Progress = 'fine' | 'stuck' | 'silent' | 'late';

/** Our own rate limit's silence is not the peer's. */
export function progressOf({ requests, throttledUntil }: PeerSession, now: number): Progress {
  const { incoming, oldest } = requests;
  if (incoming && now - Math.max(incoming.since, throttledUntil) >= LATE_AFTER) return 'stuck';
  if (!oldest) return 'fine';
  const quietSince = Math.max(oldest.sent, requests.lastBlock, requests.lastSnub, throttledUntil);
  if (now - quietSince >= SNUB_AFTER) return 'silent';
  return isLate(oldest.sent, throttledUntil, now) ? 'late' : 'fine';
}

/** A request that was sent at this time should have been answered. */
export function isLate(sent: number, throttledUntil: number, now: number): boolean {
  return now - Math.max(sent, throttledUntil) >= LATE_AFTER;
}
