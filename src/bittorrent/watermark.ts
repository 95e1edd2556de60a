import { Emitter, type Event } from '../common/event.ts';

/**
 * Back-pressure between who produces and who consumes: counts what was produced and not yet consumed. Once it reaches the
 * high mark the producer stops, until the consumer has brought it down to the low mark. (libtorrent: back_pressure.)
 */
export class Watermark {
  readonly high: number;
  readonly low: number;
  readonly #onLow = new Emitter<void>();
  /** It was full, and the level came down to the low mark: producers may go on. */
  readonly onLow: Event<void> = this.#onLow.event;
  #level = 0;
  #full = false;

  /** `high` in bytes; `low` at most the same, half of it if absent. */
  constructor(high: number, low = high / 2) {
    this.high = high;
    this.low = low;
  }

  get level(): number {
    return this.#level;
  }

  /** Producers wait for `onLow`. */
  get full(): boolean {
    return this.#full;
  }

  /** Counts what is produced already: one who looks at `full` before exceeds the high mark by one addition at most. */
  add(amount: number): void {
    this.set(this.#level + amount);
  }

  /** Whether so much more fits below the high mark, or goes `beyond` it by no more than that. If not, it is full from now on. */
  fits(amount: number, beyond = 0): boolean {
    if (this.#level + amount <= this.high + beyond) return true;
    this.#full = true;
    return false;
  }

  remove(amount: number): void {
    this.set(this.#level - amount);
  }

  /** For levels that are measured rather than counted. */
  set(level: number): void {
    this.#level = level;
    if (level >= this.high) this.#full = true;
    else if (this.#full && level <= this.low) {
      this.#full = false;
      this.#onLow.fire();
    }
  }
}
