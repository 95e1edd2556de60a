import { BLOCK_SIZE } from './merkle.ts';
import type { Info } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import type { PiecePicker, Random } from './piece-picker.ts';
import { MOST_RUN_PIECES } from './piece-runs.ts';
import type { RunPlace } from './small-run.ts';

/** A peer that rejects a run is not asked for another for this long, in ms: while it super-seeds, for instance. */
const REFUSED_FOR = 5_000;

/**
 * Finds runs of small files among the open pieces, one behind the other from a random place on: rarity matters little for what
 * is fetched within seconds, and whoever goes on where it left off does not cut what is left into pieces.
 */
export class RunPicker {
  readonly #picker: PiecePicker;
  /** Bytes of the piece's file when that is one block; 0 for other pieces. */
  readonly #lengths: Uint16Array;
  readonly #some: boolean;
  /** Pieces of runs that are under way. */
  readonly #taken: Uint8Array;
  #takenCount = 0;
  /** Sessions for which there was nothing, and the additions of the picker then. */
  readonly #barren = new Map<PeerSession, number>();
  readonly #refused = new Map<PeerSession, number>();
  #next: number;

  constructor(info: Info, picker: PiecePicker, random: Random) {
    this.#picker = picker;
    this.#lengths = new Uint16Array(info.pieceCount);
    this.#taken = new Uint8Array(info.pieceCount);
    let some = 0;
    for (const { length, firstPiece } of info.files) {
      if (length === 0 || length > BLOCK_SIZE) continue;
      this.#lengths[firstPiece] = length;
      some++;
    }
    this.#some = some > 1;
    this.#next = this.#some ? Math.floor(random() * info.pieceCount) : 0;
  }

  /** Pieces of runs under way. */
  get taken(): number {
    return this.#takenCount;
  }

  has(piece: number): boolean {
    return this.#taken[piece] === 1;
  }

  /** False: there is no run for this session now. `now` in ms. */
  mayTake(session: PeerSession, now: number): boolean {
    if (!this.#some || this.#picker.open < 2 || this.#barren.get(session) === this.#picker.additions) return false;
    const until = this.#refused.get(session);
    return until === undefined || now >= until;
  }

  /** Takes a run of up to `limit` bytes that the session has out of the picker; undefined when there is none. */
  take(session: PeerSession, limit: number, now: number): RunPlace | undefined {
    if (!this.mayTake(session, now)) return undefined;
    const total = this.#lengths.length;
    let at = this.#next;
    for (let seen = 0; seen < total; ) {
      if (at >= total) at = 0;
      let length = 0;
      let end = at;
      while (end < total && end - at < MOST_RUN_PIECES && this.#isFree(end, session)) {
        const more = this.#lengths[end] ?? 0;
        if (length + more > limit) break;
        length += more;
        end++;
      }
      if (end - at > 1) {
        this.#next = end;
        this.#occupy(at, end);
        return { first: at, count: end - at, length };
      }
      seen++;
      at++;
    }
    this.#barren.set(session, this.#picker.additions);
    return undefined;
  }

  /** The run is over: its pieces are had, or are to be added to the picker again. */
  giveBack({ first, count }: RunPlace): void {
    this.#taken.fill(0, first, first + count);
    this.#takenCount -= count;
  }

  /** The session announced a piece. */
  onHave(session: PeerSession): void {
    this.#barren.delete(session);
  }

  /** The session does not serve runs now. */
  refused(session: PeerSession, now: number): void {
    this.#refused.set(session, now + REFUSED_FOR);
  }

  remove(session: PeerSession): void {
    this.#barren.delete(session);
    this.#refused.delete(session);
  }

  #isFree(piece: number, session: PeerSession): boolean {
    return (
      (this.#lengths[piece] ?? 0) > 0 &&
      this.#picker.isOpen(piece) &&
      session.has(piece) &&
      !session.requests.isKeptFrom(piece)
    );
  }

  #occupy(from: number, to: number): void {
    for (let piece = from; piece < to; piece++) this.#picker.remove(piece);
    this.#taken.fill(1, from, to);
    this.#takenCount += to - from;
  }
}
