import { isLoopback } from './address.ts';

/**
 * How many entries each address has: IPv4 by address, IPv6 by /64, because a whole /64 is usually one subscriber's.
 * Loopback is not counted.
 */
export class AddressCounter {
  readonly #counts = new Map<number | string, number>();

  get(address: Uint8Array): number {
    return this.#counts.get(keyOf(address)) ?? 0;
  }

  add(address: Uint8Array): void {
    if (isLoopback(address)) return;
    const key = keyOf(address);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  remove(address: Uint8Array): void {
    if (isLoopback(address)) return;
    const key = keyOf(address);
    const count = (this.#counts.get(key) ?? 0) - 1;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }

  get size(): number {
    return this.#counts.size;
  }
}

function keyOf(address: Uint8Array): number | string {
  if (address.length === 16) return String.fromCharCode(...address.subarray(0, 8));
  return ((address[0] ?? 0) << 24) | ((address[1] ?? 0) << 16) | ((address[2] ?? 0) << 8) | (address[3] ?? 0);
}
