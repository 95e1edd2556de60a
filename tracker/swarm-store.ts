import { AddressCounter } from './address-counter.ts';
import type { TrackerLimits } from './limits.ts';
import { NONE, PeerPool } from './peer-pool.ts';

export type AnnounceEvent = 'none' | 'started' | 'completed' | 'stopped';

export interface Announce {
  /** 20 bytes as latin1 text: the form in which it is a map key. */
  readonly infoHash: string;
  readonly address: Uint8Array;
  /** 0: the client cannot be dialed. It gets an answer and is not stored. */
  readonly port: number;
  /** 20 bytes; copied. */
  readonly peerId: Uint8Array;
  /** Has everything (`left` is 0). */
  readonly seed: boolean;
  readonly event: AnnounceEvent;
  /** At most so many peers of each address family. */
  readonly numWant: number;
}

/** Why a peer was answered without being stored. */
export type Refusal = 'tracker-full' | 'swarm-full' | 'address-full';

export interface SwarmCounts {
  readonly complete: number;
  readonly incomplete: number;
  /** Completions reported while the swarm existed. */
  readonly downloaded: number;
}

/** Answer to an announce. Reused: read it before the next one. */
export interface Answer {
  complete: number;
  incomplete: number;
  refusal: Refusal | undefined;
  /** Slots of `store.pool`; the announcing peer is never among them. */
  readonly ipv4: number[];
  readonly ipv6: number[];
}

interface Swarm {
  readonly id: number;
  readonly infoHash: string;
  downloaded: number;
  leechers4: number[];
  seeds4: number[];
  leechers6: number[];
  seeds6: number[];
}

type ListName = 'leechers4' | 'seeds4' | 'leechers6' | 'seeds6';

// Most swarms have peers of one kind: the others share this. Never written to, see `#listAdd`.
const EMPTY: number[] = [];

/**
 * The peers of every infohash.
 *
 * Invariant: a slot of the pool stands exactly once, at `pool.position(slot)`, in the one list of its swarm that matches
 * its address family and role; swarms without peers do not exist.
 */
export class SwarmStore {
  readonly pool = new PeerPool();
  readonly #swarms = new Map<string, Swarm>();
  /** By id, for finding the swarm of a slot; free ids hold undefined. */
  readonly #byId: (Swarm | undefined)[] = [];
  readonly #freeIds: number[] = [];
  readonly #addresses = new AddressCounter();
  readonly #limits: TrackerLimits;
  readonly #random: () => number;
  readonly #answer: Answer = { complete: 0, incomplete: 0, refusal: undefined, ipv4: [], ipv6: [] };
  #seeds = 0;

  constructor(limits: TrackerLimits, random: () => number = Math.random) {
    this.#limits = limits;
    this.#random = random;
  }

  get counts(): { swarms: number; peers: number; seeds: number } {
    return { swarms: this.#swarms.size, peers: this.pool.count, seeds: this.#seeds };
  }

  /** `now`: milliseconds of the clock that `expire` is called with. */
  announce(request: Announce, now: number): Answer {
    const answer = this.#answer;
    answer.refusal = undefined;
    answer.ipv4.length = 0;
    answer.ipv6.length = 0;

    let swarm = this.#swarms.get(request.infoHash);
    let self = swarm === undefined ? NONE : this.pool.find(swarm.id, request.address, request.port);
    if (request.event === 'stopped') {
      if (swarm !== undefined && self !== NONE) this.#remove(swarm, self);
      fillCounts(answer, swarm);
      return answer;
    }
    if (request.port !== 0) {
      if (swarm !== undefined && self !== NONE) this.#update(swarm, self, request, now);
      else {
        answer.refusal = this.#refusal(swarm, request.address);
        if (answer.refusal === undefined) {
          swarm ??= this.#create(request.infoHash);
          self = this.#add(swarm, request, now);
        }
      }
    }
    if (swarm !== undefined) this.#choosePeers(swarm, request, self, answer);
    fillCounts(answer, swarm);
    return answer;
  }

  /** Undefined for an infohash that nobody announces. */
  scrape(infoHash: string): SwarmCounts | undefined {
    const swarm = this.#swarms.get(infoHash);
    if (swarm === undefined) return undefined;
    return { complete: seedsOf(swarm), incomplete: leechersOf(swarm), downloaded: swarm.downloaded };
  }

  /** Forgets peers that last announced before `deadline`, at most `max` of them; returns how many. */
  expire(deadline: number, max: number): number {
    let removed = 0;
    for (let slot = this.pool.oldest; slot !== NONE && removed < max; slot = this.pool.oldest) {
      if (this.pool.seen(slot) >= deadline) break;
      const swarm = this.#byId[this.pool.swarm(slot)];
      if (swarm === undefined) break;
      this.#remove(swarm, slot);
      removed++;
    }
    return removed;
  }

  #refusal(swarm: Swarm | undefined, address: Uint8Array): Refusal | undefined {
    if (this.pool.count >= this.#limits.peers) return 'tracker-full';
    if (this.#addresses.get(address) >= this.#limits.peersPerAddress) return 'address-full';
    if (swarm !== undefined && seedsOf(swarm) + leechersOf(swarm) >= this.#limits.peersPerSwarm) return 'swarm-full';
    return undefined;
  }

  #create(infoHash: string): Swarm {
    const id = this.#freeIds.pop() ?? this.#byId.length;
    const swarm: Swarm = {
      id,
      infoHash,
      downloaded: 0,
      leechers4: EMPTY,
      seeds4: EMPTY,
      leechers6: EMPTY,
      seeds6: EMPTY,
    };
    this.#swarms.set(infoHash, swarm);
    this.#byId[id] = swarm;
    return swarm;
  }

  #add(swarm: Swarm, request: Announce, now: number): number {
    const slot = this.pool.add(swarm.id, request.address, request.port, request.peerId, now);
    this.pool.setSeed(slot, request.seed);
    this.#addresses.add(request.address);
    this.#listAdd(swarm, slot);
    if (request.event === 'completed') swarm.downloaded++;
    return slot;
  }

  #update(swarm: Swarm, slot: number, request: Announce, now: number): void {
    this.pool.touch(slot, request.peerId, now);
    if (this.pool.isSeed(slot) === request.seed) return;
    this.#listRemove(swarm, slot);
    this.pool.setSeed(slot, request.seed);
    this.#listAdd(swarm, slot);
    if (request.event === 'completed') swarm.downloaded++;
  }

