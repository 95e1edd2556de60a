import type { DeviceId } from '../../common/ids.ts';

/** Bytes that each item counts for besides its own: many small ones fill a store as few large ones do. */
const ITEM_COST = 16 * 1024;
/** Members between a device and whoever invited nobody knows whom: more are not looked at. */
const MAX_DEPTH = 64;
/** Who invited whom may be heard after it is asked: once in so many times, all is put in its place anew. */
const REBUILD_EVERY = 256;

/** Something kept that a device gave. */
export interface Kept {
  readonly key: string;
  readonly device: DeviceId;
  readonly bytes: number;
  /** Milliseconds since the epoch: of one device, the oldest goes first. */
  readonly time: number;
}

/** A device, with all whom it invited. */
interface Branch {
  readonly id: string;
  readonly invited: Map<string, Branch>;
  readonly own: Set<Kept>;
  weight: number;
  ownWeight: number;
  /** Undefined: to be found anew. */
  oldest: number | undefined;
}

/**
 * Which of all that is kept has to go when there is no room: of the member who takes up most together with all whom it invited,
 * and whom these invited; among them again of whoever takes up most, and so on. Members invite at will, also devices of their
 * own: by that, a thousand of one member's take nothing from others, as little as one does that lists too much.
 */
export class FairShare {
  readonly #inviterOf: (device: DeviceId) => DeviceId | undefined;
  readonly #root = newBranch('');
  /** Each with the branches in which it is, from the root on: what is known of inviters may change. */
  readonly #kept = new Map<string, { readonly item: Kept; readonly chain: readonly Branch[] }>();
  #asked = 0;

  /** `inviterOf`: undefined for the creator, and when unknown. */
  constructor(inviterOf: (device: DeviceId) => DeviceId | undefined) {
    this.#inviterOf = inviterOf;
  }

  /** Takes the place of what has the same key. */
  add(item: Kept): void {
    this.remove(item.key);
    const chain = [this.#root];
    for (const device of this.#inviters(item.device).reverse()) {
      const branch = chain.at(-1) ?? this.#root;
      const next = branch.invited.get(device) ?? newBranch(device);
      branch.invited.set(device, next);
      chain.push(next);
    }
    const last = chain.at(-1) ?? this.#root;
    last.own.add(item);
    last.ownWeight += weightOf(item);
    for (const branch of chain) {
      branch.weight += weightOf(item);
      if (branch.oldest !== undefined) branch.oldest = Math.min(branch.oldest, item.time);
    }
    this.#kept.set(item.key, { item, chain });
  }

  remove(key: string): Kept | undefined {
    const known = this.#kept.get(key);
    if (known === undefined) return undefined;
    const { item, chain } = known;
    this.#kept.delete(key);
    for (const [index, branch] of chain.entries()) {
      branch.weight -= weightOf(item);
      branch.oldest = undefined;
      if (branch.weight === 0) chain[index - 1]?.invited.delete(branch.id);
    }
    const last = chain.at(-1);
    last?.own.delete(item);
    if (last) last.ownWeight -= weightOf(item);
    return item;
  }

  /** Undefined when there is nothing. */
  first(): Kept | undefined {
    if (this.#asked++ % REBUILD_EVERY === 0) for (const { item } of [...this.#kept.values()]) this.add(item);
    let branch = this.#root;
    for (;;) {
      let heaviest: Branch | undefined;
      for (const other of branch.invited.values())
        if (heaviest === undefined || isBefore(other, heaviest)) heaviest = other;
      if (heaviest === undefined || branch.ownWeight > heaviest.weight) break;
      branch = heaviest;
    }
    let first: Kept | undefined;
    for (const item of branch.own) if (first === undefined || item.time < first.time) first = item;
    return first;
  }

  /** The device, its inviter, and so on. */
  #inviters(device: DeviceId): DeviceId[] {
    const chain: DeviceId[] = [];
    for (let at: DeviceId | undefined = device; at !== undefined; at = this.#inviterOf(at)) {
      if (chain.length === MAX_DEPTH || chain.includes(at)) break;
      chain.push(at);
    }
    return chain;
  }
}

function newBranch(id: string): Branch {
  return { id, invited: new Map(), own: new Set(), weight: 0, ownWeight: 0, oldest: undefined };
}

function weightOf({ bytes }: Kept): number {
  return bytes + ITEM_COST;
}

/** Where both take up as much, the older; the same whatever came first. */
function isBefore(a: Branch, b: Branch): boolean {
  return (b.weight - a.weight || oldestOf(a) - oldestOf(b) || (a.id < b.id ? -1 : 1)) < 0;
}

function oldestOf(branch: Branch): number {
  if (branch.oldest === undefined) {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { time } of branch.own) oldest = Math.min(oldest, time);
    for (const other of branch.invited.values()) oldest = Math.min(oldest, oldestOf(other));
    branch.oldest = oldest;
  }
  return branch.oldest;
}
