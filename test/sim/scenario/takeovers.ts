import { BLOCK_SIZE, blockCount } from '../../../src/bittorrent/merkle.ts';

/**
 * What one peer asked somebody for, then asked another for instead, and was sent by both: it had left when the cancel came.
 * No peer can tell when it cancels.
 */
export class Takeovers {
  /** Blocks that came, by piece and number. */
  readonly #here = new Set<string>();
  #crossed = 0;

  /** Bytes that crossed a cancel on their way. */
  get crossed(): number {
    return this.#crossed;
  }

  /** Whether something of this is not here yet: to cancel it is to give it to another. */
  isTakeover(piece: number, begin: number, length: number): boolean {
    return blocksOf(piece, begin, length).some((block) => !this.#here.has(block));
  }

  /** It came. `crossing`: after it had been cancelled as a takeover. */
  came(piece: number, begin: number, length: number, crossing: boolean): void {
    for (const block of blocksOf(piece, begin, length)) this.#here.add(block);
    if (crossing) this.#crossed += length;
  }
}

function blocksOf(piece: number, begin: number, length: number): string[] {
  return Array.from({ length: blockCount(length) }, (_, index) => `${piece}/${Math.floor(begin / BLOCK_SIZE) + index}`);
}
