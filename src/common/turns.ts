import { setImmediate } from 'node:timers/promises';

/** Synchronous work that may be interrupted wherever it yields: every few hundred small steps. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Milliseconds for which work in turns holds up its thread. */
const TURN = 8;

/** Does the work without a break. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Does the work in turns, between which the thread's other work runs. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const end = performance.now() + TURN;
    do {
      const { done, value } = steps.next();
      if (done) return value;
    } while (performance.now() < end);
    await setImmediate();
  }
}
