import type { ChurnWorld, Machine } from './churn-world.ts';

const MINUTE = 60_000;
/** What the network promises, in ms. */
export const WITHIN = MINUTE;
/** Milliseconds until all who failed to announce to a tracker, which is back, have tried again: `TrackerAnnouncer`. */
const TRACKER_RETRIED = 6 * MINUTE;

/** Since when (ms of the clock) a machine has had all of something. */
export type Sources = ReadonlyMap<Machine, number>;

/**
 * What the network promises, told from the outside: by who is up, where, and what it can know. A member knows another that can be dialled
 * when a tracker names it, or when it has met somebody where that one is. Members find each other along such knowledge, however many
 * are between them; two that nobody can dial need somebody there who relays.
 */
export class WithinReach {
  readonly #world: ChurnWorld;
  /** Since when a machine has been up where it is. */
  readonly #upSince = new Map<Machine, number>();
  /** When the network was last cut or mended, and the tracker came back. */
  #sidesSince = 0;
  #trackerSince = 0;
  #groups: { readonly at: number; readonly of: Map<Machine, ReadonlySet<Machine>> } = { at: -1, of: new Map() };

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
    const group = this.#groupOf(one);
    if (!group.has(two)) return false;
    return (
      !one.outboundOnly || !two.outboundOnly || [...group].some(({ relays, outboundOnly }) => relays && !outboundOnly)
    );
  }

  /** Who finds each other, now. */
  #groupOf(machine: Machine): ReadonlySet<Machine> {
    const { clock, machines, side } = this.#world;
    if (this.#groups.at !== clock.now()) this.#groups = { at: clock.now(), of: new Map() };
    const known = this.#groups.of.get(machine);
    if (known) return known;
    const others = new Set(machines.filter((other) => this.isSettled(other) && side(other) === side(machine)));
    const group = new Set([machine]);
    for (const one of group) {
      others.delete(one);
      for (const other of others) if (this.#knows(one, other) || this.#knows(other, one)) group.add(other);
      this.#groups.of.set(one, group);
    }
    return group;
  }

  #knows(machine: Machine, other: Machine): boolean {
    if (other.outboundOnly) return false;
    const { trackerUp, clock } = this.#world;
    return (trackerUp && clock.now() - this.#trackerSince > TRACKER_RETRIED) || machine.disk.remembers(other.host);
  }
}
