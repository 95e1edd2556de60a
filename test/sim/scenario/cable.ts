import { readHandshake } from '../../../src/bittorrent/incoming-wire.ts';
import type { Dice } from '../dice.ts';
import { type MemoryConnection, memoryPair } from '../memory-connection.ts';
import type { Simulation } from '../simulation.ts';
import type { EnginePeer } from './engine-peer.ts';
import type { Judge } from './judge.ts';
import { Liar } from './liar.ts';
import type { Run } from './run.ts';
import type { LinkFault, LinkPlan, PeerPlan } from './scenario.ts';
import type { Schedule } from './schedule.ts';
import { WireTap } from './wire-tap.ts';

/** Bytes that may wait in one connection: what the engine reads ahead for uploads, answers of other kinds, and requests. */
const MOST_QUEUED = 8 * 1024 * 1024;
/** How often who lies comes back. */
const LIAR_DIALS = 4;
const REDIAL_AFTER = 3_000;

/** Who is at an end of a cable: with an engine, or without one. */
export type End = EnginePeer | PeerPlan;

function isEngine(end: End): end is EnginePeer {
  return 'plan' in end;
}

/** The path between two peers, and whatever connection is open on it: dialled again when it was lost. */
export class Cable {
  readonly #plan: LinkPlan;
  readonly #from: End;
  readonly #to: EnginePeer;
  readonly #sim: Simulation;
  readonly #schedule: Schedule;
  readonly #judge: Judge;
  readonly #dice: Dice;
  readonly #onDelivery: (chunk: Buffer) => void;
  #pair: [MemoryConnection, MemoryConnection] | undefined;
  #dials = 0;
  #redialling = false;
  #ended = false;

  constructor(plan: LinkPlan, ends: { from: End; to: EnginePeer }, run: Run) {
    this.#plan = plan;
    this.#from = ends.from;
    this.#to = ends.to;
    this.#sim = run.sim;
    this.#schedule = run.schedule;
    this.#judge = run.judge;
    this.#dice = run.dice;
    this.#onDelivery = run.onDelivery;
  }

  /** Something changed at an end: dials if that makes sense and is not done yet. */
  dial(): void {
    const to = this.#to.peer;
    if (this.#ended || !to || this.#isOpen || this.#redialling) return;
    const from = this.#from;
    if (isEngine(from) ? !from.peer || !(from.needs || this.#to.needs) : this.#dials >= LIAR_DIALS) return;
    if (isEngine(from) && from.plan.lie !== undefined && this.#dials >= LIAR_DIALS) return;
    this.#dials++;
    const pair = memoryPair(this.#sim.clock, this.#plan, this.#sim.random);
    this.#pair = pair;
    this.#watch(pair[0], from, this.#to.name);
    this.#watch(pair[1], this.#to, from.name);
    if (isEngine(from)) from.peer?.swarm.initiate(pair[0], this.#to.name);
    else if (from.lie) new Liar(from.lie, this.#sim.version, pair[0], this.#sim.clock, this.#dice);
    readHandshake(pair[1], this.#sim.clock).then(
      (incoming) => to.swarm.accept(incoming, from.name),
      () => undefined, // Closed before its handshake: who dialled hears it too.
    );
  }

  fail(fault: LinkFault): void {
    const pair = this.#pair;
    if (!pair || !this.#isOpen) return;
    const end = pair[fault.back ? 0 : 1];
    this.#judge.log(`${this.#from.name} – ${this.#to.name}: ${fault.kind} ${fault.ms || ''}`);
    if (fault.kind === 'cut') end.cut();
    else if (fault.kind === 'dead') for (const one of pair) one.stalled = true;
    else {
      end.hold();
      this.#schedule.after(fault.ms, () => end.release());
    }
  }

  /** No more dialling; what is open is closed by its ends. */
  end(): void {
    this.#ended = true;
    if (!isEngine(this.#from)) this.#pair?.[0].close();
  }

  leftovers(): string[] {
    return (this.#pair ?? []).filter((end) => !end.closed).map(() => `${this.#from.name} – ${this.#to.name} is open`);
  }

  get #isOpen(): boolean {
    return this.#pair?.some((end) => !end.closed) === true;
  }

  #watch(end: MemoryConnection, owner: End, other: string): void {
    const who = `${owner.name} → ${other}`;
    const honest = isEngine(owner) && owner.plan.lie === undefined ? owner : undefined;
    const tap = honest?.peer && new WireTap(this.#judge, who, honest.peer, honest.takeovers, this.#sim.clock);
    end.onWrite = (chunks) => tap?.written(chunks);
    end.onLeave = (bytes) => {
      tap?.sent(bytes);
      if (tap) this.#judge.reach('sendQueue', end.writableLength, MOST_QUEUED, () => who);
    };
    end.onDeliver = (chunk) => {
      tap?.read(chunk);
      this.#onDelivery(chunk);
    };
    end.onClosed = (reason) => {
      this.#judge.log(`${who} closed${reason ? `: ${reason.message}` : ''}`);
      if (this.#isOpen || this.#ended) return;
      this.#redialling = true;
      this.#schedule.after(REDIAL_AFTER, () => {
        this.#redialling = false;
        this.dial();
      });
    };
  }
}
