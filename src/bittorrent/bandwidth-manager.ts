import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { RateLimiter, smallerRate } from './rate-limiter.ts';

export type TransferPriority = 'high' | 'normal' | 'low';
export const TRANSFER_PRIORITIES: readonly TransferPriority[] = ['high', 'normal', 'low'];

/** What transfers of each priority get, all together, of a rate for which all compete; what one leaves the others take. */
const WEIGHTS: Readonly<Record<TransferPriority, number>> = { high: 100, normal: 10, low: 1 };
/** Granted in one go: so many seconds of the smallest limit on the way, and at least so many bytes. */
const QUANTUM = 0.02;
const LEAST_QUANTUM = 512;
/**
 * How long the turn of a connection is kept for it, in ms, while its next bytes cross the event loop; otherwise whoever
 * has bytes at hand would get as much as one who comes first.
 */
const KEPT_TURN = 5;
/** But not when the rate runs to waste meanwhile: so many seconds of it have not been used. */
const MOST_UNUSED = 0.01;

/**
 * Shares a rate of reading among transfers by their priority, and among the connections of a transfer evenly. Bytes that
 * arrived wait here until they may be read; meanwhile their connection is paused and TCP's flow control slows the sender.
 *
 * The tree is manager → priority → transfer → connection; manager and transfers may have a limit. At each node the child
 * that got least for its weight comes next (start-time fair queueing). Without limits nothing is queued or counted.
 */
export class BandwidthManager {
  readonly #clock: Clock;
  readonly #root: Node;
  readonly #classes: Readonly<Record<TransferPriority, Node>>;
  #timer: Disposable | undefined;
  #granting = false;

