import type { Clock } from '../../src/common/clock.ts';
import { type Disposable, toDisposable } from '../../src/common/disposable.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Time that passes only when the simulation says so; timers of the same moment run in the order in which they were set. */
export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return 1_800_000_000_000 + this.#now;
  }

  setTimeout(callback: () => void, delay: number): Disposable {
    const timer: Timer = { at: this.#now + Math.max(0, delay), order: this.#order++, callback };
    this.#timers.add(timer);
    return toDisposable(() => this.#timers.delete(timer));
  }

  setInterval(callback: () => void, period: number): Disposable {
    let current: Disposable;
    const again = (): void => {
      current = this.setTimeout(() => {
        again();
        callback();
      }, period);
    };
    again();
    return toDisposable(() => current.dispose());
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Runs timers, letting promises settle between them, until `done` or for `limit` ms of virtual time. */
  async run(done: () => boolean, limit: number): Promise<boolean> {
    const end = this.#now + limit;
    for (;;) {
      await settle();
      if (done()) return true;
      const next = this.#next();
      if (!next || next.at > end) return done();
      this.#now = Math.max(this.#now, next.at);
      // All timers of this moment, then promises.
      for (let timer: Timer | undefined = next; timer && timer.at <= this.#now; timer = this.#next()) {
        this.#timers.delete(timer);
        timer.callback();
      }
    }
  }

  #next(): Timer | undefined {
    let best: Timer | undefined;
    for (const timer of this.#timers) {
      if (!best || timer.at < best.at || (timer.at === best.at && timer.order < best.order)) best = timer;
    }
    return best;
  }
}

/** Lets every promise that can settle without time passing do so. */
async function settle(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve));
}
