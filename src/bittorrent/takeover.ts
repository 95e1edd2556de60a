import type { PeerSession } from './peer-session.ts';
import type { PieceRequest } from './request-queue.ts';

/** Guess for the first answer of a peer that has given none, in ms. */
const FIRST_ANSWER = 400;
/** Nobody is helped who will be done within this, in ms. */
const LEAST_WAIT = 400;
/** How many times faster an idle peer must be to take over a request: in the middle of a download, and at its end. */
const FASTER = 10;
const FASTER_AT_END = 3;
/** The same when the other never answered anything, and we know of one that does. */
const FASTER_THAN_NOTHING = 1.25;
/** How old a request is when others are asked too, in ms: in the endgame, and when a piece cannot be begun for want of memory. */
const ENDGAME_AGE = 400;
const STARVED_AGE = 2_000;
/** Bytes that an idle peer doubles at most. */
const ENDGAME_BYTES = 128 * 1024;
/** Peers that are asked for the same, one of which is known to answer; further ones for each `age` while none is. */
const MOST_ASKERS = 2;
const MORE_UNPROVEN = 6;
/** An urgent answer is late after this, in ms, and when another could have brought it twice. */
const URGENT_AGE = 150;
/**
 * A peer stalls when nothing of it became complete for that long and two round trips, and for as long as four such answers
 * take at its rate, but at most so many ms. Then whoever needs less than so many times that is asked for what is urgent.
 */
const ANSWERS_MISSED = 4;
const MOST_MISSED = 1_000;
const WORTH_WAITING = 4;
/** Peers slower than the fastest by this are not asked for urgent pieces. */
const TOO_SLOW = 10;

type Request = PieceRequest<PeerSession>;

export interface Peers {
  readonly sessions: ReadonlySet<PeerSession>;
  /** In ms. */
  readonly now: number;
}

/**
 * How long until the peer has delivered all that it was asked for and `more` bytes, in ms: going by its rate, and when it
 * has been silent for longer than that, expecting as much silence again.
 */
function timeToDeliver(session: PeerSession, more: number, now: number): number {
  const { requests } = session;
  const quiet = silence(session, now);
  if (!requests.proven) return Math.max(quiet, more > 0 ? FIRST_ANSWER : 0);
  const bytes = requests.bytes + more;
  const transfer = bytes === 0 ? 0 : (bytes / requests.rate) * 1000;
  return Math.max(quiet, (more > 0 ? (requests.roundTrip ?? 0) : 0) + transfer);
}

/** For how long it has had something to answer and completed nothing, in ms. */
function silence({ requests, throttledUntil }: PeerSession, now: number): number {
  const { oldest, lastBlock } = requests;
  return oldest ? now - Math.max(oldest.sent, lastBlock, throttledUntil) : 0;
}

/** Its answers, of this length, should have gone on coming: it went silent, or drips. */
function isStalled(session: PeerSession, length: number, now: number): boolean {
  const { rate, roundTrip } = session.requests;
  const missed = Math.min(MOST_MISSED, (ANSWERS_MISSED * length * 1000) / rate);
  return silence(session, now) >= Math.max(URGENT_AGE, 2 * (roundTrip ?? 0)) + missed;
}

/**
 * Finds requests of others that this idle peer would answer much sooner; those that would be answered last come first.
 * `take` says false when the peer has been given enough.
 */
export function takeOver(
  thief: PeerSession,
  { sessions, now }: Peers,
  atEnd: boolean,
  take: (request: Request) => boolean,
): void {
  if (!thief.requests.proven) return;
  const waiting: { session: PeerSession; wait: number }[] = [];
  for (const session of sessions) {
    if (session === thief || session.requests.size === 0) continue;
    const wait = timeToDeliver(session, 0, now);
    if (wait >= LEAST_WAIT) waiting.push({ session, wait });
  }
  waiting.sort((a, b) => b.wait - a.wait);
  for (const { session } of waiting) {
    const { requests } = session;
    const ratio = requests.delivered === 0 ? FASTER_THAN_NOTHING : atEnd ? FASTER_AT_END : FASTER;
    for (const request of requests.newestFirst()) {
      const wait = timeToDeliver(session, 0, now);
      if (wait < LEAST_WAIT || wait < ratio * timeToDeliver(thief, request.length, now)) break;
      if (requests.delivered === 0 && requests.snubs === 0) requests.snub(now);
      if (!take(request)) return;
    }
  }
}

/** Finds requests of others that are late enough for an idle peer to be asked too, unless `limit` are. */
export function askAgain(
  session: PeerSession,
  { sessions, now }: Peers,
  stage: 'endgame' | 'starved',
  ask: (request: Request, limit: number) => void,
): void {
  const least = stage === 'endgame' ? ENDGAME_AGE : STARVED_AGE;
  const most = Math.min(session.requests.depth, ENDGAME_BYTES);
  for (const other of sessions) {
    if (other === session) continue;
    const limitAt = (age: number): number =>
      other.requests.delivered > 0 ? MOST_ASKERS : MOST_ASKERS + MORE_UNPROVEN * Math.floor(age / least);
    for (const request of other.requests) {
      const age = now - Math.max(request.sent, other.throttledUntil);
      if (age <= least) break;
      if (session.requests.bytes >= most) return;
      ask(request, limitAt(age));
    }
  }
}

/**
 * Finds requests for an urgent piece that somebody else would have answered by now, or that a peer which stalls was asked.
 * A peer that never answered anything may be tried, too.
 */
export function hurry(
  piece: number,
  requests: Iterable<Request>,
  { sessions, now }: Peers,
  ask: (session: PeerSession, request: Request) => void,
): void {
  for (const request of requests) {
    let best: PeerSession | undefined;
    let bestTime = patience(request, now);
    for (const session of sessions) {
      const { requests, peerChoking } = session;
      if (session === request.peer || peerChoking || requests.snubs > 0 || !session.has(piece)) continue;
      const time = timeToDeliver(session, request.length, now);
      if (time >= bestTime || isStalled(session, request.length, now)) continue;
      best = session;
      bestTime = time;
    }
    if (best) ask(best, request);
  }
}

/** Within how many ms another must be able to bring it to be asked, too. */
function patience({ peer, sent, length }: Request, now: number): number {
  if (isStalled(peer, length, now)) return WORTH_WAITING * silence(peer, now);
  const age = now - Math.max(sent, peer.throttledUntil);
  return age < URGENT_AGE ? 0 : age / 2;
}

/**
 * The part of an urgent piece that this peer should bring, so that the fast ones among those that have it are done at the
 * same time. Peers that never answered count only while there are no others.
 */
export function shareOf(session: PeerSession, piece: number, sessions: ReadonlySet<PeerSession>): number {
  let fastest = 0;
  const speeds: number[] = [];
  for (const other of sessions) {
    if (other.peerChoking || !other.has(piece)) continue;
    const speed = speedOf(other);
    speeds.push(speed);
    fastest = Math.max(fastest, speed);
  }
  const own = speedOf(session);
  if (own * TOO_SLOW < fastest) return 0;
  return own / speeds.reduce((sum, speed) => (speed * TOO_SLOW < fastest ? sum : sum + speed), 0);
}

/** Bytes per second, or hardly anything while it is unknown. */
function speedOf({ requests }: PeerSession): number {
  return requests.proven ? Math.max(1, requests.rate) : 0.01;
}
