import { setImmediate } from 'node:timers/promises';

/** Milliseconds that synchronous work may hold up everything else on this thread. */
const TURN = 4;

/** Breaks long synchronous work into turns, between which other work of the thread runs. */
export class Pacer {
  #began = performance.now();
  #pause: Promise<void> | undefined;

  /** Call between two steps: returns at once, or after other work has had its turn. */
  async pause(): Promise<void> {
    if (this.#pause) return await this.#pause;
    if (performance.now() - this.#began < TURN) return;
    this.#pause = setImmediate();
    await this.#pause;
    this.#pause = undefined;
    this.#began = performance.now();
  }
}
