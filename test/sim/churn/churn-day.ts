import { shareIdFromBytes } from '../../../src/common/ids.ts';
import type { ShareEntry } from '../../../src/peer/network/catalogue.ts';
import { peerKey } from '../../../src/peer/network/channel.ts';
import { NetworkTrust } from '../../../src/peer/trust/membership.ts';
import { Dice } from '../dice.ts';
import { ChurnWorld, type Lack, type Machine, type Run } from './churn-world.ts';
import { MachineClock, seededBytes, seededIdentity } from './machine.ts';
import { sampleVersion } from './sample-swarms.ts';
import { WITHIN, WithinReach } from './within-reach.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const TRACKER = 'http://tracker.example/announce';

export interface ChurnOptions {
  readonly members: number;
  /** Milliseconds of simulated time. */
  readonly duration: number;
  readonly lacks?: readonly Lack[];
}

export interface ChurnOutcome {
  readonly seed: number;
  readonly violations: readonly string[];
  /** What happened, with its time. */
  readonly events: readonly string[];
  /** How often each kind of thing happened or was looked at. */
  readonly counts: Readonly<Record<string, number>>;
  /** Of all that happened in the network: the same for each run of a seed. */
  readonly trace: string;
}

/** A share, and since when (ms of the clock) each machine has had all of it. */
interface Listed {
  readonly owner: Machine;
  readonly entry: ShareEntry;
  readonly sources: Map<Machine, number>;
}

/**
 * A day of a team whose members come and go as they like: the invariant is that every share of which some live machine has
 * had everything for a minute is listed by every live member, with a source, and can be fetched by it within a minute.
 */
export async function runChurn(seed: number, options: ChurnOptions): Promise<ChurnOutcome> {
  const day = new ChurnDay(seed, options);
  // Most dials find nobody: where in the code each error was made is half the work.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await day.run();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    await day.dispose();
  }
}

class ChurnDay {
  readonly #seed: number;
  readonly #options: ChurnOptions;
  readonly #dice: Dice;
  readonly #world: ChurnWorld;
  readonly #events: string[] = [];
  readonly #violations: string[] = [];
  readonly #counts: Record<string, number> = {};
  readonly #listed: Listed[] = [];
  readonly #promise: WithinReach;
  readonly #fetching = new Set<string>();
  #ended = false;

  constructor(seed: number, options: ChurnOptions) {
    this.#seed = seed;
    this.#options = options;
    this.#dice = new Dice(seed);
    this.#world = new ChurnWorld(new Dice(seed + 1).random, options.lacks);
    this.#promise = new WithinReach(this.#world);
    this.#world.onWarning = (text) => this.#say(text);
    this.#recruit();
  }

