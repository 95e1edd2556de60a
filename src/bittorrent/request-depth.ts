import { BLOCK_SIZE } from './merkle.ts';
import type { RequestQueue } from './request-queue.ts';

/** Bytes asked of a peer that never answered: it may be one that never will. */
const PROBE_DEPTH = 4 * BLOCK_SIZE;
/** Bytes to keep outstanding to a peer that answers, until its rate is known; each byte that arrives allows one more (slow start). */
const START_DEPTH = 16 * BLOCK_SIZE;
/** Never less than this once the rate is known, and never more. */
const LEAST_DEPTH = 2 * BLOCK_SIZE;
const MOST_DEPTH = 16 * 1024 * 1024;
/** Bytes after which the measured rate is trusted more than the first guess. */
const MEASURED_AFTER = 8 * BLOCK_SIZE;
/** Seconds of a peer's rate to keep requested beyond two round trips: covers its disk, its batches and our turns. */
const SLACK = 0.25;
/** And as much again as the first guess, yet no more than this many seconds: who serves many may choose among requests. */
const MOST_CHOICE = 1;
/** One request is for no more than this many seconds of a peer's rate: what arrives slowly can be asked of another soon. */
const REQUEST_SECONDS = 0.05;

/** Bytes to keep outstanding to a peer that delivers `rate` bytes per second. */
export function requestDepth<Peer>(queue: RequestQueue<Peer>, rate: number): number {
  if (queue.snubs > 0) return BLOCK_SIZE;
  if (queue.delivered === 0) return PROBE_DEPTH;
  const choice = Math.min(START_DEPTH, rate * MOST_CHOICE);
  const wanted = rate * (SLACK + (2 * (queue.roundTrip ?? 0)) / 1000) + choice;
  const guess = Math.min(START_DEPTH, PROBE_DEPTH + 4 * queue.delivered);
  const least = queue.delivered < MEASURED_AFTER ? guess : LEAST_DEPTH;
  return Math.min(Math.max(least, wanted), START_DEPTH + queue.delivered, MOST_DEPTH);
}

/** Blocks to ask for in one message. `largest`: bytes that the peer serves in one go. */
export function requestBlocks<Peer>(queue: RequestQueue<Peer>, rate: number, largest: number): number {
  if (largest <= BLOCK_SIZE || !queue.proven) return 1;
  return Math.max(1, Math.floor(Math.min(largest, rate * REQUEST_SECONDS) / BLOCK_SIZE));
}
