import type { Clock } from './clock.ts';
import type { Disposable } from './disposable.ts';

/** Runs an action whenever it is asked for, but with a pause between two runs: what is asked for meanwhile is done at its end, once. */
export class Throttle implements Disposable {
  readonly #clock: Clock;
  readonly #pause: number;
  readonly #action: () => void;
  #timer: Disposable | undefined;
  #asked = false;
  #disposed = false;

  /** `pause`: milliseconds. */
  constructor(clock: Clock, pause: number, action: () => void) {
    this.#clock = clock;
    this.#pause = pause;
    this.#action = action;
  }

  /** Now, or at the end of the pause. */
  run(): void {
    if (this.#disposed) return;
    if (this.#timer) {
      this.#asked = true;
      return;
    }
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      if (!this.#asked) return;
      this.#asked = false;
      this.run();
    }, this.#pause);
    this.#action();
  }

  /** What was asked for is done now, if anything was. */
  flush(): void {
    if (!this.#asked || this.#disposed) return;
    this.#asked = false;
    this.#action();
  }

  /** What was asked for is not done any more. */
  dispose(): void {
    this.#disposed = true;
    this.#timer?.dispose();
  }
}
