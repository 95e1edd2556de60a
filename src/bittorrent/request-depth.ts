import { BLOCK_SIZE } from './merkle.ts';
import type { RequestQueue } from './request-queue.ts';

/**
 * Bytes asked of a peer that never answered: it may be one that never will. Four more for each byte that arrives (slow start).
 * More than one of the smallest pieces: a source that super-seeds keeps back requests for a piece that it sends to somebody
 * else, and could serve nothing to a newcomer that asks for no other; served alone later, it would get more than its share.
 */
const PROBE_DEPTH = 8 * BLOCK_SIZE;
const GROWTH = 4;
/** Never more than this. */
const MOST_DEPTH = 16 * 1024 * 1024;
/** Seconds of a peer's rate to keep requested beyond two round trips: covers its disk, its batches and our turns. */
const SLACK = 0.25;
/** And bytes, however slow it is: who serves many wants to choose among requests. */
const CHOICE = 16 * BLOCK_SIZE;
/** One request is for no more than this many seconds of a peer's rate: what arrives slowly can be asked of another soon. */
const REQUEST_SECONDS = 0.05;

/** Bytes to keep outstanding to the peer. */
export function requestDepth<Peer>(queue: RequestQueue<Peer>): number {
  if (queue.snubs > 0) return BLOCK_SIZE;
  if (queue.delivered === 0) return PROBE_DEPTH;
  const wanted = queue.rate * (SLACK + (2 * (queue.roundTrip ?? 0)) / 1000) + CHOICE;
  return Math.min(wanted, PROBE_DEPTH + GROWTH * queue.delivered, MOST_DEPTH);
}

/** Blocks to ask for in one message. `largest`: bytes that the peer serves in one go. */
export function requestBlocks<Peer>(queue: RequestQueue<Peer>, largest: number): number {
  if (largest <= BLOCK_SIZE || !queue.proven) return 1;
  return Math.max(1, Math.floor(Math.min(largest, queue.rate * REQUEST_SECONDS) / BLOCK_SIZE));
}
