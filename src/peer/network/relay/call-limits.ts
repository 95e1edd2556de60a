import type { PeerAddress } from '../../../bittorrent/compact-address.ts';
import type { Clock } from '../../../common/clock.ts';
import { UNPROVEN_PER_HOST, UNPROVEN_TRIES_PER_HOUR } from '../address-book.ts';
import { formatHostPort } from '../addresses.ts';

const HOUR = 60 * 60 * 1000;
const MAX_ADDRESSES = 1000;

/**
 * How often an address is dialled because a member said that somebody calls from there: no more often than when peer exchange
 * says so, or the members of a network could be turned against any target.
 */
export class CallLimits {
  readonly #clock: Clock;
  /** Monotone times of the tries within the last hour. */
  readonly #tries = new Map<string, { readonly host: string; times: number[] }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when the address may be dialled now: then that counts. */
  tryTake(address: PeerAddress): boolean {
    const key = formatHostPort(address);
    const now = this.#clock.now();
    for (const [other, entry] of this.#tries) {
      entry.times = entry.times.filter((time) => now - time < HOUR);
      if (entry.times.length === 0) this.#tries.delete(other);
    }
    const known = this.#tries.get(key);
    if (known !== undefined) {
      if (known.times.length >= UNPROVEN_TRIES_PER_HOUR.pex) return false;
      known.times.push(now);
      return true;
    }
    const ports = [...this.#tries.values()].filter(({ host }) => host === address.host).length;
    if (ports >= UNPROVEN_PER_HOST || this.#tries.size >= MAX_ADDRESSES) return false;
    this.#tries.set(key, { host: address.host, times: [now] });
    return true;
  }

  /** A member was there. */
  reached(address: PeerAddress): void {
    this.#tries.delete(formatHostPort(address));
  }
}
