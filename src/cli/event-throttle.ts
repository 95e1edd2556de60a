import type { Disposable } from '../common/disposable.ts';

/**
 * Passes at most one value per `period` milliseconds for each key: the first at once, then the latest. A value marked
 * as final passes at once and ends its key.
 */
export class EventThrottle<T> implements Disposable {
  readonly #period: number;
  readonly #emit: (value: T) => void;
  readonly #waiting = new Map<string, { timer: NodeJS.Timeout; value: T | undefined }>();

  constructor(period: number, emit: (value: T) => void) {
    this.#period = period;
    this.#emit = emit;
  }

  push(key: string, value: T, final: boolean): void {
    const waiting = this.#waiting.get(key);
    if (final) {
      clearTimeout(waiting?.timer);
      this.#waiting.delete(key);
      this.#emit(value);
    } else if (waiting !== undefined) {
      waiting.value = value;
    } else {
      this.#emit(value);
      this.#waiting.set(key, { timer: setTimeout(() => this.#next(key), this.#period), value: undefined });
    }
  }

  /** Passes what still waits. */
  dispose(): void {
    for (const { timer, value } of this.#waiting.values()) {
      clearTimeout(timer);
      if (value !== undefined) this.#emit(value);
    }
    this.#waiting.clear();
  }

  #next(key: string): void {
    const value = this.#waiting.get(key)?.value;
    this.#waiting.delete(key);
    if (value !== undefined) this.push(key, value, false);
  }
}
