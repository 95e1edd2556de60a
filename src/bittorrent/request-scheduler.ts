import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { ActivePiece } from './active-piece.ts';
import type { ActivePieces } from './active-pieces.ts';
import type { BlockRequests } from './block-requests.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { type Info, pieceAt } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import type { BufferUser } from './piece-buffers.ts';
import type { PiecePicker } from './piece-picker.ts';
import type { PriorityWindows } from './priority-windows.ts';
import { requestBlocks, requestDepth } from './request-depth.ts';
import type { PieceRequest } from './request-queue.ts';
import type { RunPicker } from './run-picker.ts';
import type { SourceUser } from './shared-sources.ts';
import { SmallRun } from './small-run.ts';
import { askAgain, hurry, type Peers, shareOf, takeOver } from './takeover.ts';

/** Snubs in a row after which a peer gets only what nobody else has. */
const MOST_SNUBS = 2;
/** A piece belongs to the peer that began it when that can finish it within this many seconds: whole pieces from fast peers. */
const OWNED_SECONDS = 20;
/** No piece is begun while more than this many for each peer are unfinished, if one of those can be continued. */
const PARTIAL_PER_PEER = 1.5;
/** Requests in front of urgent ones are cancelled when they would take longer than this, in ms. */
const QUEUE_JUMP = 100;
/** What we expect of a peer that never answered, in ms: it is tried before one that is far away, and after one that is near. */
const UNKNOWN_ANSWER = 100;
/** Bytes to keep outstanding to a peer while a transfer of higher priority keeps its device busy. */
const YIELDING_DEPTH = BLOCK_SIZE;
/** How often we look whether somebody should be asked for what others owe, while that may be so, in ms. */
const PATIENCE = 100;

export interface SchedulerParts {
  readonly info: Info;
  readonly clock: Clock;
  readonly buffers: BufferUser;
  readonly sessions: ReadonlySet<PeerSession>;
  readonly picker: PiecePicker;
  readonly pieces: ActivePieces<PeerSession>;
  readonly urgent: PriorityWindows;
  readonly requests: BlockRequests;
  readonly runs: RunPicker;
  readonly sources: SourceUser;
}

/**
 * Decides whom to ask for what. Each peer is kept busy to the depth of its own rate, in this order: pieces that somebody
 * waits for; the piece that it is at, or one that nobody is at; a new one, the rarest; blocks of another's. A peer for which
 * nothing is left helps out those that keep us waiting.
 */
