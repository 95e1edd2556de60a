import type { SecretStore } from '../../../src/peer/secret-store.ts';

/** As the editor's: what one window stores takes a moment to arrive in the others. */
export class SlowSecrets {
  readonly #stored = new Map<string, string>();
  readonly #delay: number;

  /** `delay`: ms. */
  constructor(delay: number) {
    this.#delay = delay;
  }

  /** The view of one window. */
  window(): SecretStore & { store(key: string, value: string): Promise<void> } {
    const own = new Map<string, string>();
    const set = async (key: string, value: string): Promise<void> => {
      own.set(key, value);
      // The test may end before it arrives.
      setTimeout(() => this.#stored.set(key, value), this.#delay).unref();
    };
    return {
      get: async (key) => own.get(key) ?? this.#stored.get(key),
      set,
      store: set,
      delete: async (key) => {
        own.delete(key);
        this.#stored.delete(key);
      },
    };
  }
}
