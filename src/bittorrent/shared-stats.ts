import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';

interface Looks {
  /** The look that has begun. */
  readonly now: Promise<BigIntStats>;
  /** The one that begins when it is done, for those who asked meanwhile. */
  next: Promise<BigIntStats> | undefined;
}

/** How files look, asked once for all who want to know at about the same time. */
export class SharedStats {
  readonly #looks = new Map<string, Looks>();

  /** How the file looks at a moment after the call. Never follows a link. Rejects with the system's error. */
  after(path: string): Promise<BigIntStats> {
    const looks = this.#looks.get(path);
    if (!looks) return this.#look(path);
    // One that is under way may have seen the file before the call.
    looks.next ??= looks.now.then(
      () => this.#look(path),
      () => this.#look(path),
    );
    return looks.next;
  }

  #look(path: string): Promise<BigIntStats> {
    const now = lstat(path, { bigint: true });
    const looks: Looks = { now, next: undefined };
    this.#looks.set(path, looks);
    const done = (): void => {
      if (looks.next === undefined && this.#looks.get(path) === looks) this.#looks.delete(path);
    };
    now.then(done, done);
    return now;
  }
}
