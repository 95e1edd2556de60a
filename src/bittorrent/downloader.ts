import type { Clock } from '../common/clock.ts';
import { type Disposable, toDisposable } from '../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { Logger } from '../common/log.ts';
import type { ActivePiece } from './active-piece.ts';
import { ActivePieces } from './active-pieces.ts';
import type { Bitfield } from './bitfield.ts';
import { BlockRequests } from './block-requests.ts';
import type { PeerSession } from './peer-session.ts';
import type { BufferUser } from './piece-buffers.ts';
import { PiecePicker, type Random } from './piece-picker.ts';
import { PieceVerifier, type PieceVerifierOptions, type Verdict } from './piece-verifier.ts';
import { PriorityWindows } from './priority-windows.ts';
import { isLate, progressOf } from './progress.ts';
import type { PieceRequest } from './request-queue.ts';
import { RequestScheduler } from './request-scheduler.ts';
import { RunPicker } from './run-picker.ts';
import type { SourceUser } from './shared-sources.ts';
import { SmallRun } from './small-run.ts';
import type { WriteOutcome } from './storage.ts';

/** A piece of which a peer rejected or forgot a request is kept from it for this long, in ms. */
const KEPT_FROM = 10_000;
/** What a peer passed over and nobody else can bring is given up so much later: a cancel has an answer, too (BEP 6), in ms. */
const LAST_CHANCE = 15_000;
/** The part of its depth below which a peer is asked for more. */
const REFILL = 0.75;

export interface DownloaderOptions extends PieceVerifierOptions {
  readonly have: Bitfield;
  readonly buffers: BufferUser;
  readonly sources: SourceUser;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The piece is verified and on disk. */
  readonly onPiece: (piece: number) => void;
  /** The peer sent a block that is provably wrong. */
  readonly onCorrupt: (session: PeerSession, piece: number) => void;
  /** Writing failed: nothing is lost, but nothing can go on (disk full, permission…). */
  readonly onProblem: (error: PeerwireError) => void;
}

/**
 * Fetches the wanted pieces from all sessions at once. `RequestScheduler` decides who is asked for what, `BlockRequests`
 * asks and takes the answers. A piece exists only in memory until every block of it hashed to the file's merkle root; then
 * it is written in one go (`PieceVerifier`).
 */
export class Downloader {
  readonly #options: DownloaderOptions;
  readonly #picker: PiecePicker;
  readonly #urgent = new PriorityWindows();
  /** Pieces that are wanted only because they are, or were, urgent. */
  readonly #borrowed = new Set<number>();
  readonly #pieces = new ActivePieces<PeerSession>();
  readonly #sessions = new Set<PeerSession>();
  readonly #requests: BlockRequests;
  readonly #scheduler: RequestScheduler;
  readonly #verifier: PieceVerifier;
  readonly #runs: RunPicker;
  /** Small files that arrived since the last turn. */
  #complete: ActivePiece<PeerSession>[] = [];
  /** Pieces that are being hashed or written. */
  readonly #verifying = new Set<Promise<void>>();
  #missing = 0;
  #stopped = false;

