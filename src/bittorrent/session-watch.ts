import { PeerwireError } from '../common/errors.ts';
import type { PeerSession } from './peer-session.ts';

/** Silence before we say that we are alive, and after which a peer counts as dead, in ms (BEP 3: two minutes). */
const KEEP_ALIVE = 60_000;
const DEAD_AFTER = 150_000;
/** Who takes nothing of what waits for it for this long, in ms, holds our memory for nothing; and while that is scarce. */
const UNREAD_AFTER = 60_000;
const UNREAD_AFTER_IF_SCARCE = 15_000;
/** Somebody who should say or take something, and has not for this long, in ms, may be gone. */
const QUIET_AFTER = 4000;
/** A session that nobody uses is closed after this, in ms. */
const IDLE_AFTER = 60_000;

/** Closes the sessions of a swarm that fell silent, read nothing, or that nobody uses. */
export class SessionWatch {
  readonly #idleSince = new Map<PeerSession, number>();

  /**
   * To be called for each about once a second. `scarce`: memory for what is sent is. `needed`: the session is, though neither
   * side is interested. `now` in ms.
   */
  check(session: PeerSession, now: number, { scarce, needed }: { scarce: boolean; needed: boolean }): void {
    if (session.checkAlive(KEEP_ALIVE, DEAD_AFTER)) {
      session.close(new PeerwireError('timeout', 'The peer fell silent.'));
    } else if (session.unreadFor() > (scarce ? UNREAD_AFTER_IF_SCARCE : UNREAD_AFTER)) {
      session.close(new PeerwireError('timeout', 'The peer reads nothing of what it asked for.'));
    } else if (needed || session.amInterested || session.peerInterested) {
      this.#idleSince.delete(session);
    } else {
      const since = this.#idleSince.get(session) ?? now;
      this.#idleSince.set(session, since);
      if (now - since > IDLE_AFTER) session.close(new PeerwireError('closed', 'Nobody needs this connection now.'));
    }
  }

  /** Nothing comes though something was asked for, or nothing of what waits leaves; to be asked after `check`. */
  isQuiet(session: PeerSession, now: number): boolean {
    const { requests, lastReceived, throttledUntil } = session;
    const asked = requests.oldest?.sent;
    const quiet = asked !== undefined && now - Math.max(asked, lastReceived, throttledUntil) > QUIET_AFTER;
    return quiet || session.unreadFor() > QUIET_AFTER;
  }

  /** The session ended. */
  forget(session: PeerSession): void {
    this.#idleSince.delete(session);
  }
}
