import { readHandshake } from '../../../src/bittorrent/incoming-wire.ts';
import { RateLimiter } from '../../../src/bittorrent/rate-limiter.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { type DeviceId, type PeerInstance, parsePeerInstance } from '../../../src/common/ids.ts';
import { silentLogger } from '../../../src/common/log.ts';
import type { HoldEntry, ShareEntry } from '../../../src/peer/network/catalogue.ts';
import type { MemberChannel } from '../../../src/peer/network/channel.ts';
import type { DialTarget } from '../../../src/peer/network/dialer.ts';
import { NetworkNode } from '../../../src/peer/network/network-node.ts';
import { RelayHost } from '../../../src/peer/network/relay/relay-host.ts';
import { NetworkTrust } from '../../../src/peer/trust/membership.ts';
import type { Identity } from '../../../src/transport/identity.ts';
import type { AnnounceRequest, AnnounceResult } from '../../../src/transport/tracker-client.ts';
import { type MemoryConnection, memoryPair } from '../memory-connection.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { MachineClock, MemoryState, PORT, seededBytes } from './machine.ts';
import { meetByRelay } from './relayed-end.ts';
import { SampleSwarms } from './sample-swarms.ts';

const MINUTE = 60_000;
/** What many trackers ask for, in ms; whom they have not heard of for twice as long they forget. */
const TRACKER_INTERVAL = 30 * MINUTE;
/** Milliseconds until a dial that nobody answers gives up, as `dial` of the transport does. */
const DIAL_TIMEOUT = 10_000;

/** A device of the team: what stays when its program ends. */
export interface Machine {
  readonly number: number;
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly disk: MemoryState;
  readonly outboundOnly: boolean;
  /** Its user lets it relay for others. */
  readonly relays: boolean;
  host: string;
  trust: NetworkTrust;
  shares: ShareEntry[];
  holds: HoldEntry[];
  /** It has no power: packets to it are lost, nobody refuses them. */
  dark: boolean;
  revoked: boolean;
  run: Run | undefined;
}

/** One run of the program on a machine. */
export interface Run {
  readonly machine: Machine;
  readonly clock: MachineClock;
  readonly node: NetworkNode;
  readonly relay: RelayHost | undefined;
  readonly swarms: SampleSwarms;
}

/** What a world can lack, though it says that it is there: to see that somebody notices. */
export type Lack = 'relay' | 'memory' | 'tracker';

export type End = MemoryConnection & MemberChannel;

interface Wire {
  readonly ends: readonly [{ readonly run: Run; readonly end: End }, { readonly run: Run; readonly end: End }];
}

/** Machines, a tracker, and the wires between them: whatever a program cannot choose. */
export class ChurnWorld {
  readonly clock = new VirtualClock(1);
  readonly random: () => number;
  readonly #lacks: readonly Lack[];
  readonly machines: Machine[] = [];
  trackerUp = true;
  onWarning: (text: string) => void = () => {};
  /** Machines of different sides do not reach each other. */
  side = (_machine: Machine): number => 0;
  #wires: Wire[] = [];
  readonly #tracked = new Map<string, Map<string, { host: string; port: number; at: number }>>();
  #hosts = 0;

  constructor(random: () => number, lacks: readonly Lack[] = []) {
    this.random = random;
    this.#lacks = lacks;
  }

  add(identity: Identity, trust: NetworkTrust, is: Pick<Machine, 'outboundOnly' | 'relays'>): Machine {
    const machine: Machine = {
      ...is,
      number: this.machines.length,
      identity,
      instance: parsePeerInstance(seededBytes(8, this.random).toString('hex')),
      disk: new MemoryState(),
      host: this.newHost(),
      trust,
      shares: [],
      holds: [],
      dark: false,
      revoked: false,
      run: undefined,
    };
    this.machines.push(machine);
    return machine;
  }

  newHost(): string {
    this.#hosts++;
    return `10.0.${this.#hosts >> 8}.${this.#hosts & 255}`;
  }

