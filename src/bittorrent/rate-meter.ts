/** Bytes per second over a sliding window of whole slots. Time is passed in, in milliseconds. */
export class RateMeter {
  static readonly SLOT = 250;
  static readonly SLOTS = 16;
  readonly #slots = new Float64Array(RateMeter.SLOTS);
  #current = -1;
  #first = -1;
  /** Sum of the slots. */
  #recent = 0;
  total = 0;

  add(bytes: number, now: number): void {
    this.#advance(now);
    this.total += bytes;
    this.#recent += bytes;
    this.#slots[this.#current % RateMeter.SLOTS] = (this.#slots[this.#current % RateMeter.SLOTS] ?? 0) + bytes;
  }

  /** Average over up to the last 4 s; since the first byte while that is less. */
  rate(now: number): number {
    if (this.#current < 0) return 0;
    this.#advance(now);
    const slots = Math.min(RateMeter.SLOTS, this.#current - this.#first + 1);
    const partial = (now % RateMeter.SLOT) / RateMeter.SLOT;
    return this.#recent / (Math.max(1, slots - 1 + partial) * (RateMeter.SLOT / 1000));
  }

  #advance(now: number): void {
    const slot = Math.floor(now / RateMeter.SLOT);
    if (this.#first < 0) {
      this.#first = slot;
      this.#current = slot;
    }
    if (slot - this.#current > RateMeter.SLOTS) {
      this.#slots.fill(0);
      this.#recent = 0;
      this.#current = slot;
    }
    while (this.#current < slot) {
      this.#current++;
      this.#recent -= this.#slots[this.#current % RateMeter.SLOTS] ?? 0;
      this.#slots[this.#current % RateMeter.SLOTS] = 0;
    }
  }
}
