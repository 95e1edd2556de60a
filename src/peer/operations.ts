import { PeerwireError } from '../common/errors.ts';

/** Calls under way that their caller may cancel, by the name that it gave them. */
export class Operations {
  readonly #running = new Map<string, AbortController>();

  /** What the action returns; its signal aborts with `cancel` and `close`. Without a name nobody aborts it. */
  async run<T>(name: string | undefined, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController();
    if (name === undefined) return await action(abort.signal);
    this.#running.set(name, abort);
    try {
      return await action(abort.signal);
    } finally {
      // A later call of the same name may run on.
      if (this.#running.get(name) === abort) this.#running.delete(name);
    }
  }

  /** Nothing happens when there is none of that name (any more). */
  cancel(name: string): void {
    this.#running.get(name)?.abort(new PeerwireError('cancelled', 'Cancelled.'));
  }

  close(): void {
    for (const abort of this.#running.values()) abort.abort(new PeerwireError('closed', 'The peer is closing.'));
  }
}
