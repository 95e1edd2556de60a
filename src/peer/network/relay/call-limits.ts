import type { PeerAddress } from '../../../bittorrent/compact-address.ts';
import type { Clock } from '../../../common/clock.ts';
import type { DeviceId } from '../../../common/ids.ts';
import { UNPROVEN_PER_HOST, UNPROVEN_TRIES_PER_HOUR } from '../address-book.ts';
import { formatHostPort } from '../addresses.ts';
import { TokenBucket } from '../token-bucket.ts';

const HOUR = 60 * 60 * 1000;
const MAX_ADDRESSES = 1000;
/** Calls that are answered: all, those that one member passes on, and those of one caller, by the word of who passes them on: per second, and in one burst. */
const ALL = [2, 40] as const;
const PASSED_ON = [1, 20] as const;
const OF_CALLER = [0.1, 6] as const;

/**
 * How often an address is dialled because a member said that somebody calls from there: no more often than when peer exchange
 * says so, or the members of a network could be turned against any target.
 */
export class CallLimits {
  readonly #clock: Clock;
  /** Monotone times of the tries within the last hour. */
  readonly #all: TokenBucket;
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #tries = new Map<string, { readonly host: string; times: number[] }>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#all = new TokenBucket(clock, ...ALL);
  }

  /** True when a call is answered: then that counts. Neither who calls nor who passes calls on can have us miss those of others. */
  mayAnswer(caller: DeviceId, by: string): boolean {
    for (const [name, bucket] of this.#buckets) if (bucket.isFull) this.#buckets.delete(name);
    const [of, passed] = [this.#bucket(`of ${caller}`, OF_CALLER), this.#bucket(`by ${by}`, PASSED_ON)];
    if (of.wait > 0 || passed.wait > 0 || !this.#all.tryTake(1)) return false;
    return of.tryTake(1) && passed.tryTake(1);
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

  #bucket(name: string, [rate, burst]: readonly [number, number]): TokenBucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#clock, rate, burst);
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }

  /** A member was there. */
  reached(address: PeerAddress): void {
    this.#tries.delete(formatHostPort(address));
  }
}
