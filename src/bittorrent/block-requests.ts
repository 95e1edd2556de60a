import type { Clock } from '../common/clock.ts';
import { PeerwireError } from '../common/errors.ts';
import type { ActivePiece } from './active-piece.ts';
import type { ActivePieces } from './active-pieces.ts';
import { BLOCK_SIZE, blockCount } from './merkle.ts';
import type { PeerSession } from './peer-session.ts';
import type { PieceRequest } from './request-queue.ts';
import type { SmallRun } from './small-run.ts';

/** Payload bytes that a peer may send without a request. Late answers to what was given up are not among them. */
const MOST_UNASKED = 64 * 1024 * 1024;

type Piece = ActivePiece<PeerSession>;
type Request = PieceRequest<PeerSession>;

/**
 * Every request of a download: asks, takes answers, gives up. Keeps both books of a request right, the peer's queue and the
 * piece's blocks. Whom to ask for what is decided elsewhere.
 */
export class BlockRequests {
  readonly #pieces: ActivePieces<PeerSession>;
  readonly #clock: Clock;
  readonly #onRunLost: (run: SmallRun) => void;
  /** Payload bytes that crossed the network, duplicates and discarded ones included. */
  fetched = 0;

  /** `onRunLost`: a run will not be answered, or its answer will not be taken. */
  constructor(pieces: ActivePieces<PeerSession>, clock: Clock, onRunLost: (run: SmallRun) => void) {
    this.#pieces = pieces;
    this.#clock = clock;
    this.#onRunLost = onRunLost;
  }

  /** Asks for the next free blocks of the piece, up to `most`. */
  ask(session: PeerSession, piece: Piece, most: number, urgent: boolean): Request | undefined {
    return this.#send(session, piece, piece.request(session, most, this.#clock.now(), urgent));
  }

  /** Asks for all of the run. */
  askRun(run: SmallRun): void {
    const { peer, first: piece, length } = run;
    const count = blockCount(length);
    const sent = this.#clock.now();
    peer.requests.add({ peer, piece, first: 0, count, length, sent, urgent: false, cancelled: false, run });
    peer.send({ type: 'request', piece, begin: 0, length });
  }

  /** Asks this peer too for blocks that were asked of others, unless `limit` requests are for them. */
  askAgain(session: PeerSession, late: Request, most: number, limit: number): Request | undefined {
    const piece = this.#pieces.get(late.piece);
    return piece && this.#send(session, piece, piece.requestAgain(late, session, most, limit, this.#clock.now()));
  }

  /** Tells the peer that the answer is not needed, and waits for it or a reject: no byte is lost that is under way. */
  cancel(request: Request): void {
    if (request.cancelled) return;
    request.cancelled = true;
    const { peer, piece, first, length } = request;
    peer.send({ type: 'cancel', piece, begin: first * BLOCK_SIZE, length });
  }

  /** Frees the blocks for others at once; an answer that comes all the same is dropped. */
  giveUp(request: Request): void {
    const { peer } = request;
    if (!this.#remove(request)) return;
    if (peer.requests.incoming?.request === request) peer.wire.dropBlock();
    else if (peer.fast) peer.requests.expectAnswer(request);
  }

  /** True when there was something to give up. */
  giveUpAll(session: PeerSession): boolean {
    const some = session.requests.size > 0;
    for (const request of session.requests) this.giveUp(request);
    return some;
  }

  onReject(session: PeerSession, piece: number, begin: number, length: number): Request | undefined {
    const { requests } = session;
    // BEP 6: a reject answers one request. This one may have been given up, cancelled, and then asked for again.
    if (requests.takeOwed(piece, begin, length)) return undefined;
    const request = requests.find(piece, begin, length);
    // Not while its answer is arriving: a block or a reject, not both.
    if (!request || requests.incoming?.request === request) return undefined;
    this.#remove(request);
    return request;
  }

  onBlockStart(session: PeerSession, piece: number, begin: number, length: number): Uint8Array | undefined {
    const { requests } = session;
    const request = requests.find(piece, begin, length);
    if (!request) {
      requests.takeOwed(piece, begin, length);
      return undefined;
    }
    requests.onAnswer(request);
    if (request.run) return request.run.buffer.bytes;
    return this.#pieces.get(piece)?.beginReceive(request);
  }

  /** All bytes of the block that began last arrived. Returns the piece, or the run, that became complete. Throws 'protocol' when the peer floods us. */
  onBlockEnd(session: PeerSession, length: number): Piece | SmallRun | undefined {
    const { requests } = session;
    this.fetched += length;
    session.downloaded.add(length, this.#clock.now());
    requests.count(length);
    // Not one that was asked for meanwhile: where these bytes went was decided when they began to arrive.
    const request = requests.incoming?.request;
    requests.incoming = undefined;
    if (!request || !requests.delete(request)) {
      // Late answers to cancelled requests are normal; a flood of blocks nobody asked for is not.
      session.unasked += length;
      if (session.unasked > MOST_UNASKED + requests.released)
        throw new PeerwireError('protocol', 'The peer sends blocks that nobody requested.');
      return undefined;
    }
    requests.onAnswered(request);
    if (request.run) return request.run;
    const active = this.#pieces.get(request.piece);
    if (!active) return undefined;
    const others = active.endReceive(request);
    this.#pieces.update(active);
    for (const other of others ?? []) {
      this.cancel(other);
      // BEP 6 answers a cancel with the block or a reject; without it there is no answer to wait for.
      if (!other.peer.fast) other.peer.requests.delete(other);
    }
    // Only the block that completes it: a duplicate may still arrive while the piece is hashed and written.
    return others && active.complete ? active : undefined;
  }

  /** From both books; false when it was not in them. */
  #remove(request: Request): boolean {
    const { requests } = request.peer;
    if (!requests.delete(request)) return false;
    requests.released += request.length;
    if (request.run) {
      this.#onRunLost(request.run);
      return true;
    }
    const piece = this.#pieces.get(request.piece);
    if (piece) {
      piece.release(request);
      this.#pieces.update(piece);
    }
    return true;
  }

  #send(session: PeerSession, piece: Piece, request: Request | undefined): Request | undefined {
    if (!request) return undefined;
    this.#pieces.update(piece);
    session.requests.add(request);
    session.send({ type: 'request', piece: piece.index, begin: request.first * BLOCK_SIZE, length: request.length });
    return request;
  }
}
