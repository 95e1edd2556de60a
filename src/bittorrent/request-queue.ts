import type { Clock } from '../common/clock.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { RateMeter } from './rate-meter.ts';
import type { SmallRun } from './small-run.ts';

/** Consecutive blocks of one piece, or a run of small pieces, that one peer was asked for in one message. */
export interface PieceRequest<Peer> {
  readonly peer: Peer;
  readonly piece: number;
  /** The first block, and how many. */
  readonly first: number;
  readonly count: number;
  /** Bytes. */
  readonly length: number;
  /** When, in ms. */
  readonly sent: number;
  /** Somebody waits for the piece. */
  readonly urgent: boolean;
  /** It is for a run of small files, of which `piece` is the first. */
  readonly run?: SmallRun;
  /** A cancel was sent; BEP 6: a block or a reject is still to come. */
  cancelled: boolean;
}

const KEY_BLOCKS = 1 << 20;

/** What one peer was asked for and has not answered, in the order of asking, and how well it answers. */
export class RequestQueue<Peer> implements Iterable<PieceRequest<Peer>> {
  readonly #requests = new Map<number, PieceRequest<Peer>>();
  /** Pieces that the peer is not asked for now → when it may be again, in ms. */
  readonly #keptFrom = new Map<number, number>();
  /** Requests that were given up and whose answer, a block or a reject, is still to come → how many times. */
  readonly #owed = new Map<string, number>();
  readonly #clock: Clock;
  /** Counts only the time in which it had something to answer: having nothing to do does not make a peer slow. */
  readonly #meter = new RateMeter();
  /** That time, in ms, and since when it has had something to answer. */
  #busy = 0;
  #busySince = 0;
  #bytes = 0;
  #urgentBytes = 0;
  #roundTrip: number | undefined;
  /** Bytes to keep outstanding, as of when requests were last sent. */
  depth = 0;
  /** Payload bytes that came as answers, and bytes of requests that were given up. */
  delivered = 0;
  released = 0;
  /** Times that it let requests rot since it last delivered. */
  snubs = 0;
  /** When the last of them was, and when the last answer was complete, in ms. */
  lastSnub = Number.NEGATIVE_INFINITY;
  lastBlock: number;
  /** The answer that is arriving and when it began, in ms. */
  incoming: { readonly request: PieceRequest<Peer>; readonly since: number } | undefined;
  /** The state of the picker in which there was nothing to begin for this peer. */
  barren = -1;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.lastBlock = clock.now();
  }

  get size(): number {
    return this.#requests.size;
  }

  /** Bytes asked for and not answered. */
  get bytes(): number {
    return this.#bytes;
  }

  get urgentBytes(): number {
    return this.#urgentBytes;
  }

  /** The shortest time from a request to the first byte of its answer, in ms; undefined until there was one. */
  get roundTrip(): number | undefined {
    return this.#roundTrip;
  }

  /** It answered at least once, and did not fall silent since. */
  get proven(): boolean {
    return this.delivered > 0 && this.snubs === 0;
  }

  get oldest(): PieceRequest<Peer> | undefined {
    return this.#requests.values().next().value;
  }

  /** Bytes per second that it delivers while it is asked for anything. */
  get rate(): number {
    return this.#meter.rate(this.#busyTime());
  }

  /** One for the same place goes: its piece was begun anew while the answer to a cancel was still to come. */
  add(request: PieceRequest<Peer>): void {
    const before = this.#requests.get(keyOf(request.piece, request.first));
    if (before && this.delete(before)) {
      this.released += before.length;
      if (this.incoming?.request !== before) this.expectAnswer(before);
    }
    if (this.#requests.size === 0) this.#busySince = this.#clock.now();
    this.#requests.set(keyOf(request.piece, request.first), request);
    this.#bytes += request.length;
    if (request.urgent) this.#urgentBytes += request.length;
  }

  /** The request that these bytes answer exactly. */
  find(piece: number, begin: number, length: number): PieceRequest<Peer> | undefined {
    const block = begin / BLOCK_SIZE;
    if (!Number.isInteger(block) || block >= KEY_BLOCKS) return undefined;
    const request = this.#requests.get(keyOf(piece, block));
    return request?.length === length ? request : undefined;
  }

  has(request: PieceRequest<Peer>): boolean {
    return this.#requests.get(keyOf(request.piece, request.first)) === request;
  }

  delete(request: PieceRequest<Peer>): boolean {
    if (!this.has(request)) return false;
    if (this.#requests.size === 1) this.#busy = this.#busyTime();
    this.#requests.delete(keyOf(request.piece, request.first));
    this.#bytes -= request.length;
    if (request.urgent) this.#urgentBytes -= request.length;
    return true;
  }

  /** Oldest first; may be changed while it is walked through. */
  [Symbol.iterator](): Iterator<PieceRequest<Peer>> {
    return this.#requests.values();
  }

  newestFirst(): PieceRequest<Peer>[] {
    return [...this.#requests.values()].reverse();
  }

  /** The first byte of an answer arrived. */
  onAnswer(request: PieceRequest<Peer>): void {
    const now = this.#clock.now();
    this.incoming = { request, since: now };
    this.#roundTrip = Math.min(this.#roundTrip ?? Number.POSITIVE_INFINITY, now - request.sent);
  }

  /** The answer is complete. */
  onAnswered(request: PieceRequest<Peer>): void {
    this.delivered += request.length;
    this.lastBlock = this.#clock.now();
    this.snubs = 0;
  }

  /** Payload arrived, whether it is still needed or not; to be called before the request is deleted. */
  count(bytes: number): void {
    if (this.size > 0) this.#meter.add(bytes, this.#busyTime());
  }

  /** The request was given up before its answer began. */
  expectAnswer({ piece, first, length }: PieceRequest<Peer>): void {
    const key = answerKey(piece, first * BLOCK_SIZE, length);
    this.#owed.set(key, (this.#owed.get(key) ?? 0) + 1);
  }

  /** True when this answers a request that was given up: the answer is told from that to a later request by being first. */
  takeOwed(piece: number, begin: number, length: number): boolean {
    if (this.#owed.size === 0) return false;
    const key = answerKey(piece, begin, length);
    const times = this.#owed.get(key) ?? 0;
    if (times > 1) this.#owed.set(key, times - 1);
    else this.#owed.delete(key);
    return times > 0;
  }

  /** It let requests rot. */
  snub(now: number): void {
    this.snubs++;
    this.lastSnub = now;
  }

  keepFrom(piece: number, until: number): void {
    this.#keptFrom.set(piece, until);
  }

  isKeptFrom(piece: number): boolean {
    return this.#keptFrom.size > 0 && this.#keptFrom.has(piece);
  }

  /** Lets it be asked for the piece again at once; false when it was not kept from it. */
  giveBack(piece: number): boolean {
    if (!this.#keptFrom.delete(piece)) return false;
    this.barren = -1;
    return true;
  }

  /** Lets it be asked again for what was kept from it until now. */
  forgive(now: number): void {
    for (const [piece, until] of this.#keptFrom) {
      if (until > now) continue;
      this.#keptFrom.delete(piece);
      this.barren = -1;
    }
  }

  #busyTime(): number {
    return this.#busy + (this.#requests.size > 0 ? this.#clock.now() - this.#busySince : 0);
  }
}

function answerKey(piece: number, begin: number, length: number): string {
  return `${piece}/${begin}/${length}`;
}

function keyOf(piece: number, block: number): number {
  return piece * KEY_BLOCKS + block;
}
