import type { Connection } from '../../../bittorrent/connection.ts';
import type { RateLimiter } from '../../../bittorrent/rate-limiter.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Disposable } from '../../../common/disposable.ts';
import type { PeerwireError } from '../../../common/errors.ts';

/** Bytes that wait at one end before the other is left unread. */
export const HIGH_WATER = 64 * 1024;
/** Milliseconds for what waits at one end after the other is gone. */
const LAST_BYTES = 10_000;

export interface SpliceOptions {
  readonly clock: Clock;
  readonly limiter: RateLimiter;
  /** Once, when both ends are closed or about to be. */
  readonly onEnd: () => void;
  /** Sees what passes, `side` being the end from which it came. */
  readonly tap?: ((chunk: Uint8Array, side: 0 | 1) => void) | undefined;
}

/**
 * Passes bytes between two connections, unread. What one end does not take is not read from the other, and all that passes
 * obeys the limiter.
 */
export class Splice {
  readonly #options: SpliceOptions;
  readonly #ends: readonly [Connection, Connection];
  readonly #waits: [Disposable | undefined, Disposable | undefined] = [undefined, undefined];
  readonly #full: [boolean, boolean] = [false, false];
  #lastWords: Disposable | undefined;
  #ended = false;
  /** Monotone time of the last byte. */
  lastActive: number;
  /** Bytes that passed, both ways. */
  passed = 0;

  constructor(ends: readonly [Connection, Connection], options: SpliceOptions) {
    this.#ends = ends;
    this.#options = options;
    this.lastActive = options.clock.now();
    for (const side of [0, 1] as const) {
      ends[side].start({
        onData: (chunk) => this.#pass(side, chunk),
        onDrain: () => this.#drained(side),
        onClose: () => this.#closed(side),
      });
    }
    for (const end of ends) end.resume();
  }

  close(reason?: PeerwireError): void {
    for (const end of this.#ends) end.close(reason);
    this.#end();
  }

  #pass(from: 0 | 1, chunk: Uint8Array): void {
    const { clock, limiter, tap } = this.#options;
    const source = this.#ends[from];
    const target = this.#ends[other(from)];
    if (target.closed) return;
    this.lastActive = clock.now();
    this.passed += chunk.length;
    tap?.(chunk, from);
    // The chunk's memory is reused by the next read.
    target.write([Buffer.from(chunk)]);
    limiter.spend(chunk.length);
    if (target.writableLength >= HIGH_WATER) this.#full[from] = true;
    this.#awaitTurn(from);
    if (this.#mustWait(from)) source.pause();
  }

  #mustWait(from: 0 | 1): boolean {
    return this.#full[from] || this.#waits[from] !== undefined;
  }

  #awaitTurn(from: 0 | 1): void {
    const wait = this.#options.limiter.wait();
    if (wait <= 0 || this.#waits[from] !== undefined || this.#ended) return;
    this.#waits[from] = this.#options.clock.setTimeout(() => {
      this.#waits[from] = undefined;
      // Others may have spent meanwhile.
      this.#awaitTurn(from);
      if (!this.#mustWait(from)) this.#ends[from].resume();
    }, wait);
  }

  /** What waited to be sent to `side` has left. */
  #drained(side: 0 | 1): void {
    const from = other(side);
    if (this.#lastWords) this.close();
    else if (this.#full[from]) {
      this.#full[from] = false;
      if (!this.#mustWait(from)) this.#ends[from].resume();
    }
  }

  #closed(side: 0 | 1): void {
    const rest = this.#ends[other(side)];
    if (rest.closed || rest.writableLength === 0) this.close();
    else this.#lastWords ??= this.#options.clock.setTimeout(() => this.close(), LAST_BYTES);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#lastWords?.dispose();
    for (const wait of this.#waits) wait?.dispose();
    this.#options.onEnd();
  }
}

const other = (side: 0 | 1): 0 | 1 => (side === 0 ? 1 : 0);
