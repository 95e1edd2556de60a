import type { Clock } from '../common/clock.ts';
import { type PeerRef, peerKey } from './network/channel.ts';

/** How long to wait for the other to dial, in ms: it may not know of us yet, and perhaps it cannot reach us. */
const PATIENCE = 2_500;

/**
 * Who dials, of two peers that look for each other: the one with the smaller key, whose connection would stay anyway. The
 * other waits a while, so that not every pair makes two connections of which one is dropped at once.
 */
export class DialTurns {
  readonly #self: string;
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(self: PeerRef, clock: Clock) {
    this.#self = peerKey(self);
    this.#clock = clock;
  }

  /** Whether it is ours to dial; later it is, when the other did not. */
  isOurs(peer: PeerRef): boolean {
    const key = peerKey(peer);
    if (this.#self < key) return true;
    const now = this.#clock.now();
    const until = this.#until.get(key) ?? now + PATIENCE;
    this.#until.set(key, until);
    return now >= until;
  }

  /** The two are connected: next time the waiting begins anew. */
  met(peer: PeerRef): void {
    this.#until.delete(peerKey(peer));
  }
}