  constructor(options: DownloaderOptions) {
    this.#options = options;
    this.#picker = new PiecePicker(options.info.pieceCount, options.random);
    this.#runs = new RunPicker(options.info, this.#picker, options.random);
    this.#requests = new BlockRequests(this.#pieces, options.clock, (run) => this.#abandonRun(run));
    this.#verifier = new PieceVerifier(options);
    this.#scheduler = new RequestScheduler({
      info: options.info,
      clock: options.clock,
      buffers: options.buffers,
      sessions: this.#sessions,
      picker: this.#picker,
      pieces: this.#pieces,
      urgent: this.#urgent,
      requests: this.#requests,
      runs: this.#runs,
      sources: options.sources,
    });
  }

  /** Pieces wanted and not had. */
  get missing(): number {
    return this.#missing;
  }

  /** Payload bytes that crossed the network, duplicates and discarded ones included. */
  get fetched(): number {
    return this.#requests.fetched;
  }

  want(pieces: Iterable<number>): void {
    for (const piece of pieces) {
      this.#borrowed.delete(piece);
      if (this.#options.have.has(piece) || this.#isMissing(piece)) continue;
      this.#picker.add(piece);
      this.#missing++;
    }
    for (const session of this.#sessions) this.#updateInterest(session);
    this.#scheduler.pumpAll();
  }

  /** These come before all others, in this order, until had or disposed; ones not wanted yet are wanted until then. */
  prioritize(pieces: readonly number[]): Disposable {
    const missing = pieces.filter((piece) => !this.#options.have.has(piece));
    const window = this.#urgent.add(missing);
    const unwanted = missing.filter((piece) => !this.#isMissing(piece));
    this.want(unwanted);
    for (const piece of unwanted) this.#borrowed.add(piece);
    return toDisposable(() => {
      window.dispose();
      for (const piece of missing) if (this.#picker.isOpen(piece)) this.#forgo(piece);
    });
  }

  setPaused(paused: boolean): void {
    this.#scheduler.setPaused(paused);
  }

  /** The pieces of a session became known; called again when it announces them after an empty start. */
  addSession(session: PeerSession): void {
    this.#sessions.add(session);
    this.#options.sources.add(session);
    session.requests.barren = -1;
    this.#runs.onHave(session);
    for (const piece of session.pieces ?? []) this.#picker.increase(piece);
    this.#updateInterest(session);
    this.#scheduler.pump(session);
  }

  removeSession(session: PeerSession): void {
    if (!this.#sessions.delete(session)) return;
    this.#options.sources.remove(session);
    for (const piece of session.pieces ?? []) this.#picker.decrease(piece);
    this.#releaseAll(session);
    this.#runs.remove(session);
    this.#scheduler.pumpAll();
  }

  /** Nothing more is asked of the session; what it began, others finish. */
  retire(session: PeerSession): void {
    for (const active of this.#pieces.ownedBy(session)) this.#disown(active);
    this.#scheduler.pumpAll();
  }

  onHave(session: PeerSession, piece: number): void {
    if (!this.#sessions.has(session)) return;
    this.#picker.increase(piece);
    session.requests.barren = -1;
    this.#runs.onHave(session);
    if (this.#isMissing(piece) && !session.retiring) session.setInterested(true);
    this.#scheduler.pumpSoon(session);
  }

  /** A buffer came free, perhaps in another swarm. */
  onBufferFree(): void {
    this.#scheduler.onBufferFree();
  }

  onUnchoke(session: PeerSession): void {
    this.#scheduler.pump(session);
  }

  onChoke(session: PeerSession): void {
    // BEP 6: a choke does not clear the queue. Without it, it does.
    if (!session.fast && this.#releaseAll(session)) this.#scheduler.pumpAll();
  }

  onReject(session: PeerSession, piece: number, begin: number, length: number): void {
    const request = this.#requests.onReject(session, piece, begin, length);
    if (!request) return;
    // A reject also answers a cancel (BEP 6).
    if (!request.cancelled) {
      // Who chokes us refuses everything, not just this.
      if (session.peerChoking) this.#disownFrom(session, piece);
      else if (request.run) this.#runs.refused(session, this.#options.clock.now());
      else this.#keepFrom(session, piece);
    }
    this.#scheduler.pumpAll();
  }

  /** The peer has room for requests for this piece, though it rejected some a while ago. */
  onSuggest(session: PeerSession, piece: number): void {
    if (session.requests.giveBack(piece)) this.#scheduler.pumpAll();
  }

  onBlockStart(session: PeerSession, piece: number, begin: number, length: number): Uint8Array | undefined {
    return this.#requests.onBlockStart(session, piece, begin, length);
  }

  onBlockEnd(session: PeerSession, length: number): void {
    const complete = this.#requests.onBlockEnd(session, length);
    if (complete instanceof SmallRun) this.#verifyRun(complete);
    else if (complete) this.#verifySoon(complete);
    const { requests } = session;
    if (requests.bytes < requests.depth * REFILL) this.#scheduler.pump(session);
  }

  /** Called about once a second: takes requests back from peers that went silent, and keeps the endgame going. */
  tick(): void {
    const now = this.#options.clock.now();
    for (const session of [...this.#sessions]) {
      session.requests.forgive(now);
      this.#checkProgress(session, now);
    }
    this.#scheduler.tick();
  }

  /** Forgets what is in flight and asks for nothing more; resolves when the pieces that arrived whole are verified and kept. */
  async halt(): Promise<void> {
    this.#scheduler.stop();
    // First, so that no byte that still comes is written into memory that was given back.
    for (const session of this.#sessions) this.#requests.giveUpAll(session);
    for (const active of this.#pieces) if (!active.complete) this.#abandon(active);
    this.#verifySmall();
    await Promise.all(this.#verifying);
  }

  /** Forgets what is in flight. */
  stop(): void {
    this.#stopped = true;
    this.#verifier.stop();
    void this.halt();
    this.#pieces.clear();
    this.#options.sources.dispose();
    this.#sessions.clear();
  }

  #checkProgress(session: PeerSession, now: number): void {
    switch (progressOf(session, now)) {
      case 'fine':
        return;
      case 'stuck':
        session.close(new PeerwireError('timeout', 'The peer stopped in the middle of a block.'));
        return;
      case 'silent':
        this.#options.logger.info(`${session.source} answers nothing; asking others`);
        session.requests.snub(now);
        for (const request of session.requests) {
          if (this.#isOnlyHope(request)) continue;
          // It may merely be slow, and would send what is asked for again twice.
          this.#requests.cancel(request);
          this.#requests.giveUp(request);
        }
        for (const active of this.#pieces.ownedBy(session)) this.#disown(active);
        return;
      case 'late':
        for (const request of session.requests) {
          if (!isLate(request.sent, session.throttledUntil, now)) return;
          this.#requests.cancel(request);
          if (this.#isOnlyHope(request) && !isLate(request.sent + LAST_CHANCE, session.throttledUntil, now)) continue;
          this.#requests.giveUp(request);
          this.#keepFrom(session, request.piece);
        }
    }
  }

  /**
   * Nobody else can be asked now, and it answers every request in the end (BEP 6): asked again it would send twice what is
   * under way, and begin anew to wait for its turn. Not if somebody wants the memory that is kept for it.
   */
  #isOnlyHope({ peer, piece, run }: PieceRequest<PeerSession>): boolean {
    const { buffers } = this.#options;
    if (!peer.fast || buffers.othersWait) return false;
    for (const other of this.#sessions) {
      const { peerChoking, requests } = other;
      if (other === peer || peerChoking || requests.snubs > 0) continue;
      if (buffers.waiting) return false;
      for (let index = piece; index < piece + (run?.count ?? 1); index++)
        if (other.has(index) && !requests.isKeptFrom(index)) return false;
    }
    return true;
  }

  /** The session is not asked for the piece again for a while: others get the chance to be. */
  #keepFrom(session: PeerSession, piece: number): void {
    session.requests.keepFrom(piece, this.#options.clock.now() + KEPT_FROM);
    this.#disownFrom(session, piece);
  }

  /** Others may go on with the piece. */
  #disownFrom(session: PeerSession, piece: number): void {
    const active = this.#pieces.get(piece);
    if (active?.owner === session) this.#disown(active);
  }

  /** True when nobody waits for the piece any more and nobody else wanted it: then it is wanted no longer. */
  #forgo(piece: number): boolean {
    if (this.#urgent.has(piece) || !this.#borrowed.delete(piece)) return false;
    this.#picker.remove(piece);
    this.#missing--;
    if (this.#missing === 0) for (const session of this.#sessions) session.setInterested(false);
    return true;
  }

  #isMissing(piece: number): boolean {
    return this.#picker.isOpen(piece) || this.#pieces.has(piece) || this.#runs.has(piece);
  }

  /** True when something came free for others. */
  #releaseAll(session: PeerSession): boolean {
    const owned = this.#pieces.ownedBy(session);
    const released = this.#requests.giveUpAll(session);
    for (const active of owned) this.#disown(active);
    return released || owned.length > 0;
  }

  #disown(active: ActivePiece<PeerSession>): void {
    this.#pieces.setOwner(active, undefined);
    // Nothing of it is worth keeping memory for.
    if (active.untouched) this.#abandon(active);
  }

  #updateInterest(session: PeerSession): void {
    if (session.amInterested || session.retiring || this.#missing === 0) return;
    for (const piece of session.pieces ?? []) {
      if (!this.#isMissing(piece)) continue;
      session.setInterested(true);
      return;
    }
  }

  /** Small files that arrived together are verified together. */
  #verifySoon(active: ActivePiece<PeerSession>): void {
    if (!this.#verifier.isSmall(active)) {
      this.#track(
        this.#verifier.verify(active).then((verdict) => [verdict], failed),
        [active],
      );
      return;
    }
    if (this.#complete.push(active) === 1) queueMicrotask(() => this.#verifySmall());
  }

  #verifySmall(): void {
    const pieces = this.#complete;
    if (pieces.length === 0) return;
    this.#complete = [];
    this.#track(this.#verifier.verifySmall(pieces), pieces);
  }

  #track(verdicts: Promise<readonly (Verdict | PeerwireError)[]>, pieces: readonly ActivePiece<PeerSession>[]): void {
    this.#await(verdicts, (all) => {
      for (const [position, active] of pieces.entries()) {
        try {
          this.#conclude(active, all[position]);
        } catch (error) {
          // Of whoever was told of it.
          this.#conclude(active, toPeerwireError(error));
        }
      }
    });
  }

  /** `halt` waits for it. */
  #await<T>(verified: Promise<T>, conclude: (result: T) => void): void {
    const verifying = verified
      .then((result) => {
        conclude(result);
        // Buffers came free: whoever waited for one may go on.
        this.#scheduler.pumpAll();
      })
      .finally(() => this.#verifying.delete(verifying));
    this.#verifying.add(verifying);
  }

  #conclude(active: ActivePiece<PeerSession>, verdict: Verdict | PeerwireError | undefined): void {
    if (verdict === undefined || verdict instanceof PeerwireError) {
      this.#abandon(active);
      if (!this.#stopped)
        this.#options.onProblem(verdict ?? new PeerwireError('internal', 'A piece was not verified.'));
    } else if (verdict.outcome === 'written') this.#finish(active);
    else if (verdict.outcome === 'stopped') this.#drop(active);
    else {
      if (verdict.outcome === 'wrong') this.#abandon(active);
      else this.#pieces.update(active);
      for (const liar of verdict.liars) this.#options.onCorrupt(liar, active.index);
    }
  }

  #finish(active: ActivePiece<PeerSession>): void {
    this.#drop(active);
    this.#got(active.index);
  }

  #got(piece: number): void {
    this.#options.have.add(piece);
    this.#urgent.delete(piece);
    this.#borrowed.delete(piece);
    this.#missing--;
    this.#options.onPiece(piece);
    if (this.#missing === 0) for (const session of this.#sessions) session.setInterested(false);
  }

  #drop(active: ActivePiece<PeerSession>): void {
    this.#pieces.delete(active);
    this.#options.buffers.give(active.buffer);
  }

  #abandon(active: ActivePiece<PeerSession>): void {
    this.#drop(active);
    this.#reopen(active.index);
  }

  #reopen(piece: number): void {
    if (!this.#stopped && !this.#forgo(piece)) this.#picker.add(piece);
  }

  #verifyRun(run: SmallRun): void {
    this.#await(this.#verifier.verifyRun(run), (outcomes) => this.#concludeRun(run, outcomes));
  }

  #concludeRun(run: SmallRun, outcomes: readonly WriteOutcome[] | 'stopped'): void {
    this.#dropRun(run);
    if (outcomes === 'stopped') return;
    let problem: PeerwireError | undefined;
    let wrong: number | undefined;
    for (let position = 0; position < run.count; position++) {
      const piece = run.first + position;
      const outcome = outcomes[position];
      if (outcome === 'written') {
        try {
          this.#got(piece);
        } catch (error) {
          // Of whoever was told of it.
          problem ??= toPeerwireError(error);
        }
        continue;
      }
      if (outcome === 'wrong') wrong ??= piece;
      else problem ??= outcome ?? new PeerwireError('internal', 'A piece was not verified.');
      this.#reopen(piece);
    }
    if (problem && !this.#stopped) this.#options.onProblem(problem);
    if (wrong !== undefined) this.#options.onCorrupt(run.peer, wrong);
  }

  #abandonRun(run: SmallRun): void {
    this.#dropRun(run);
    for (let position = 0; position < run.count; position++) this.#reopen(run.first + position);
  }

  #dropRun(run: SmallRun): void {
    if (run.dropped) return;
    run.dropped = true;
    this.#runs.giveBack(run);
    this.#options.buffers.give(run.buffer);
  }
}

function failed(error: unknown): PeerwireError[] {
  return [toPeerwireError(error)];
}