  async run(): Promise<ChurnOutcome> {
    const { clock } = this.#world;
    const { duration } = this.#options;
    for (const machine of this.#world.machines) void this.#live(machine);
    for (const plan of [this.#tracker(), this.#partitions(), this.#revocations(), this.#looks()]) void plan;
    const end = clock.setTimeout(() => {}, duration);
    await clock.run(() => this.#violations.length > 0, duration);
    end.dispose();
    this.#ended = true;
    const trace = String(this.#world.random());
    return {
      seed: this.#seed,
      violations: this.#violations,
      events: this.#events,
      counts: this.#counts,
      trace,
    };
  }

  /** Closes whoever is left. */
  async dispose(): Promise<void> {
    this.#ended = true;
    for (const machine of this.#world.machines) if (machine.run) this.#world.kill(machine, 'power');
    await this.#world.clock.run(() => false, 1000);
  }

  #recruit(): void {
    const { members } = this.#options;
    const clock = new MachineClock(this.#world.clock);
    const { random } = this.#dice;
    const founder = seededIdentity(random);
    const founded = NetworkTrust.createNetwork(founder, 'sim', [TRACKER], { clock });
    this.#world.add(founder, founded, { outboundOnly: false, relays: true });
    for (let i = 1; i < members; i++) {
      const identity = seededIdentity(random);
      const invite = founded.createInvite({ inviterName: 'founder' });
      // A quarter is behind firewalls that let nothing in, and some do not relay for others.
      const is = { outboundOnly: i % 4 === 3, relays: i % 5 !== 4 };
      this.#world.add(identity, NetworkTrust.joinNetwork(identity, invite, { clock }), is);
    }
    const { machines } = this.#world;
    for (const machine of machines) {
      this.#offer(machine);
      // Most have met before. The others have but an invite: the tracker alone leads them to somebody.
      const hosts = machines.filter((other) => other !== machine && !other.outboundOnly && !isNewcomer(other));
      if (!isNewcomer(machine)) machine.disk.remember(hosts);
    }
  }

  #offer(machine: Machine): void {
    const { random } = this.#dice;
    const { info } = sampleVersion(random);
    const number = this.#listed.length;
    const entry: ShareEntry = {
      share: shareIdFromBytes(seededBytes(16, random)),
      infohash: info.infoHash,
      name: `share ${number} of ${machine.number}`,
      kind: 'file',
      size: info.files.reduce((sum, file) => sum + file.length, 0),
      files: 1,
      version: 1,
      time: Math.floor(this.#world.clock.wallTime()),
    };
    machine.shares = [...machine.shares, entry];
    machine.run?.node.setOwn(machine.shares, machine.holds);
    this.#listed.push({ owner: machine, entry, sources: new Map([[machine, this.#world.clock.now()]]) });
  }

  /** From now on the machine serves another's share, too. */
  #hold(machine: Machine): void {
    const known = this.#listed.filter(
      ({ owner, entry, sources }) =>
        !sources.has(machine) &&
        !owner.revoked &&
        machine.run?.node.directory.audienceOf(owner.identity.device, entry.share) !== undefined,
    );
    if (known.length === 0) return;
    const { owner, entry, sources } = this.#dice.pick(known);
    const { infohash, share } = entry;
    machine.holds = [...machine.holds, { infohash, share, owner: owner.identity.device, complete: true }];
    machine.run?.node.setOwn(machine.shares, machine.holds);
    sources.set(machine, this.#world.clock.now());
    this.#count('held');
  }

  /** One member's day. */
  async #live(machine: Machine): Promise<void> {
    const dice = this.#dice;
    const world = this.#world;
    // Some are there at the beginning; the others come in time.
    if (!dice.chance(0.2)) await world.after(dice.int(0, 16 * HOUR));
    while (!this.#ended && !machine.revoked) {
      this.#note(machine, 'starts');
      world.start(machine);
      this.#promise.cameUp(machine);
      const until = world.clock.now() + dice.magnitude(2 * MINUTE, 2 * HOUR);
      while (!this.#ended && !machine.revoked && world.clock.now() < until) {
        await world.after(dice.magnitude(5 * MINUTE, 2 * HOUR));
        if (this.#ended || machine.revoked) break;
        await this.#act(machine);
      }
      if (this.#ended) return;
      const how = dice.pick(['stop', 'stop', 'process', 'power'] as const);
      this.#note(machine, `ends: ${how}`);
      if (how === 'stop') world.stop(machine);
      else world.kill(machine, how);
      await world.after(dice.magnitude(dice.chance(0.3) ? 2_000 : 3 * HOUR, 12 * HOUR));
      // At home it has another address than at work.
      if (dice.chance(0.15)) world.move(machine);
    }
  }

  async #act(machine: Machine): Promise<void> {
    const dice = this.#dice;
    const world = this.#world;
    if (dice.chance(0.25)) {
      this.#note(machine, 'sleeps');
      world.sleep(machine);
      await world.after(dice.magnitude(10_000, 3 * HOUR));
      if (this.#ended) return;
      this.#note(machine, 'wakes');
      world.wake(machine);
      this.#promise.cameUp(machine);
    } else if (dice.chance(0.1)) {
      this.#note(machine, 'moves');
      world.move(machine);
      this.#promise.cameUp(machine);
    } else if (dice.chance(0.3)) {
      this.#note(machine, 'offers more');
      this.#offer(machine);
    } else {
      this.#hold(machine);
    }
  }

  /** It is dead for a third of the day. */
  async #tracker(): Promise<void> {
    const { duration } = this.#options;
    await this.#world.after(duration * (0.1 + 0.4 * this.#dice.random()));
    this.#say('the tracker dies');
    this.#world.trackerUp = false;
    await this.#world.after(duration / 3);
    this.#say('the tracker is back');
    this.#world.trackerUp = true;
    this.#promise.trackerIsBack();
  }

  async #partitions(): Promise<void> {
    const world = this.#world;
    for (;;) {
      await world.after(this.#dice.int(1 * HOUR, 6 * HOUR));
      if (this.#ended) return;
      const border = this.#dice.int(1, this.#options.members - 1);
      this.#count('cuts');
      this.#say(`the network is cut before machine ${border}`);
      world.part((machine) => (machine.number < border ? 0 : 1));
      this.#promise.sidesChanged();
      await world.after(this.#dice.magnitude(10_000, HOUR));
      if (this.#ended) return;
      this.#say('the network is whole');
      world.heal();
      this.#promise.sidesChanged();
    }
  }

  async #revocations(): Promise<void> {
    const world = this.#world;
    for (;;) {
      await world.after(this.#dice.int(2 * HOUR, 8 * HOUR));
      const [founder, ...others] = world.machines;
      while (!this.#ended && founder && !world.isUp(founder)) await world.after(MINUTE);
      if (this.#ended || !founder) return;
      const evicted = this.#dice.pick(others.filter((machine) => !machine.revoked));
      this.#count('revoked');
      this.#say(`machine ${evicted.number} is revoked`);
      founder.trust.revoke(evicted.identity.device);
      evicted.revoked = true;
      // What it does from now on is not looked at, only that nobody deals with it.
      for (const { sources } of this.#listed) sources.delete(evicted);
    }
  }

  async #looks(): Promise<void> {
    for (;;) {
      await this.#world.after(this.#dice.int(MINUTE, 12 * MINUTE));
      if (this.#ended) return;
      this.#look();
    }
  }

  /** Looks whether every member sees what it should, and has each of them fetch something. */
  #look(): void {
    this.#count('looks');
    for (const machine of this.#world.machines) {
      const { run } = machine;
      if (!run || !this.#promise.isSettled(machine)) continue;
      this.#count('members looked at');
      const reachable: Listed[] = [];
      for (const listed of this.#listed) {
        if (listed.owner.revoked || this.#promise.sourcesFor(machine, listed.sources).length === 0) continue;
        this.#count('shares looked at');
        const problem = this.#unlisted(run, listed);
        if (problem !== undefined) this.#violate(machine, `${listed.entry.name}: ${problem}`);
        reachable.push(listed);
      }
      this.#lookAtRevoked(run);
      if (reachable.length > 0) void this.#fetch(run, this.#dice.pick(reachable));
    }
  }

  #unlisted({ node }: Run, { owner, entry, sources }: Listed): string | undefined {
    if (node.directory.audienceOf(owner.identity.device, entry.share) === undefined) return 'is not listed';
    const holders = new Set(
      node.directory.holdersOf(entry.infohash).flatMap((holder) => (holder.complete ? peerKey(holder) : [])),
    );
    const live = [...sources.keys()].filter((source) => this.#world.isUp(source));
    if (live.some(({ identity, instance }) => holders.has(peerKey({ device: identity.device, instance })))) return;
    return `no live source is known, of ${live.map(({ number }) => number).join(', ')}`;
  }

  #lookAtRevoked({ machine, node }: Run): void {
    for (const other of this.#world.machines) {
      const { device } = other.identity;
      if (!other.revoked || !machine.trust.isRevoked(device)) continue;
      this.#count('revoked looked at');
      const isListed = node.directory.catalogues().some((catalogue) => catalogue.device === device);
      if (isListed || node.directory.isConnected({ device, instance: other.instance }))
        this.#violate(machine, `deals with ${other.number}, which it knows to be revoked`);
    }
  }

  /** Reads all of a share, as long as it should be reachable. */
  async #fetch(run: Run, listed: Listed): Promise<void> {
    const { clock } = this.#world;
    const { machine } = run;
    const { name, infohash } = listed.entry;
    const key = `${machine.number} ${name}`;
    if (this.#fetching.has(key)) return;
    this.#fetching.add(key);
    const sources = (): Machine[] => this.#promise.sourcesFor(machine, listed.sources);
    const isRelayed = machine.outboundOnly && sources().every(({ outboundOnly }) => outboundOnly);
    const started = clock.now();
    const { done, end } = run.swarms.fetch(infohash);
    const isPromised = (): boolean => machine.run === run && sources().length > 0;
    while (!this.#ended && !done() && isPromised() && clock.now() - started < WITHIN) await this.#world.after(500);
    end();
    this.#fetching.delete(key);
    if (this.#ended) return;
    if (!done() && !isPromised()) {
      this.#count('fetches given up, as sources went');
      return;
    }
    if (!done()) this.#violate(machine, `${name} could not be fetched within a minute`);
    this.#count(isRelayed ? 'fetched by a relay' : 'fetched');
    const slowest = isRelayed ? 'slowest by a relay' : 'slowest';
    this.#counts[slowest] = Math.max(this.#counts[slowest] ?? 0, Math.round(clock.now() - started));
  }

  #violate(machine: Machine, what: string): void {
    this.#violations.push(`${this.#time()} machine ${machine.number}: ${what}`);
  }

  #note(machine: Machine, what: string): void {
    this.#count(what.split(/[: ]\d*/)[0] ?? what);
    this.#say(`machine ${machine.number}${machine.outboundOnly ? ' (outbound only)' : ''} ${what}`);
  }

  #say(what: string): void {
    this.#events.push(`${this.#time()} ${what}`);
  }

  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1;
  }

  #time(): string {
    return new Date(this.#world.clock.now()).toISOString().slice(11, 23);
  }
}

/** Some that can be dialled, and some that cannot. */
function isNewcomer({ number }: Machine): boolean {
  return number % 10 === 6 || number % 20 === 19;
}
