import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { Throttle } from '../common/throttle.ts';
import type { PeerSession } from './peer-session.ts';
import { encodeMessage } from './wire/messages.ts';

/** Between two announcements, in ms: each is a record and a wake-up for every peer. */
const PAUSE = 100;

/** Tells the peers of a swarm which pieces we got, many at a time. */
export class Announcer implements Disposable {
  readonly #sessions: Iterable<PeerSession>;
  readonly #throttle: Throttle;
  #waiting: number[] = [];

  constructor(clock: Clock, sessions: Iterable<PeerSession>) {
    this.#sessions = sessions;
    this.#throttle = new Throttle(clock, PAUSE, () => this.#announce());
  }

  add(piece: number): void {
    this.#waiting.push(piece);
    this.#throttle.run();
  }

  /** Announces what waits now. */
  flush(): void {
    this.#throttle.flush();
  }

  dispose(): void {
    this.#throttle.dispose();
  }

  /** Also to those who have them: a source that knows what is spread already sends what is not. */
  #announce(): void {
    if (this.#waiting.length === 0) return;
    const messages = encodeHaves(this.#waiting);
    this.#waiting = [];
    for (const session of this.#sessions) if (session.ready) session.sendEncoded(messages);
  }
}

/** One `have` for each piece. */
export function encodeHaves(pieces: Iterable<number>): Buffer {
  return Buffer.concat([...pieces].map((piece) => encodeMessage({ type: 'have', piece })));
}
