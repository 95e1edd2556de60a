import type { Clock } from '../common/clock.ts';
import { PeerwireError } from '../common/errors.ts';
import type { Connection } from './connection.ts';
import type { PeerSession } from './peer-session.ts';

/** Milliseconds for what was asked for by the old connection. */
export const RETIRES_WITHIN = 30_000;

/**
 * Sessions that a better connection to the same peer replaces. Nothing more is asked by them; they end when what was asked for has
 * arrived, both ways: who has all it asked for loses interest, and whoever sees that neither side has any closes.
 */
export class RetiringSessions {
  readonly #clock: Clock;
  /** What a connection replaces, until it is ready. */
  readonly #replacedBy = new Map<PeerSession, Connection>();
  /** Monotone times (ms) at which they end in any case. */
  readonly #until = new Map<PeerSession, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be called for a new session before it is ready. */
  replace(old: Connection, session: PeerSession): void {
    this.#replacedBy.set(session, old);
  }

  /** Returns the session that retires now that this one is ready. */
  onReady(session: PeerSession, sessions: Iterable<PeerSession>): PeerSession | undefined {
    const old = this.#replacedBy.get(session);
    this.#replacedBy.delete(session);
    if (old === undefined) return undefined;
    for (const other of sessions) {
      if (other.wire.connection !== old || other.retiring) continue;
      other.retiring = true;
      this.#until.set(other, this.#clock.now() + RETIRES_WITHIN);
      return other;
    }
    return undefined;
  }

  /** To be called about once a second. */
  tick(): void {
    const now = this.#clock.now();
    for (const [session, until] of this.#until) {
      if (session.requests.size === 0) session.setInterested(false);
      if (now >= until || !(session.amInterested || session.peerInterested))
        session.close(new PeerwireError('closed', 'A direct connection replaces this one.'));
    }
  }

  /** The session ended. */
  forget(session: PeerSession): void {
    this.#replacedBy.delete(session);
    this.#until.delete(session);
  }
}
