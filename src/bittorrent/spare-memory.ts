/** Memory of several sizes that nobody uses now, kept to be used again within a bound. */
export class SpareMemory<Memory> {
  /** By size, what was used last comes last. */
  readonly #bySize = new Map<number, Memory[]>();
  #bytes = 0;

  /** Bytes kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Some of exactly this size. */
  take(size: number): Memory | undefined {
    const memory = this.#bySize.get(size)?.pop();
    if (memory !== undefined) this.#bytes -= size;
    return memory;
  }

  /** Keeps it; `shrink` may follow. */
  give(size: number, memory: Memory): void {
    const same = this.#bySize.get(size) ?? [];
    this.#bySize.delete(size);
    this.#bySize.set(size, same);
    same.push(memory);
    this.#bytes += size;
  }

  /** Lets go of sizes that were not used lately until no more than so many bytes are kept. */
  shrink(most: number): void {
    if (this.#bytes <= most) return;
    for (const [size, same] of this.#bySize) {
      while (this.#bytes > most && same.pop() !== undefined) this.#bytes -= size;
      if (same.length === 0) this.#bySize.delete(size);
    }
  }
}
