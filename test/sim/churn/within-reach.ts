import type { ChurnWorld, Machine } from './churn-world.ts';

const MINUTE = 60_000;
/** What the network promises, in ms. */
export const WITHIN = MINUTE;
/** Milliseconds until all who failed to announce to a tracker, which is back, have tried again: `TrackerAnnouncer`. */
const TRACKER_RETRIED = 6 * MINUTE;

/** Since when (ms of the clock) a machine has had all of something. */
export type Sources = ReadonlyMap<Machine, number>;

/**
 * What the network promises, told from the outside: by who is up, where, and what it can know. Two members where one can dial
 * the other meet, and so do two that nobody can dial, if there is somebody who relays. Who cannot be dialled must find
 * others itself: a tracker names them, or it remembers where somebody is.
 */
export class WithinReach {
  readonly #world: ChurnWorld;
  /** Since when a machine has been up where it is. */
  readonly #upSince = new Map<Machine, number>();
  /** When the network was last cut or mended, and the tracker came back. */
  #sidesSince = 0;
  #trackerSince = 0;

  constructor(world: ChurnWorld) {
    this.#world = world;
  }

  cameUp(machine: Machine): void {
    this.#upSince.set(machine, this.#world.clock.now());
  }

  sidesChanged(): void {
    this.#sidesSince = this.#world.clock.now();
  }

  trackerIsBack(): void {
    this.#trackerSince = this.#world.clock.now();
  }

  /** It has been up, where it is, for a minute, in a network that was neither cut nor mended. */
  isSettled(machine: Machine): boolean {
    if (machine.revoked || !this.#world.isUp(machine)) return false;
    return this.#world.clock.now() - Math.max(this.#upSince.get(machine) ?? 0, this.#sidesSince) > WITHIN;
  }

  /** Those who must serve the machine: they have had it for a minute, and the two meet. */
  sourcesFor(machine: Machine, sources: Sources): Machine[] {
    if (!this.isSettled(machine) || sources.has(machine)) return [];
    const now = this.#world.clock.now();
    return [...sources].flatMap(([source, since]) =>
      now - since > WITHIN && this.isSettled(source) && this.meet(machine, source) ? [source] : [],
    );
  }

  /** Of two that are settled. */
  meet(one: Machine, two: Machine): boolean {
    if (this.#world.side(one) !== this.#world.side(two) || !this.#findsOthers(one) || !this.#findsOthers(two))
      return false;
    return !one.outboundOnly || !two.outboundOnly || this.#reachable(one).some(({ relays }) => relays);
  }

  /** Who can be dialled is found by all who come. Others have to find one of those. */
  #findsOthers(machine: Machine): boolean {
    return !machine.outboundOnly || this.#reachable(machine).some((other) => this.#knows(machine, other));
  }

  #knows(machine: Machine, other: Machine): boolean {
    const { trackerUp, clock } = this.#world;
    return (trackerUp && clock.now() - this.#trackerSince > TRACKER_RETRIED) || machine.disk.remembers(other.host);
  }

  /** Whom a machine could dial. */
  #reachable(machine: Machine): Machine[] {
    const { machines, side } = this.#world;
    return machines.filter((other) => !other.outboundOnly && this.isSettled(other) && side(other) === side(machine));
  }
}
