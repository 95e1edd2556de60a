import type { Clock } from '../common/clock.ts';
import { Emitter, type Event } from '../common/event.ts';

/** What may be saved up while nobody spends, in seconds of the rate: enough to make up for timers that fire late. */
const BURST = 0.15;

/**
 * A token bucket shared by many connections. Users spend after the fact and wait while the bucket is in debt, so that
 * what passes in any time is the rate times that time, give or take one spending and 150 ms worth of the rate.
 *
 * A limiter with a parent is a further limit within that of the parent: one transfer's within the one of all.
 */
export class RateLimiter {
  readonly #clock: Clock;
  readonly #parent: RateLimiter | undefined;
  readonly #onChange = new Emitter<void>();
  #rate: number;
  #tokens = 0;
  #updated: number;
  /** The rate was set, here or in a parent: whoever waits should ask again. */
  readonly onChange: Event<void>;

  /** `rate` in bytes per second; 0 means unlimited. */
  constructor(clock: Clock, rate = 0, parent?: RateLimiter) {
    this.#clock = clock;
    this.#rate = rate;
    this.#parent = parent;
    this.#updated = clock.now();
    this.onChange = (listener) => {
      const own = this.#onChange.event(listener);
      const above = parent?.onChange(listener);
      return {
        dispose: () => {
          own.dispose();
          above?.dispose();
        },
      };
    };
  }

  /** The smallest of its own and its parents' limits; 0 when there is none. */
  get rate(): number {
    return smallerRate(this.#rate, this.#parent?.rate ?? 0);
  }

  /** A debt weighs no more bytes than it did, and no more time: the new rate holds from now on. */
  setRate(rate: number): void {
    if (rate === this.#rate) return;
    this.#refill();
    const scaled = this.#rate === 0 ? 0 : (this.#tokens * rate) / this.#rate;
    this.#tokens = this.#tokens < 0 ? Math.max(this.#tokens, scaled) : Math.min(this.#tokens, scaled);
    this.#rate = rate;
    this.#onChange.fire();
  }

  spend(bytes: number): void {
    this.#parent?.spend(bytes);
    if (this.#rate === 0) return;
    this.#refill();
    this.#tokens -= bytes;
  }

  /** Milliseconds until spending is allowed again; 0 now. */
  wait(): number {
    const above = this.#parent?.wait() ?? 0;
    if (this.#rate === 0) return above;
    this.#refill();
    return this.#tokens >= 0 ? above : Math.max(above, Math.ceil((-this.#tokens / this.#rate) * 1000));
  }

  /** Seconds of its own rate that were not used, up to 0.15; without a rate there is no end of it. */
  get saved(): number {
    if (this.#rate === 0) return Number.POSITIVE_INFINITY;
    this.#refill();
    return this.#tokens / this.#rate;
  }

  #refill(): void {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#rate * BURST, this.#tokens + ((now - this.#updated) / 1000) * this.#rate);
    this.#updated = now;
  }
}

/** Of two limits in bytes per second the one that holds where both apply; 0: none. */
export function smallerRate(a: number, b: number): number {
  return a === 0 || b === 0 ? a + b : Math.min(a, b);
}
