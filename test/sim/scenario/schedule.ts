import type { Disposable } from '../../../src/common/disposable.ts';
import type { VirtualClock } from '../virtual-clock.ts';

/** What the scenario itself has planned, apart from the timers of the engine: it ends with the run, those must end by themselves. */
export class Schedule implements Disposable {
  readonly #clock: VirtualClock;
  readonly #timers = new Set<Disposable>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  after(ms: number, action: () => void): void {
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  dispose(): void {
    for (const timer of this.#timers) timer.dispose();
    this.#timers.clear();
  }
}
