import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { addressGroup } from './ip-address.ts';
import type { PendingSockets } from './pending-sockets.ts';

export interface WaitingLimits {
  /** Who waits at most, in all and from one address. */
  readonly waiting: number;
  readonly waitingPerAddress: number;
  /** How long, in ms. */
  readonly patience: number;
  /** Who has had its place for longer (ms) loses it to a newcomer that would find none. */
  readonly tenure: number;
}

export interface Visitor {
  /** A place is free; `leave` gives it back, once. Called at once or later. */
  enter(leave: () => void): void;
  /** It has its place no longer: see `WaitingLimits.tenure`. */
  displace(): void;
  /** There is no place, nor any to wait in; or none came free in time. */
  refuse(): void;
}

interface Waiting {
  readonly address: string;
  readonly visitor: Visitor;
  readonly timer: Disposable;
}

interface Inside {
  readonly group: string;
  readonly visitor: Visitor;
  readonly since: number;
  readonly leave: () => void;
}

/**
 * Whoever finds no place among `PendingSockets` waits a while for one: members behind one address, or windows of one machine,
 * come at the same moment, and a handshake takes milliseconds. The room is bounded as the places are. And whoever only sits
 * on its place gives it up to the next who comes, or a handful of silent sockets would keep every member out.
 */
export class WaitingRoom implements Disposable {
  readonly #places: PendingSockets;
  readonly #limits: WaitingLimits;
  readonly #clock: Clock;
  /** In the order of coming. */
  readonly #waiting = new Set<Waiting>();
  /** In the order of entering. */
  readonly #inside = new Set<Inside>();

  constructor(places: PendingSockets, limits: WaitingLimits, clock: Clock) {
    this.#places = places;
    this.#limits = limits;
    this.#clock = clock;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Disposed when the visitor goes away by itself. */
  admit(address: string, visitor: Visitor): Disposable {
    if (this.#enter(address, visitor)) return { dispose: () => undefined };
    const group = addressGroup(address);
    if (this.#displace(address, group) && this.#enter(address, visitor)) return { dispose: () => undefined };
    let before = 0;
    for (const other of this.#waiting) if (addressGroup(other.address) === group) before++;
    if (this.#waiting.size >= this.#limits.waiting || before >= this.#limits.waitingPerAddress) {
      visitor.refuse();
      return { dispose: () => undefined };
    }
    const waiting: Waiting = {
      address,
      visitor,
      timer: this.#clock.setTimeout(() => this.#remove(waiting) && visitor.refuse(), this.#limits.patience),
    };
    this.#waiting.add(waiting);
    return { dispose: () => this.#remove(waiting) };
  }

  /** Refuses all that wait. */
  dispose(): void {
    for (const waiting of this.#waiting) if (this.#remove(waiting)) waiting.visitor.refuse();
  }

  #enter(address: string, visitor: Visitor): boolean {
    const leave = this.#places.enter(address);
    if (!leave) return false;
    this.#begin(address, visitor, leave);
    return true;
  }

  #begin(address: string, visitor: Visitor, leave: () => void): void {
    const inside: Inside = { group: addressGroup(address), visitor, since: this.#clock.now(), leave };
    this.#inside.add(inside);
    visitor.enter(() => {
      // Who was displaced has nothing to give back.
      if (!this.#inside.delete(inside)) return;
      leave();
      this.#admitNext();
    });
  }

  /** Makes room for one from this address, by whoever has been inside the longest; false when nobody has been for long. */
  #displace(address: string, group: string): boolean {
    const crowded = this.#places.isFullFor(address);
    const oldest = [...this.#inside].find((inside) => !crowded || inside.group === group);
    if (!oldest || this.#clock.now() - oldest.since < this.#limits.tenure) return false;
    this.#inside.delete(oldest);
    oldest.leave();
    oldest.visitor.displace();
    return true;
  }

  /** Who came first of those for whom there is a place. */
  #admitNext(): void {
    for (const waiting of this.#waiting) {
      const leave = this.#places.enter(waiting.address);
      if (!leave) continue;
      this.#remove(waiting);
      this.#begin(waiting.address, waiting.visitor, leave);
      return;
    }
  }

  #remove(waiting: Waiting): boolean {
    waiting.timer.dispose();
    return this.#waiting.delete(waiting);
  }
}
