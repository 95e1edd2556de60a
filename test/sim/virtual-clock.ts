import type { Clock } from '../../src/common/clock.ts';
import { type Disposable, toDisposable } from '../../src/common/disposable.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
  set: boolean;
}

/** Time that passes only when the simulation says so; timers of the same moment run in the order in which they were set. */
export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  #pending = 0;
  /** A binary heap by moment and order; disposed timers leave it when they come up. */
  readonly #heap: Timer[] = [];
  readonly #turns: number;

  /**
   * `turns`: how often the event loop turns between two moments, so that promises settle. Those of pure computation need
   * one; real files and workers under a virtual clock get a few.
   */
  constructor(turns = 3) {
    this.#turns = turns;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return 1_800_000_000_000 + this.#now;
  }

  setTimeout(callback: () => void, delay: number): Disposable {
    const timer: Timer = { at: this.#after(delay), order: this.#order++, callback, set: true };
    this.#pending++;
    this.#push(timer);
    return toDisposable(() => {
      if (!timer.set) return;
      timer.set = false;
      this.#pending--;
    });
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
    return this.#pending;
  }

  /** Runs timers, letting promises settle between them, until `done` or for `limit` ms of virtual time. */
  async run(done: () => boolean, limit: number): Promise<boolean> {
    const end = this.#now + limit;
    for (;;) {
      for (let turn = 0; turn < this.#turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (done()) return true;
      const next = this.#first();
      if (!next || next.at > end) return done();
      this.#now = Math.max(this.#now, next.at);
      // All timers of this moment, then promises.
      for (let timer: Timer | undefined = next; timer && timer.at <= this.#now; timer = this.#first()) {
        this.#pop();
        timer.set = false;
        this.#pending--;
        timer.callback();
      }
    }
  }

  /** In whole microseconds, so that a delay that is too little to change the sum still lets time pass, as with real timers. */
  #after(delay: number): number {
    if (!(delay > 0)) return this.#now;
    return Math.max(Math.ceil((this.#now + delay) * 1_000), Math.floor(this.#now * 1_000) + 1) / 1_000;
  }

  #first(): Timer | undefined {
    while (this.#heap[0]?.set === false) this.#pop();
    return this.#heap[0];
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above]!;
      if (!isBefore(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!isBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
