import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorCode, errorMessage } from '../../common/errors.ts';
import type { DeviceId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { RefusedError } from '../../transport/refused-error.ts';
import { type AddressBook, type AddressRecord, isUnproven } from './address-book.ts';
import type { MemberChannel, PeerRef } from './channel.ts';

/** Connections being opened at once. */
export const MAX_ATTEMPTS = 8;
/** … and besides, while nobody is connected, to where a member was: all of those within a minute, though none may answer. */
export const MAX_ATTEMPTS_ALONE = 40;

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** Refuse any other device. */
  readonly expectDevice?: DeviceId;
  readonly signal: AbortSignal;
  /** One connection, however it is dropped: who listens there may be no peer at all. */
  readonly once?: boolean;
}

export interface DialerOptions {
  readonly book: AddressBook;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly isConnected: (peer: PeerRef) => boolean;
  /** Nobody is connected. */
  readonly isAlone: () => boolean;
  /** False while there is no room for further connections. */
  readonly hasRoom: () => boolean;
  /** A member answered and would not have us. */
  readonly onRefused: (reason: RefusedError) => void;
  /** Receives each channel, owns it, and tells the book how it went. */
  readonly onChannel: (channel: MemberChannel, dialed: string) => void;
}

/** Dials what the address book says is due, a few at a time. */
export class Dialer implements Disposable {
  readonly #options: DialerOptions;
  readonly #abort = new AbortController();
  /** Aborted to begin all attempts anew. */
  #round = new AbortController();
  #attempts = 0;
  #attemptsAlone = 0;
  #timer: Disposable | undefined;
  #started = false;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  /** Looks for addresses that fell due: call it whenever the book or the set of connected peers changed. */
  poke(): void {
    this.#started = true;
    this.#run();
  }

  /** Breaks off what is being opened, from an address or by a route that may be gone, and begins anew. */
  breakOff(): void {
    const round = this.#round;
    this.#round = new AbortController();
    round.abort();
  }

  dispose(): void {
    this.#timer?.dispose();
    this.#abort.abort();
  }

  #run(): void {
    if (!this.#started || this.#abort.signal.aborted) return;
    const { book, clock, isConnected, isAlone, hasRoom } = this.#options;
    this.#timer?.dispose();
    this.#timer = undefined;
    if (!hasRoom()) return;
    for (const record of book.take(MAX_ATTEMPTS - this.#attempts, isConnected)) {
      this.#attempts++;
      // Reports by itself.
      void this.#attempt(record).finally(() => {
        this.#attempts--;
        this.#run();
      });
    }
    const alone = isAlone();
    if (alone) {
      for (const record of book.take(MAX_ATTEMPTS_ALONE - this.#attemptsAlone, isConnected, 'proven')) {
        this.#attemptsAlone++;
        void this.#attempt(record).finally(() => {
          this.#attemptsAlone--;
          this.#run();
        });
      }
    }
    // At full capacity, the end of an attempt runs this again.
    const which =
      this.#attempts < MAX_ATTEMPTS ? 'all' : alone && this.#attemptsAlone < MAX_ATTEMPTS_ALONE ? 'proven' : undefined;
    const wait = which && book.nextDue(isConnected, which);
    if (wait !== undefined) this.#timer = clock.setTimeout(() => this.#run(), wait);
  }

  async #attempt(record: AddressRecord): Promise<void> {
    const { book, logger, dial, onChannel, onRefused } = this.#options;
    const round = this.#round.signal;
    let channel: MemberChannel;
    try {
      const signal = AbortSignal.any([this.#abort.signal, round]);
      channel = await dial({ host: record.host, port: record.port, signal, once: isUnproven(record) });
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      if (round.aborted) {
        book.abandoned(record.key);
      } else if (errorCode(error) === 'exists') {
        book.isSelf(record.key);
      } else {
        book.failed(record.key);
        logger.debug(`Dialing ${record.key} (${record.origin}) failed: ${errorMessage(error)}`);
        if (error instanceof RefusedError) onRefused(error);
      }
      return;
    }
    if (this.#abort.signal.aborted) {
      channel.close();
      return;
    }
    onChannel(channel, record.key);
  }
}