  #remove(swarm: Swarm, slot: number): void {
    this.#listRemove(swarm, slot);
    this.#addresses.remove(this.pool.address(slot));
    this.pool.remove(slot);
    if (seedsOf(swarm) + leechersOf(swarm) > 0) return;
    this.#swarms.delete(swarm.infoHash);
    this.#byId[swarm.id] = undefined;
    this.#freeIds.push(swarm.id);
  }

  #listName(slot: number): ListName {
    if (this.pool.isIpv6(slot)) return this.pool.isSeed(slot) ? 'seeds6' : 'leechers6';
    return this.pool.isSeed(slot) ? 'seeds4' : 'leechers4';
  }

  #listAdd(swarm: Swarm, slot: number): void {
    const name = this.#listName(slot);
    const list = swarm[name];
    this.pool.setPosition(slot, list.length);
    // A literal of one element is small, a pushed-to empty array reserves room for 17.
    if (list.length === 0) swarm[name] = [slot];
    else list.push(slot);
    if (this.pool.isSeed(slot)) this.#seeds++;
  }

  #listRemove(swarm: Swarm, slot: number): void {
    const name = this.#listName(slot);
    const list = swarm[name];
    const position = this.pool.position(slot);
    const last = list.pop() ?? NONE;
    if (last !== slot) {
      list[position] = last;
      this.pool.setPosition(last, position);
    }
    if (list.length === 0) swarm[name] = EMPTY;
    if (this.pool.isSeed(slot)) this.#seeds--;
  }

  /** A seed needs leechers, and gets seeds only when there is room: where everybody claims to be one, they still meet. */
  #choosePeers(swarm: Swarm, request: Announce, self: number, answer: Answer): void {
    const want = Math.min(request.numWant, this.#limits.numWant);
    if (request.seed) {
      this.#sample(swarm.leechers4, EMPTY, want, self, answer.ipv4);
      this.#sample(swarm.seeds4, EMPTY, want - answer.ipv4.length, self, answer.ipv4);
      this.#sample(swarm.leechers6, EMPTY, want, self, answer.ipv6);
      this.#sample(swarm.seeds6, EMPTY, want - answer.ipv6.length, self, answer.ipv6);
    } else {
      this.#sample(swarm.leechers4, swarm.seeds4, want, self, answer.ipv4);
      this.#sample(swarm.leechers6, swarm.seeds6, want, self, answer.ipv6);
    }
  }

  /** Appends `want` distinct slots of the two lists, from a random start in even steps, leaving out `self`. */
  #sample(first: number[], second: number[], want: number, self: number, out: number[]): void {
    const total = first.length + second.length;
    if (want <= 0 || total === 0) return;
    const end = out.length + want;
    // One more, in case that `self` is hit.
    const picks = Math.min(total, want + 1);
    const start = picks < total ? Math.floor(this.#random() * total) : 0;
    for (let i = 0; i < picks && out.length < end; i++) {
      let at = start + Math.floor((i * total) / picks);
      if (at >= total) at -= total;
      const slot = (at < first.length ? first[at] : second[at - first.length]) ?? NONE;
      if (slot !== self) out.push(slot);
    }
  }
}

function seedsOf(swarm: Swarm): number {
  return swarm.seeds4.length + swarm.seeds6.length;
}

function leechersOf(swarm: Swarm): number {
  return swarm.leechers4.length + swarm.leechers6.length;
}

function fillCounts(answer: Answer, swarm: Swarm | undefined): void {
  answer.complete = swarm === undefined ? 0 : seedsOf(swarm);
  answer.incomplete = swarm === undefined ? 0 : leechersOf(swarm);
}