  /** Starts the program, with what the machine remembers. */
  start(machine: Machine): void {
    if (machine.run) throw new Error('It runs already.');
    const clock = new MachineClock(this.clock);
    machine.dark = false;
    machine.trust = NetworkTrust.load(machine.identity, machine.trust.serialize(), { clock });
    const upload = new RateLimiter(clock);
    const relay =
      machine.relays && !this.#lacks.includes('relay')
        ? new RelayHost({ clock, logger: silentLogger, upload })
        : undefined;
    const node = new NetworkNode({
      identity: machine.identity,
      instance: machine.instance,
      deviceName: `machine ${machine.number}`,
      trust: machine.trust,
      store: this.#lacks.includes('memory') ? new MemoryState() : machine.disk,
      clock,
      logger: { ...silentLogger, warn: (text) => this.onWarning(`machine ${machine.number} warns: ${text}`) },
      listenPort: () => (machine.outboundOnly ? undefined : PORT),
      version: '0',
      random: this.random,
      dial: (target) => this.#dial(run, target),
      announce: (request) => this.#announce(run, request),
      relay,
      acceptRelayed: (channel) => this.#arrive(run, channel),
      secureRelayed: (role, channel, _head, expect) => meetByRelay(role, channel, expect, machine),
    });
    const run: Run = { machine, clock, node, relay, swarms: new SampleSwarms(node, machine, clock, this.random) };
    machine.run = run;
    node.setOwn(machine.shares, machine.holds);
    void node.start();
  }

  /** Ends the program as a person does: trackers and peers hear of it. */
  stop(machine: Machine): void {
    const run = take(machine);
    run.swarms.dispose();
    run.relay?.dispose();
    void run.node.close().then(() => run.clock.kill());
  }

  /** Ends it without a word. With the power gone, nothing refuses what others send. */
  kill(machine: Machine, how: 'process' | 'power'): void {
    const run = take(machine);
    run.clock.kill();
    machine.dark = how === 'power';
    for (const { mine, other } of this.#wiresOf(run)) {
      mine.closed = true;
      if (how === 'process') this.#later(() => other.closedByOther());
    }
  }

