import { type Disposable, toDisposable } from '../common/disposable.ts';

/**
 * Pieces that somebody waits for, most urgent first. Each window is one reader's pieces in its order; several windows are
 * interleaved, so that every reader gets its next piece. A piece leaves when it is had or its window is disposed.
 */
export class PriorityWindows implements Iterable<number> {
  readonly #windows = new Set<Set<number>>();
  #order = new Set<number>();

  get size(): number {
    return this.#order.size;
  }

  has(piece: number): boolean {
    return this.#order.has(piece);
  }

  /** From now on these come first, in this order, until they are had or the result is disposed. */
  add(pieces: Iterable<number>): Disposable {
    const window = new Set(pieces);
    this.#windows.add(window);
    this.#sort();
    return toDisposable(() => {
      this.#windows.delete(window);
      this.#sort();
    });
  }

  /** The piece is there. */
  delete(piece: number): void {
    if (!this.#order.delete(piece)) return;
    for (const window of this.#windows) window.delete(piece);
  }

  /** May be changed while it is walked through. */
  [Symbol.iterator](): Iterator<number> {
    return this.#order.values();
  }

  #sort(): void {
    const order = new Set<number>();
    const readers = [...this.#windows].map((window) => window.values());
    for (let open = readers; open.length > 0; ) {
      open = open.filter((reader) => {
        const next = reader.next();
        if (next.done !== true) order.add(next.value);
        return next.done !== true;
      });
    }
    this.#order = order;
  }
}
