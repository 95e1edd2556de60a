import type { Clock } from '../common/clock.ts';

/**
 * A token bucket shared by many connections. Users spend after the fact and wait while the bucket is in debt, so a burst
 * is at most one spending beyond 100 ms worth of the rate; over seconds the rate holds.
 */
export class RateLimiter {
  readonly #clock: Clock;
  #rate: number;
  #tokens = 0;
  #updated: number;

  /** `rate` in bytes per second; 0 means unlimited. */
  constructor(clock: Clock, rate = 0) {
    this.#clock = clock;
    this.#rate = rate;
    this.#updated = clock.now();
  }

  get rate(): number {
    return this.#rate;
  }

  /** Debts of the old rate weigh at most a second of the new one. */
  setRate(rate: number): void {
    this.#refill();
    this.#rate = rate;
    this.#tokens = Math.max(-rate, Math.min(this.#tokens, rate / 10));
  }

  spend(bytes: number): void {
    if (this.#rate === 0) return;
    this.#refill();
    this.#tokens -= bytes;
  }

  /** Milliseconds until spending is allowed again; 0 now. */
  wait(): number {
    if (this.#rate === 0) return 0;
    this.#refill();
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#rate) * 1000);
  }

  #refill(): void {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#rate / 10, this.#tokens + ((now - this.#updated) / 1000) * this.#rate);
    this.#updated = now;
  }
}
