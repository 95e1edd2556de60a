/** Random numbers in [0, 1), passed in so that simulations replay. */
export type Random = () => number;

/** Pieces picked at random before rarest-first begins, so that the first peers have something to trade. */
const RANDOM_FIRST = 4;

/**
 * Chooses which wanted piece to begin next: rarest first among those that a peer has.
 *
 * Invariant: `#order` holds each *open* piece (wanted, not had, not begun) once, sorted by availability; `#bounds[a]` is
 * where the pieces with availability ≥ a begin. Every change of one availability by one is O(1).
 */
export class PiecePicker {
  readonly #availability: Uint16Array;
  readonly #order: Int32Array;
  readonly #position: Int32Array;
  readonly #bounds: number[] = [0];
  readonly #random: Random;
  #open = 0;
  #chosen = 0;
  #additions = 0;

  constructor(pieceCount: number, random: Random) {
    this.#availability = new Uint16Array(pieceCount);
    this.#order = new Int32Array(pieceCount);
    this.#position = new Int32Array(pieceCount).fill(-1);
    this.#random = random;
  }

  /** Number of open pieces: wanted, not had, not begun. */
  get open(): number {
    return this.#open;
  }

  /** How often a piece was added: while that stays the same, no piece became open. */
  get additions(): number {
    return this.#additions;
  }

  availability(piece: number): number {
    return this.#availability[piece] ?? 0;
  }

  /** Makes a piece eligible. */
  add(piece: number): void {
    if (this.isOpen(piece)) return;
    this.#additions++;
    // Append as most available, then swap down to its place: one swap per availability class above it.
    const availability = this.availability(piece);
    while (this.#bounds.length <= availability) this.#bounds.push(this.#open);
    let position = this.#open++;
    this.#place(piece, position);
    for (let level = this.#bounds.length - 1; level > availability; level--) {
      const bound = this.#bounds[level] ?? 0;
      this.#swap(position, bound);
      position = bound;
      this.#bounds[level] = bound + 1;
    }
  }

  /** Takes a piece out: begun, had or no longer wanted. */
  remove(piece: number): void {
    let position = this.#position[piece] ?? -1;
    if (position < 0) return;
    for (let level = this.availability(piece) + 1; level < this.#bounds.length; level++) {
      const last = (this.#bounds[level] ?? 0) - 1;
      this.#swap(position, last);
      position = last;
      this.#bounds[level] = last;
    }
    this.#swap(position, this.#open - 1);
    this.#open--;
    this.#position[piece] = -1;
  }

  isOpen(piece: number): boolean {
    return (this.#position[piece] ?? -1) >= 0;
  }

  increase(piece: number): void {
    const from = this.availability(piece);
    this.#availability[piece] = from + 1;
    if (!this.isOpen(piece)) return;
    // Move behind the last piece of its class, then shrink the class from above.
    while (this.#bounds.length <= from + 1) this.#bounds.push(this.#open);
    const bound = (this.#bounds[from + 1] ?? this.#open) - 1;
    this.#swap(this.#position[piece] ?? 0, bound);
    this.#bounds[from + 1] = bound;
  }

  decrease(piece: number): void {
    const from = this.availability(piece);
    if (from === 0) return;
    this.#availability[piece] = from - 1;
    if (!this.isOpen(piece)) return;
    const bound = this.#bounds[from] ?? 0;
    this.#swap(this.#position[piece] ?? 0, bound);
    this.#bounds[from] = bound + 1;
  }

  /**
   * The best open piece that `has` accepts, which is to be removed when it is begun; undefined when there is none. Among
   * equally rare ones chance decides, so that peers that start together take different pieces.
   */
  choose(has: (piece: number) => boolean): number | undefined {
    if (this.#open === 0) return undefined;
    let piece = this.#chosen < RANDOM_FIRST ? this.#among(0, this.#open, has) : undefined;
    for (let level = 0; piece === undefined && level < this.#bounds.length; level++) {
      piece = this.#among(this.#bounds[level] ?? 0, this.#bounds[level + 1] ?? this.#open, has);
    }
    if (piece !== undefined) this.#chosen++;
    return piece;
  }

  #among(from: number, to: number, has: (piece: number) => boolean): number | undefined {
    const count = to - from;
    const start = Math.floor(this.#random() * count);
    for (let step = 0; step < count; step++) {
      const piece = this.#order[from + ((start + step) % count)] ?? -1;
      if (has(piece)) return piece;
    }
    return undefined;
  }

  #place(piece: number, position: number): void {
    this.#order[position] = piece;
    this.#position[piece] = position;
  }

  #swap(a: number, b: number): void {
    if (a === b) return;
    const pieceA = this.#order[a] ?? 0;
    const pieceB = this.#order[b] ?? 0;
    this.#place(pieceB, a);
    this.#place(pieceA, b);
  }
}
