import { type Disposable, toDisposable } from './disposable.ts';

/** Time as an argument, so that a whole swarm can run under a virtual clock. */
export interface Clock {
  /** Milliseconds of a monotonic clock with an arbitrary origin. */
  now(): number;
  /** Milliseconds since the Unix epoch. */
  wallTime(): number;
  /** Runs once after `delay` ms, unless disposed first. */
  setTimeout(callback: () => void, delay: number): Disposable;
  /** Runs every `period` ms until disposed. */
  setInterval(callback: () => void, period: number): Disposable;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimeout(callback, delay) {
    const timer = setTimeout(callback, delay);
    return toDisposable(() => clearTimeout(timer));
  },
  setInterval(callback, period) {
    const timer = setInterval(callback, period);
    return toDisposable(() => clearInterval(timer));
  },
};
