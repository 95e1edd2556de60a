import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import type { Random } from './piece-picker.ts';

/** Bytes per second of a limited uplink for which one member is unchoked; and how many there are at least and at most. */
const RATE_A_SLOT = 5_000;
const LEAST_SLOTS = 4;
const MOST_SLOTS = 128;
/** Other clients that are unchoked for what they give us, and one by chance (BEP 3). */
const RECIPROCAL_SLOTS = 4;
/** Milliseconds between two choices; for which who was unchoked stays so while others wait; between two optimistic unchokes. */
const ROUND = 5_000;
export const TURN = 15_000;
export const OPTIMISTIC_TURN = 30_000;

/** A connection, as the choker sees it. */
export interface ChokerPeer {
  /** A member of our network, or else somebody's client. */
  readonly member: boolean;
  /** The device behind it. */
  readonly device: string;
  /** It wants something that we have. */
  readonly interested: boolean;
  /** It gives us nothing though it could. */
  readonly snubs: boolean;
  /** What it gives us, in bytes per second. */
  readonly rate: number;
  setChoking(choking: boolean): void;
}

/** A peer and how it fared. Times in ms. */
export interface Candidate<P extends ChokerPeer = ChokerPeer> {
  readonly peer: P;
  readonly unchoked: boolean;
  /** When it was last unchoked, or choked; since when it is here if it never was. */
  readonly since: number;
}

/** How many members are served at once: as many as a limited uplink can give something worth having. `rate` 0: unlimited. */
export function slotsFor(rate: number): number {
  if (rate === 0) return MOST_SLOTS;
  return Math.min(MOST_SLOTS, Math.max(LEAST_SLOTS, Math.floor(rate / RATE_A_SLOT)));
}

/**
 * Members in the order in which they are unchoked: each device's first connection before anybody's second; then whose
 * turn is not over; then who waits longest; and last those who had their turn.
 */
export function rankMembers<C extends Candidate>(candidates: readonly C[], now: number): C[] {
  const byTurn = [...candidates].sort((a, b) => stage(a, now) - stage(b, now) || a.since - b.since);
  const seen = new Map<string, number>();
  const place = new Map<C, number>();
  for (const candidate of byTurn) {
    const count = seen.get(candidate.peer.device) ?? 0;
    seen.set(candidate.peer.device, count + 1);
    place.set(candidate, count);
  }
  return byTurn.sort((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0));
}

function stage({ unchoked, since }: Candidate, now: number): number {
  if (!unchoked) return 1;
  return now - since < TURN ? 0 : 2;
}

/** Other clients: who gives most first (tit for tat), among equals as members; who gives nothing though it could, last. */
export function rankOthers<C extends Candidate>(candidates: readonly C[], now: number): C[] {
  const fair = rankMembers(candidates, now);
  return fair.sort((a, b) => Number(a.peer.snubs) - Number(b.peer.snubs) || b.peer.rate - a.peer.rate);
}

interface State extends Candidate {
  unchoked: boolean;
  since: number;
}

/**
 * Decides whom we serve. Members are trusted to share: everybody interested is unchoked, as many as the uplink can give
 * something worth having; beyond that they take turns. Clients that are no members are served for what they give us, and
 * one of them by chance.
 */
export class Choker implements Disposable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #rate: () => number;
  readonly #states = new Map<ChokerPeer, State>();
  readonly #timer: Disposable;
  #optimistic: ChokerPeer | undefined;
  #optimisticSince = Number.NEGATIVE_INFINITY;
  #queued = false;
  #disposed = false;

  /** `rate`: the limit of the uplink in bytes per second; 0: none. */
  constructor(options: { readonly clock: Clock; readonly random: Random; readonly rate: () => number }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#rate = options.rate;
    this.#timer = options.clock.setInterval(() => this.#choose(), ROUND);
  }

  /** Adds a peer; it is choked until it is chosen. Disposed when it leaves. */
  add(peer: ChokerPeer): Disposable {
    this.#states.set(peer, { peer, unchoked: false, since: this.#clock.now() });
    this.update();
    return {
      dispose: () => {
        if (this.#states.delete(peer)) this.update();
      },
    };
  }

  /** Somebody's interest changed: free slots are given at once. */
  update(): void {
    if (this.#queued || this.#disposed) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      this.#choose();
    });
  }

  dispose(): void {
    this.#disposed = true;
    this.#timer.dispose();
    this.#states.clear();
  }

  #choose(): void {
    if (this.#disposed) return;
    const now = this.#clock.now();
    const interested = [...this.#states.values()].filter(({ peer }) => peer.interested);
    const members = interested.filter(({ peer }) => peer.member);
    const others = interested.filter(({ peer }) => !peer.member);
    const chosen = new Set<State>(rankMembers(members, now).slice(0, slotsFor(this.#rate())));
    for (const state of rankOthers(others, now).slice(0, RECIPROCAL_SLOTS)) chosen.add(state);
    const byChance = this.#chooseByChance(
      others.filter((state) => !chosen.has(state)),
      now,
    );
    if (byChance) chosen.add(byChance);
    for (const state of this.#states.values()) {
      const { peer, unchoked } = state;
      // Who is not interested now stays as it is while nobody needs the slot: it may be again in a moment.
      const unchoke = chosen.has(state) || (unchoked && !peer.interested && chosen.size < LEAST_SLOTS);
      if (unchoke === unchoked) continue;
      state.unchoked = unchoke;
      state.since = now;
      peer.setChoking(!unchoke);
    }
  }

  /** One of the rest, for a while: it may prove better than those chosen, or be new and have nothing to give yet. */
  #chooseByChance(rest: readonly State[], now: number): State | undefined {
    const present = rest.find(({ peer }) => peer === this.#optimistic);
    if (present && now - this.#optimisticSince < OPTIMISTIC_TURN) return present;
    if (rest.length === 0) return undefined;
    const candidates = rest.filter((state) => state !== present);
    const next = candidates[Math.floor(this.#random() * candidates.length)] ?? present;
    this.#optimistic = next?.peer;
    this.#optimisticSince = now;
    return next;
  }
}
