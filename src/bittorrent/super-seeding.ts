/** A piece that nobody was sent a block of for this long is not on its way to anybody any more, in ms. */
const HOLD = 1_000;
/** What a peer got from others counts as a sign that it can get more from them for this long, in ms. */
const FED_FOR = 10_000;
/** A peer that asks again this long after it was sent elsewhere could not get the piece there, in ms. */
const INSISTS_AFTER = 5_000;
/** A peer that has had a piece from us for this long, and nobody has it from there, keeps to itself what it gets, in ms. */
const KEEPS_AFTER = 5_000;
/**
 * A copy is waited for no longer when its receiver took nothing of it for so long, in ms; or when, after so many ms, we sent
 * this many times what everybody is sent while one receiver gets a piece, and so many bytes, in its turn. And nobody has
 * more than so many begun copies kept for it. Whoever asks for a little of every piece, or reads slowly, must not keep the
 * others from more than what it could have got in that time.
 */
const STALLED = 10_000;
const OVERDUE_AFTER = 2_000;
const PIECE_TIMES = 4;
const TURN = 128 * 1024;
const MOST_BEGUN = 2;
/** Who was sent nothing for so long takes no turns, in ms. */
const ABSENT = 10_000;

/** What to do with a peer's request for a piece. */
export type Verdict =
  /** Serve it in its turn. */
  | 'serve'
  /** Somebody else is being sent the piece, and can pass it on: keep the request. */
  | 'wait'
  /** Somebody else has the piece: the peer shall ask there. */
  | 'elsewhere';

interface Copy<Peer> {
  /** To whom the piece is sent. */
  readonly to: Peer;
  /** Since when, and when a block of it was last sent for the first time, in ms. */
  readonly since: number;
  at: number;
  /** Bytes sent of it; and to everybody, of all pieces, when it was begun. */
  bytes: number;
  readonly begun: number;
  /** Its receiver went on to others in the middle of it. */
  left: boolean;
}

interface Receiver<Peer> {
  /** Pieces it was sent by us, has announced, and nobody else has: piece → since when, in ms; the oldest first. */
  readonly unspread: Map<number, number>;
  /** Pieces for which it was sent elsewhere → when, in ms. */
  readonly refused: Map<number, number>;
  /** When somebody else last announced a piece that only it could have passed on, in ms. */
  spreadAt: number;
  /** When it last announced a piece that we did not send it, in ms. */
  fedAt: number;
  /** When it was last sent something, in ms. */
  servedAt: number;
  /** Copies that it was sent a part of, the oldest first. */
  readonly begun: Set<Copy<Peer>>;
}

/**
 * For the only complete source of a swarm whose uplink is the bottleneck: each piece leaves it about once, and the
 * receivers pass it on. In the spirit of BEP 16, but nothing is hidden from anybody: only the order in which requests are
 * served changes, and requests for what others can deliver are rejected (BEP 6). Whoever cannot get a piece elsewhere
 * asks again, and is served then; so neither a peer that passes nothing on nor one that reaches nobody stops anything.
 *
 * Times are passed in, in milliseconds.
 */
export class SuperSeeding<Peer> {
  readonly #copies = new Map<number, Copy<Peer>>();
  readonly #receivers = new Map<Peer, Receiver<Peer>>();
  /** Bytes sent to everybody. */
  #served = 0;
  #active = 0;
  #countedAt = Number.NEGATIVE_INFINITY;