export class RequestScheduler {
  readonly #parts: SchedulerParts;
  /** Bytes of the largest piece. */
  readonly #largest: number;
  /** Those to be pumped soon. */
  readonly #due = new Set<PeerSession>();
  #pumpQueued = false;
  #paused = false;
  #stopped = false;
  #timer: Disposable | undefined;
  /** A piece could not be begun for want of a buffer. */
  #starved = false;
  /** A buffer came free that somebody had waited for. */
  #released = false;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
    const { files, pieceLength } = parts.info;
    this.#largest = files.reduce((most, file) => Math.max(most, Math.min(file.length, pieceLength)), 0);
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.pumpAll();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.dispose();
    this.#timer = undefined;
  }

  /** A buffer came free, perhaps in another swarm. */
  onBufferFree(): void {
    if (!this.#starved || this.#stopped) return;
    this.#starved = false;
    this.#released = true;
    this.pumpAll();
  }

  /** Soon, and once however often it is called until then. */
  pumpAll(): void {
    for (const session of this.#parts.sessions) this.#due.add(session);
    this.#pumpQueue();
  }

  /** As `pumpAll`, for one. */
  pumpSoon(session: PeerSession): void {
    this.#due.add(session);
    this.#pumpQueue();
  }

  #pumpQueue(): void {
    if (this.#pumpQueued || this.#stopped || this.#due.size === 0) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      const due = [...this.#due];
      this.#due.clear();
      // Scarce memory goes to whom it serves most often, not to a long way round.
      if (this.#released) due.sort((a, b) => answerTime(a) - answerTime(b));
      this.#released = false;
      this.#pumpEach(due, false);
    });
  }

  /** Called about once a second: gives also those a chance that answered nothing for long. */
  tick(): void {
    this.#pumpEach(this.#parts.sessions, true);
  }

  /** `patient`: also when it is a peer that is given hardly anything; finding out whether it is takes long. */
  pump(session: PeerSession, patient = false): void {
    const { sessions, requests, urgent } = this.#parts;
    if (this.#paused || this.#stopped || session.peerChoking || !session.amInterested || session.wire.closed) return;
    if (session.retiring) return;
    const queue = session.requests;
    if ((queue.snubs >= MOST_SNUBS && !patient) || !sessions.has(session)) return;
    queue.depth = requestDepth(queue);
    let most = requestBlocks(queue, session.largestRequest);
    const mayAsk = (piece: number): boolean => this.#mayAsk(session, piece);
    if (urgent.size > 0) this.#pumpUrgent(session, most, mayAsk);
    if (this.#parts.sources.yields(session, this.#parts.clock.now())) {
      queue.depth = Math.min(queue.depth, YIELDING_DEPTH);
      most = 1;
    }
    while (isHungry(session)) {
      const own = this.#continued(session, mayAsk);
      const run = own ? 'none' : this.#askRun(session, most);
      if (run === 'asked') continue;
      // Blocks of what others began need no memory of their own.
      const piece = own ?? (run === 'wait' ? this.#parts.pieces.helpedBy(mayAsk) : this.#next(session, mayAsk));
      if (!piece) break;
      while (isHungry(session) && requests.ask(session, piece, most, false)) {}
    }
    if (queue.size === 0) this.#help(session, most, mayAsk);
  }

  /** The session has the piece, and nothing speaks against asking it. */
  #mayAsk(session: PeerSession, piece: number): boolean {
    if (!session.has(piece) || session.requests.isKeptFrom(piece)) return false;
    if (session.requests.snubs < MOST_SNUBS) return true;
    for (const other of this.#parts.sessions)
      if (other.requests.snubs < MOST_SNUBS && !other.peerChoking && other.has(piece)) return false;
    return true;
  }

  #continued(session: PeerSession, mayAsk: (piece: number) => boolean): ActivePiece<PeerSession> | undefined {
    const { pieces } = this.#parts;
    const own = pieces.continuedBy(session, mayAsk);
    if (own && own.owner === undefined && this.#mayOwn(session, own.length)) pieces.setOwner(own, session);
    return own;
  }

  /** Asks the peer for a run of small files, the longer the faster it is. `wait`: there is one, but no memory for it now. */
  #askRun(session: PeerSession, most: number): 'asked' | 'none' | 'wait' {
    const { runs, requests, buffers, clock } = this.#parts;
    const now = clock.now();
    if (most < 2 || !session.servesRuns || !session.fast || !runs.mayTake(session, now)) return 'none';
    const limit = most * BLOCK_SIZE;
    if (!buffers.fits(limit, this.#holdsNothing ? 'first' : 'normal')) {
      this.#starved = true;
      return 'wait';
    }
    const place = runs.take(session, limit, now);
    // Granted already, for more than this.
    const buffer = place && buffers.take(place.length, 'first');
    if (!buffer) return 'none';
    requests.askRun(new SmallRun(place, buffer, session));
    return 'asked';
  }

  get #holdsNothing(): boolean {
    return this.#parts.pieces.size === 0 && this.#parts.runs.taken === 0;
  }

  #next(session: PeerSession, mayAsk: (piece: number) => boolean): ActivePiece<PeerSession> | undefined {
    const { pieces, sessions } = this.#parts;
    if (pieces.partial > PARTIAL_PER_PEER * sessions.size)
      return pieces.helpedBy(mayAsk) ?? this.#beginRarest(session, mayAsk);
    return this.#beginRarest(session, mayAsk) ?? pieces.helpedBy(mayAsk);
  }

  #mayOwn({ requests }: PeerSession, length: number): boolean {
    return requests.proven && requests.rate * OWNED_SECONDS >= length;
  }

  #beginRarest(session: PeerSession, mayAsk: (piece: number) => boolean): ActivePiece<PeerSession> | undefined {
    const { picker, buffers } = this.#parts;
    const { requests } = session;
    if (picker.open === 0 || requests.barren === picker.additions) return undefined;
    if (!buffers.fits(this.#largest, this.#holdsNothing ? 'first' : 'normal')) {
      this.#starved = true;
      return undefined;
    }
    const piece = picker.choose(mayAsk);
    if (piece !== undefined) return this.#begin(session, piece, 'normal');
    // Until it announces a piece, or one is opened again; whether a snubbed peer may be asked depends on the others too.
    if (requests.snubs < MOST_SNUBS) requests.barren = picker.additions;
    return undefined;
  }

  #begin(session: PeerSession, piece: number, kind: 'urgent' | 'normal'): ActivePiece<PeerSession> | undefined {
    const { info, picker, pieces, buffers } = this.#parts;
    const { length } = pieceAt(info, piece);
    const buffer = buffers.take(length, this.#holdsNothing ? 'first' : kind);
    if (!buffer) {
      this.#starved = true;
      return undefined;
    }
    picker.remove(piece);
    const owner = this.#mayOwn(session, length) ? session : undefined;
    const active = new ActivePiece<PeerSession>(piece, length, buffer, owner);
    pieces.add(active);
    return active;
  }

  /** Asks for its share of the pieces that somebody waits for, beyond what it is asked for anyway. */
  #pumpUrgent(session: PeerSession, most: number, mayAsk: (piece: number) => boolean): void {
    const { info, urgent, pieces, picker, requests } = this.#parts;
    const queue = session.requests;
    const hungry = (): boolean => queue.urgentBytes < queue.depth && queue.size < session.requestQueue;
    let asked = false;
    for (const piece of urgent) {
      if (!hungry()) break;
      let active = pieces.get(piece);
      if (active ? active.free === 0 : !picker.isOpen(piece)) continue;
      if (!mayAsk(piece)) continue;
      const share = shareOf(session, piece, this.#parts.sessions);
      let blocks = Math.ceil((share * pieceAt(info, piece).length) / BLOCK_SIZE);
      if (blocks === 0) continue;
      active ??= this.#begin(session, piece, 'urgent');
      if (!active) break;
      while (blocks > 0 && hungry()) {
        const request = requests.ask(session, active, Math.min(most, blocks), true);
        if (!request) break;
        blocks -= request.count;
        asked = true;
      }
    }
    if (asked && session.fast) this.#jumpQueue(session);
    this.#lookAgainSoon();
  }

  /** Cancels what a peer would send before the urgent answers; it comes all the same, or is rejected and asked for later. */
  #jumpQueue(session: PeerSession): void {
    const { requests, urgent } = this.#parts;
    const queue = session.requests;
    if (((queue.bytes - queue.urgentBytes) * 1000) / queue.rate <= QUEUE_JUMP) return;
    for (const request of queue)
      if (!request.urgent && !urgent.has(request.piece) && queue.incoming?.request !== request)
        requests.cancel(request);
  }

  /** Nothing is left to ask this peer for: it takes over what others are slow with, and in the endgame doubles the rest. */
  #help(session: PeerSession, most: number, mayAsk: (piece: number) => boolean): void {
    const { pieces, picker, requests } = this.#parts;
    if (this.#holdsNothing) return;
    const stage = picker.open === 0 ? 'endgame' : this.#starved ? 'starved' : 'middle';
    takeOver(session, this.#peers(), stage !== 'middle', (request) => {
      if (request.run) {
        // Its pieces are open then, for anybody.
        requests.cancel(request);
        requests.giveUp(request);
        this.pumpSoon(session);
        return false;
      }
      const piece = pieces.get(request.piece);
      if (!piece || !mayAsk(request.piece)) return true;
      requests.cancel(request);
      requests.giveUp(request);
      while (isHungry(session) && requests.ask(session, piece, most, request.urgent)) {}
      return isHungry(session);
    });
    if (stage !== 'middle' && session.requests.size === 0) {
      askAgain(session, this.#peers(), stage, (request, limit) => {
        if (mayAsk(request.piece)) requests.askAgain(session, request, most, limit);
      });
    }
    if (stage !== 'middle') this.#lookAgainSoon();
  }

  #lookAgainSoon(): void {
    if (this.#timer || this.#stopped) return;
    this.#timer = this.#parts.clock.setTimeout(() => {
      this.#timer = undefined;
      if (this.#paused) return;
      const { sessions, urgent, pieces, runs } = this.#parts;
      for (const piece of urgent) {
        const active = pieces.get(piece);
        if (active) {
          hurry(piece, active.requests(), this.#peers(), (session, late) => this.#hurry(active, session, late));
        } else if (runs.has(piece)) {
          hurry(piece, this.#runOf(piece), this.#peers(), (session, late) => this.#leaveRun(session, late));
        }
      }
      for (const session of sessions) if (session.requests.size === 0) this.pump(session);
      if (urgent.size > 0 && !this.#holdsNothing) this.#lookAgainSoon();
    }, PATIENCE);
  }

  /** This peer brings what the other is late with, if it can: alone, where the other's answer is arriving and does not end. */
  #hurry(piece: ActivePiece<PeerSession>, session: PeerSession, late: PieceRequest<PeerSession>): void {
    if (!this.#mayAsk(session, piece.index)) return;
    const { requests, clock } = this.#parts;
    const { peer } = late;
    const most = requestBlocks(session.requests, session.largestRequest);
    const arriving = peer.requests.incoming?.request === late;
    if (arriving) {
      requests.giveUp(late);
      // Nothing that is urgent waits for it before it answers something.
      peer.requests.snub(clock.now());
    }
    let asked = 0;
    while (asked < late.count && session.requests.size < session.requestQueue) {
      const request = arriving
        ? requests.ask(session, piece, Math.min(most, late.count - asked), true)
        : requests.askAgain(session, late, most, 2);
      if (!request) break;
      asked += request.count;
    }
    if (asked > 0 && session.fast) this.#jumpQueue(session);
  }

  /** The request for the run that the piece is part of. */
  *#runOf(piece: number): Generator<PieceRequest<PeerSession>> {
    for (const session of this.#parts.sessions)
      for (const request of session.requests)
        if (request.run && piece >= request.piece && piece < request.piece + request.run.count) yield request;
  }

  /** Gives up a run that an urgent piece waits in, so that this peer can be asked for the piece. */
  #leaveRun(session: PeerSession, late: PieceRequest<PeerSession>): void {
    const { requests, clock } = this.#parts;
    if (late.peer.requests.incoming?.request === late) late.peer.requests.snub(clock.now());
    requests.cancel(late);
    requests.giveUp(late);
    this.pumpSoon(session);
  }

  /** Those that answer first: what a silent peer gave up is not for that peer again while another can be asked. */
  #pumpEach(sessions: Iterable<PeerSession>, patient: boolean): void {
    for (const session of sessions) if (session.requests.snubs === 0) this.pump(session);
    for (const session of sessions) if (session.requests.snubs > 0) this.pump(session, patient);
  }

  #peers(): Peers {
    return { sessions: this.#parts.sessions, now: this.#parts.clock.now() };
  }
}

/** Until a peer answers a request, in ms. */
function answerTime({ requests }: PeerSession): number {
  return requests.roundTrip ?? UNKNOWN_ANSWER;
}

function isHungry({ requests, requestQueue }: PeerSession): boolean {
  return requests.bytes < requests.depth && requests.size < requestQueue;
}
