/** Bytes wanted behind the second of two reads that follow each other; doubled with each further one. */
const FIRST_AHEAD = 1024 * 1024;
const MOST_AHEAD = 4 * 1024 * 1024;
/** Bytes that a reader may ask for itself. */
export const MAX_AHEAD = 16 * 1024 * 1024;

/** Guesses how far behind a read of one file more will be wanted: nothing, until reads follow each other. */
export class ReadAhead {
  #next = -1;
  #window = 0;

  /** Bytes to have ready behind this read. `wish`: what the reader says itself. */
  window(offset: number, length: number, wish: number | undefined): number {
    const sequential = offset === this.#next;
    this.#next = offset + length;
    this.#window = sequential ? Math.min(MOST_AHEAD, Math.max(FIRST_AHEAD, this.#window * 2)) : 0;
    return wish ?? this.#window;
  }
}