  add(peer: Peer, now: number): void {
    if (this.#receivers.has(peer)) return;
    this.#receivers.set(peer, {
      unspread: new Map(),
      refused: new Map(),
      spreadAt: now,
      fedAt: Number.NEGATIVE_INFINITY,
      servedAt: Number.NEGATIVE_INFINITY,
      begun: new Set(),
    });
  }

  /** What it was being sent others may have. */
  remove(peer: Peer): void {
    this.#receivers.delete(peer);
    for (const [piece, copy] of this.#copies) if (copy.to === peer) this.#copies.delete(piece);
  }

  /** So many bytes of the piece, which has `length` of them, go to the peer. What goes beyond that is no progress. */
  onServed(peer: Peer, piece: number, now: number, bytes: number, length: number): void {
    this.#served += bytes;
    let copy = this.#copies.get(piece);
    if (copy?.to !== peer) {
      copy = { to: peer, since: now, at: now, bytes: 0, begun: this.#served, left: false };
      this.#copies.set(piece, copy);
    }
    if (copy.bytes < length) copy.at = now;
    copy.bytes = Math.min(length, copy.bytes + bytes);
    const receiver = this.#receivers.get(peer);
    if (!receiver) return;
    receiver.servedAt = now;
    const { begun } = receiver;
    if (copy.bytes === length) begun.delete(copy);
    else if (!copy.left) begun.add(copy);
    for (const oldest of begun) {
      if (begun.size <= MOST_BEGUN) break;
      begun.delete(oldest);
      oldest.left = true;
    }
  }

  /** The peer announced the piece. */
  onHave(peer: Peer, piece: number, now: number): void {
    const receiver = this.#receivers.get(peer);
    if (!receiver) return;
    receiver.refused.delete(piece);
    const copy = this.#copies.get(piece);
    if (copy?.to === peer) {
      receiver.unspread.set(piece, now);
      return;
    }
    receiver.fedAt = now;
    const from = copy && this.#receivers.get(copy.to);
    if (from?.unspread.delete(piece) === true) from.spreadAt = now;
  }

  /** Whether what the peer gets reaches nobody else. */
  keeps(peer: Peer, now: number): boolean {
    const receiver = this.#receivers.get(peer);
    if (!receiver || now - receiver.spreadAt < KEEPS_AFTER) return false;
    const oldest = receiver.unspread.values().next().value;
    return oldest !== undefined && now - oldest >= KEEPS_AFTER;
  }

  /**
   * @param length bytes of the piece
   * @param holders other peers that have the piece
   * @param isOnItsWay whether more of the piece is asked for by, or on its way to, the peer that it was last sent to
   */
  verdict(
    peer: Peer,
    piece: number,
    now: number,
    length: number,
    holders: Iterable<Peer>,
    isOnItsWay: (to: Peer, piece: number) => boolean,
  ): Verdict {
    for (const holder of holders) {
      if (this.keeps(holder, now)) continue;
      return this.#refuse(peer, piece, now) ? 'elsewhere' : 'serve';
    }
    return this.mayServe(peer, piece, now, length, isOnItsWay) ? 'serve' : 'wait';
  }

  /** Whether it is the peer's turn to be sent the piece, which has `length` bytes and nobody else has. */
  mayServe(
    peer: Peer,
    piece: number,
    now: number,
    length: number,
    isOnItsWay: (to: Peer, piece: number) => boolean,
  ): boolean {
    const copy = this.#copies.get(piece);
    if (!copy || copy.to === peer || copy.left || !this.#receivers.has(copy.to)) return true;
    const idle = now - copy.at;
    if (idle >= STALLED || this.#isOverdue(copy, now, length)) return true;
    return idle >= HOLD && !isOnItsWay(copy.to, piece);
  }

  /** Pieces that the peer was sent elsewhere for and still lacks: it may ask us after all, and is not refused them again. */
  invite(peer: Peer): number[] {
    const refused = this.#receivers.get(peer)?.refused;
    const invited: number[] = [];
    for (const [piece, at] of refused ?? []) {
      if (at === Number.NEGATIVE_INFINITY) continue;
      refused?.set(piece, Number.NEGATIVE_INFINITY);
      invited.push(piece);
    }
    return invited;
  }

  /** Its receiver could have had it several times by now. */
  #isOverdue(copy: Copy<Peer>, now: number, length: number): boolean {
    if (now - copy.since < OVERDUE_AFTER) return false;
    return this.#served - copy.begun >= this.#countActive(now) * (PIECE_TIMES * length + TURN);
  }

  /** Who takes turns, as of the last second or so. */
  #countActive(now: number): number {
    if (now - this.#countedAt >= 1_000) {
      this.#countedAt = now;
      this.#active = 0;
      for (const { servedAt } of this.#receivers.values()) if (now - servedAt < ABSENT) this.#active++;
    }
    return this.#active;
  }

  /** Only whom others feed, and only once for each piece. */
  #refuse(peer: Peer, piece: number, now: number): boolean {
    const receiver = this.#receivers.get(peer);
    if (!receiver || now - receiver.fedAt > FED_FOR) return false;
    const refusedAt = receiver.refused.get(piece) ?? now;
    if (now - refusedAt >= INSISTS_AFTER) return false;
    receiver.refused.set(piece, refusedAt);
    return true;
  }
}