  /** `rate` in bytes per second; 0 means unlimited. */
  constructor(clock: Clock, rate = 0) {
    this.#clock = clock;
    this.#root = new Node(clock, undefined, 1);
    const ofClass = (priority: TransferPriority): Node => new Node(clock, this.#root, WEIGHTS[priority]);
    this.#classes = { high: ofClass('high'), normal: ofClass('normal'), low: ofClass('low') };
    this.setRate(rate);
  }

  get rate(): number {
    return this.#root.limiter.rate;
  }

  setRate(rate: number): void {
    this.#root.limiter.setRate(rate);
    this.#grant();
  }

  transfer(priority: TransferPriority = 'normal'): TransferBandwidth {
    const node = new Node(this.#clock, this.#classes[priority], 1);
    return new TransferBandwidth(node, priority, {
      connect: (onGrant) => new ConnectionBandwidth(new Leaf(this.#clock, node, onGrant), () => this.#grant()),
      changed: (now) => {
        node.moveTo(this.#classes[now]);
        this.#grant();
      },
    });
  }

  /** Lets through what may pass now, and comes back when more may. */
  #grant(): void {
    if (this.#granting) return;
    this.#granting = true;
    this.#timer?.dispose();
    this.#timer = undefined;
    try {
      for (;;) {
        const next = this.#next(this.#root, this.#clock.now());
        if (next instanceof Leaf) {
          next.grant();
          continue;
        }
        if (next.wait !== Number.POSITIVE_INFINITY)
          this.#timer = this.#clock.setTimeout(() => this.#grant(), Math.max(1, Math.ceil(next.wait)));
        return;
      }
    } finally {
      this.#granting = false;
    }
  }

  /** Whose turn it is below a node; else how many ms until that may be asked again, and whether the node's turn is kept. */
  #next(node: Node, now: number): Leaf | { readonly wait: number; readonly kept: boolean } {
    if (node.idle) return { wait: Number.POSITIVE_INFINITY, kept: false };
    const limited = node.limiter.wait();
    if (limited > 0) return { wait: limited, kept: false };
    if (node instanceof Leaf) {
      if (node.wanted > 0) return node;
      if (node.keptUntil <= now) {
        node.leave();
        return { wait: Number.POSITIVE_INFINITY, kept: false };
      }
      const left = MOST_UNUSED - node.unused();
      return { wait: Math.min(node.keptUntil - now, left > 0 ? left * 1000 : KEPT_TURN), kept: left > 0 };
    }
    let wait = Number.POSITIVE_INFINITY;
    for (const child of node.queue()) {
      const next = this.#next(child, now);
      if (next instanceof Leaf || next.kept) return next;
      wait = Math.min(wait, next.wait);
    }
    return { wait, kept: false };
  }
}

/** One transfer's place in the queue, with its own limit. */
export class TransferBandwidth {
  readonly #node: Node;
  readonly #manager: {
    connect(onGrant: (bytes: number) => void): ConnectionBandwidth;
    changed(now: TransferPriority): void;
  };
  #priority: TransferPriority;

  constructor(
    node: Node,
    priority: TransferPriority,
    manager: { connect(onGrant: (bytes: number) => void): ConnectionBandwidth; changed(now: TransferPriority): void },
  ) {
    this.#node = node;
    this.#priority = priority;
    this.#manager = manager;
  }

  /** The smallest limit that holds for it, in bytes per second; 0 when there is none. */
  get rate(): number {
    return this.#node.smallestRate();
  }

  get priority(): TransferPriority {
    return this.#priority;
  }

  /** Its own limit in bytes per second; 0: none. */
  setRate(rate: number): void {
    this.#node.limiter.setRate(rate);
    this.#manager.changed(this.#priority);
  }

  setPriority(priority: TransferPriority): void {
    this.#priority = priority;
    this.#manager.changed(priority);
  }

  /** `onGrant` hears how many of the bytes that had to wait may be read now; never from within `take`. */
  connection(onGrant: (bytes: number) => void): ConnectionBandwidth {
    return this.#manager.connect(onGrant);
  }
}

/** One connection's place in the queue. */
export class ConnectionBandwidth implements Disposable {
  readonly #leaf: Leaf;
  readonly #changed: () => void;

  constructor(leaf: Leaf, changed: () => void) {
    this.#leaf = leaf;
    this.#changed = changed;
  }

  /** Bytes are kept from being read by a limit. */
  get waiting(): boolean {
    return this.#leaf.wanted > 0;
  }

  /** How many of these bytes may be read now; the rest is granted later. Not while earlier ones wait. */
  take(bytes: number): number {
    const leaf = this.#leaf;
    if (leaf.smallestRate() === 0) return bytes;
    leaf.ask(bytes);
    this.#changed();
    return leaf.endAsking();
  }

  dispose(): void {
    this.#leaf.leave();
    this.#leaf.wanted = 0;
    this.#changed();
  }
}

class Node {
  readonly limiter: RateLimiter;
  readonly #weight: number;
  #parent: Node | undefined;
  /** Children with somebody in them who waits, or whose turn is kept. */
  readonly #active = new Set<Node>();
  /** What it got so far divided by its weight, in the time of its parent. */
  #served = 0;
  /** The least that any waiting child got: where those that come later begin. */
  #time = 0;

  constructor(clock: Clock, parent: Node | undefined, weight: number) {
    this.limiter = new RateLimiter(clock);
    this.#parent = parent;
    this.#weight = weight;
  }

  /** Nobody in it waits. */
  get idle(): boolean {
    return this.#active.size === 0;
  }

  /** Active children, the one that comes first first. */
  queue(): Node[] {
    const nodes = [...this.#active];
    return nodes.length < 2 ? nodes : nodes.sort((a, b) => a.#served - b.#served);
  }

  smallestRate(): number {
    return smallerRate(this.limiter.rate, this.#parent?.smallestRate() ?? 0);
  }

  /** Seconds of the scarcest rate that nobody has used. */
  unused(): number {
    return Math.min(this.limiter.saved, this.#parent?.unused() ?? Number.POSITIVE_INFINITY);
  }

  enter(): void {
    const parent = this.#parent;
    if (!parent || parent.#active.has(this)) return;
    this.#served = Math.max(this.#served, parent.#time);
    parent.#active.add(this);
    parent.enter();
  }

  leave(): void {
    const parent = this.#parent;
    if (parent === undefined) return;
    if (parent.#active.delete(this) && parent.#active.size === 0) parent.leave();
  }

  moveTo(parent: Node): void {
    if (this.#parent === parent) return;
    const active = !this.idle;
    this.leave();
    this.#parent = parent;
    this.#served = parent.#time;
    if (active) this.enter();
  }

  protected spend(bytes: number): void {
    this.limiter.spend(bytes);
    const parent = this.#parent;
    if (!parent) return;
    // Who was held back by a limit of its own does not catch up at the cost of others.
    this.#served = Math.max(this.#served, parent.#time);
    parent.#time = this.#served;
    this.#served += bytes / this.#weight;
    parent.spend(bytes);
  }
}

class Leaf extends Node {
  /** Bytes at hand that may not be read yet. */
  wanted = 0;
  /** Until when its turn is kept though it wants nothing, in ms. */
  keptUntil = Number.NEGATIVE_INFINITY;
  readonly #clock: Clock;
  readonly #onGrant: (bytes: number) => void;
  #asking = false;
  #granted = 0;
  #servedAt = Number.NEGATIVE_INFINITY;
  /** It asked again soon after it was served. */
  #quick = true;

  constructor(clock: Clock, parent: Node, onGrant: (bytes: number) => void) {
    super(clock, parent, 1);
    this.#clock = clock;
    this.#onGrant = onGrant;
  }

  override get idle(): boolean {
    return false;
  }

  ask(bytes: number): void {
    const since = this.#clock.now() - this.#servedAt;
    this.#quick = since <= KEPT_TURN || since === Number.POSITIVE_INFINITY;
    this.#asking = true;
    this.#granted = 0;
    this.wanted = bytes;
    this.enter();
  }

  /** Bytes granted since `ask`. */
  endAsking(): number {
    this.#asking = false;
    return this.#granted;
  }

  /** Its turn. */
  grant(): void {
    const rate = this.smallestRate();
    const quantum = rate === 0 ? this.wanted : Math.max(LEAST_QUANTUM, Math.floor(rate * QUANTUM));
    const bytes = Math.min(this.wanted, quantum);
    this.wanted -= bytes;
    this.spend(bytes);
    if (this.wanted === 0) {
      // Kept only for those that were quick the last time: nobody waits for a slow sender.
      this.#servedAt = this.#clock.now();
      this.keptUntil = this.#quick && rate > 0 ? this.#servedAt + KEPT_TURN : Number.NEGATIVE_INFINITY;
    }
    if (this.#asking) this.#granted += bytes;
    else this.#onGrant(bytes);
  }
}