  sleep(machine: Machine): void {
    const { run } = machine;
    run?.clock.sleep();
    if (run) for (const { mine } of this.#wiresOf(run)) mine.hold();
  }

  wake(machine: Machine): void {
    const { run } = machine;
    run?.clock.wake();
    if (run) for (const { mine } of this.#wiresOf(run)) mine.release();
  }

  /** The machine gets another address: its connections are dead, which nobody tells anyone. */
  move(machine: Machine): void {
    machine.host = this.newHost();
    const { run } = machine;
    if (!run) return;
    for (const { mine, other } of this.#wiresOf(run)) mine.stalled = other.stalled = true;
    this.clock.setTimeout(() => {
      if (machine.run === run) run.node.networkChanged();
    }, 2_000);
  }

  /** Cuts the network between the sides; what was sent arrives when the network is whole again, as TCP has it. */
  part(side: (machine: Machine) => number): void {
    this.side = side;
    for (const { ends } of this.#live()) {
      const [a, b] = ends;
      if (side(a.run.machine) === side(b.run.machine)) continue;
      a.end.hold();
      b.end.hold();
    }
  }

  heal(): void {
    this.side = () => 0;
    for (const { ends } of this.#live()) {
      for (const { run, end } of ends) if (!run.clock.asleep) this.#later(() => end.release());
    }
  }

  isUp(machine: Machine): boolean {
    return machine.run !== undefined && !machine.run.clock.asleep;
  }

  after(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimeout(resolve, ms));
  }

  #unanswered(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.dispose();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = this.clock.setTimeout(end, DIAL_TIMEOUT);
      signal.addEventListener('abort', end);
    });
  }

  #later(action: () => void): void {
    this.clock.setTimeout(action, 20 + 200 * this.random());
  }

  #live(): readonly Wire[] {
    this.#wires = this.#wires.filter(({ ends }) => !(ends[0].end.closed && ends[1].end.closed));
    return this.#wires;
  }

  *#wiresOf(run: Run): Generator<{ mine: End; other: End }> {
    for (const { ends } of this.#live()) {
      const [a, b] = ends;
      if (a.run === run) yield { mine: a.end, other: b.end };
      else if (b.run === run) yield { mine: b.end, other: a.end };
    }
  }

  async #announce({ machine, clock }: Run, request: AnnounceRequest): Promise<AnnounceResult> {
    await this.after(20 + 100 * this.random());
    if (clock.dead) return await new Promise(() => {});
    if (!this.trackerUp || this.#lacks.includes('tracker'))
      throw new PeerwireError('connection', 'The tracker is down.');
    const hash = Buffer.from(request.infoHash20).toString('hex');
    const swarm = this.#tracked.get(hash) ?? new Map<string, { host: string; port: number; at: number }>();
    this.#tracked.set(hash, swarm);
    const now = this.clock.now();
    for (const [id, { at }] of swarm) if (now - at > 2 * TRACKER_INTERVAL) swarm.delete(id);
    const id = String(machine.number);
    if (request.event === 'stopped') swarm.delete(id);
    else if (request.port > 0) swarm.set(id, { host: machine.host, port: request.port, at: now });
    const peers = [...swarm].filter(([other]) => other !== id).map(([, { host, port }]) => ({ host, port }));
    return { interval: TRACKER_INTERVAL, peers };
  }

  /** What the transport does: both sides see each other's credentials, then each has one end. */
  async #dial(from: Run, { host, port, signal, expectDevice }: DialTarget): Promise<MemberChannel> {
    const latency = 5 + 40 * this.random();
    await this.after(2 * latency);
    // Killed meanwhile: its program must not go on.
    if (from.clock.dead) return await new Promise(() => {});
    const machine = this.machines.find((candidate) => candidate.host === host);
    if (machine === from.machine) throw new PeerwireError('exists', 'ourselves');
    const isReached =
      machine !== undefined &&
      !machine.dark &&
      this.side(machine) === this.side(from.machine) &&
      machine.run?.clock.asleep !== true;
    if (!isReached) {
      await this.#unanswered(signal);
      if (from.clock.dead) return await new Promise(() => {});
      throw new PeerwireError('timeout', 'Nobody answers.');
    }
    const to = machine.run;
    if (to === undefined || machine.outboundOnly || port !== PORT) throw new PeerwireError('connection', 'refused');
    if (signal.aborted) throw new PeerwireError('cancelled', 'cancelled');
    if (expectDevice !== undefined && expectDevice !== machine.identity.device) {
      throw new PeerwireError('protocol', 'another device');
    }
    admit(from.machine, machine);
    const [mine, theirs] = memoryPair(this.clock, { latency, rate: 0 }, this.random);
    const ends = [
      { run: from, end: asChannel(mine, machine, true) },
      { run: to, end: asChannel(theirs, from.machine, false) },
    ] as const;
    this.#wires.push({ ends });
    this.#wire(ends[0], ends[1]);
    this.#wire(ends[1], ends[0]);
    this.#arrive(to, ends[1].end);
    return ends[0].end;
  }

  /** What a listener hands on goes where its handshake says. */
  #arrive({ machine, clock, node, swarms }: Run, channel: MemberChannel): void {
    readHandshake(channel, clock).then(
      (incoming) => {
        if (clock.dead) return;
        if (incoming.handshake.infoHash.equals(machine.trust.controlInfoHash)) node.acceptControl(channel, incoming);
        else if (!node.acceptRelay(channel, incoming)) swarms.accept(channel, incoming);
      },
      () => channel.close(),
    );
  }

  /** That the other end is gone is heard only by whom its packets reach; by others when they next send something. */
  #wire({ run, end }: Wire['ends'][number], { run: otherRun, end: other }: Wire['ends'][number]): void {
    const isWhole = (): boolean =>
      !end.stalled &&
      !run.clock.asleep &&
      !otherRun.machine.dark &&
      this.side(run.machine) === this.side(otherRun.machine);
    const closedByOther = end.closedByOther.bind(end);
    end.closedByOther = () => {
      if (isWhole()) closedByOther();
    };
    end.onWrite = () => {
      if (!other.closed) return;
      this.#later(() => {
        if (isWhole()) end.close(new PeerwireError('connection', 'The connection was reset.'));
      });
    };
  }
}

function take(machine: Machine): Run {
  const { run } = machine;
  if (!run) throw new Error('It does not run.');
  machine.run = undefined;
  return run;
}

function admit(one: Machine, other: Machine): void {
  for (const [judge, stranger] of [
    [one, other],
    [other, one],
  ] as const) {
    const { device, spki } = stranger.identity;
    if (judge.trust.isRevoked(device)) throw new PeerwireError('revoked', 'revoked');
    const { countersignature } = judge.trust.admit(device, spki, stranger.trust.credentials());
    if (countersignature) stranger.trust.acceptCountersignature(countersignature);
  }
}

function asChannel(connection: MemoryConnection, peer: Machine, initiator: boolean): End {
  const device: DeviceId = peer.identity.device;
  return Object.assign(connection, {
    device,
    instance: peer.instance,
    network: peer.trust.network,
    initiator,
    remoteAddress: peer.host,
    remotePort: initiator ? PORT : 50_000,
  });
}
