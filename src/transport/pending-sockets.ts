import { addressGroup } from './ip-address.ts';

/** Counts sockets whose owner is not known yet, so that strangers cannot pile them up. */
export class PendingSockets {
  readonly #limit: number;
  readonly #limitPerAddress: number;
  readonly #perAddress = new Map<string, number>();
  #count = 0;

  constructor(limit: number, limitPerAddress: number) {
    this.#limit = limit;
    this.#limitPerAddress = limitPerAddress;
  }

  get count(): number {
    return this.#count;
  }

  /** The address has as many as one may have. */
  isFullFor(address: string): boolean {
    return (this.#perAddress.get(addressGroup(address)) ?? 0) >= this.#limitPerAddress;
  }

  /** Takes a place, and returns how to give it back (once; more calls do nothing); undefined when none is free. */
  enter(address: string): (() => void) | undefined {
    const group = addressGroup(address);
    const before = this.#perAddress.get(group) ?? 0;
    if (this.#count >= this.#limit || before >= this.#limitPerAddress) return undefined;
    this.#count++;
    this.#perAddress.set(group, before + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#count--;
      const now = (this.#perAddress.get(group) ?? 1) - 1;
      if (now > 0) this.#perAddress.set(group, now);
      else this.#perAddress.delete(group);
    };
  }
}
