import { crc32 } from 'node:zlib';
import { Dice } from '../dice.ts';
import { Simulation } from '../simulation.ts';
import { Cable, type End } from './cable.ts';
import { EnginePeer } from './engine-peer.ts';
import { expectationOf } from './expectation.ts';
import { Judge, type Maxima } from './judge.ts';
import { hasEngine, sendsWrongBytes } from './lies.ts';
import type { Run } from './run.ts';
import type { Scenario } from './scenario.ts';
import { Schedule } from './schedule.ts';

export interface Outcome {
  readonly seed: number;
  /** Empty: the run is as it should be. */
  readonly violations: readonly string[];
  /** What happened last. */
  readonly events: readonly string[];
  /** Over everything that was delivered, and when: two runs of a seed have the same. */
  readonly trace: number;
  /** Ms of virtual time until all were complete, and that it may have taken. */
  readonly took: number;
  readonly within: number;
  readonly maxima: Maxima;
  /** Bytes that came and were not needed, as part of those needed; without faults it has a bound. */
  readonly waste: number;
}

/**
 * Runs a scenario to its end under a virtual clock. Everything in it follows from the scenario alone. `breakIt`, for tests
 * of the judge: called when the first peers have come.
 */
export async function runScenario(
  scenario: Scenario,
  verbose = false,
  breakIt: (run: Run) => void = () => {},
): Promise<Outcome> {
  const sim = new Simulation(scenario.seed, scenario.sizes, scenario.pieceLength);
  const judge = new Judge(sim.version, sim.clock, verbose);
  const dice = new Dice(scenario.seed ^ 0x5eed);
  const expected = expectationOf(scenario);
  const onRejection = (error: unknown): void =>
    judge.violation(
      `An unhandled rejection: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  process.on('unhandledRejection', onRejection);
  let trace = 0;
  const onDelivery = (chunk: Buffer): void => {
    trace = crc32(chunk, (trace + Math.round(sim.clock.now() * 1_000)) >>> 0);
  };

  const schedule = new Schedule(sim.clock);
  const run: Run = { sim, schedule, judge, dice, onDelivery };
  const cables: Cable[] = [];
  const dialAll = (): void => {
    for (const cable of cables) cable.dial();
  };
  const ends = scenario.peers.map(
    (plan): End => (plan.lie !== undefined && !hasEngine(plan.lie) ? plan : new EnginePeer(plan, run, dialAll)),
  );
  const engines = ends.filter((end) => end instanceof EnginePeer);
  for (const plan of scenario.links) {
    const [from, to] = [ends[plan.from], ends[plan.to]];
    if (from && to instanceof EnginePeer) cables.push(new Cable(plan, { from, to }, run));
  }
  for (const peer of engines) {
    const { joins, leaves, returns } = peer.plan;
    schedule.after(joins, () => peer.come());
    if (leaves !== undefined) schedule.after(leaves, () => peer.go());
    if (returns !== undefined) schedule.after(returns, () => peer.come());
  }
  for (const fault of scenario.faults) schedule.after(fault.at, () => cables[fault.link]?.fail(fault));

  schedule.after(0, () => breakIt(run));

  const completers = engines.filter(({ name }) => expected.completers.has(name));
  const isOver = (): boolean => judge.violations.length > 0 || completers.every((peer) => peer.peer && peer.complete);
  if (!(await sim.clock.run(isOver, expected.within))) {
    for (const peer of completers)
      if (!peer.complete)
        judge.violation(`${peer.name} misses ${peer.missing} pieces after ${(expected.within / 1000).toFixed(1)} s`);
  }
  const took = sim.clock.now();
  // What is on its way arrives, liars have another go.
  await sim.clock.run(() => judge.violations.length > 0, 2_000);
  // Who is to blame is asked of others, one after the other.
  await sim.clock.run(() => judge.violations.length > 0 || engines.every((peer) => isBlamed(peer)), BLAME_WITHIN);
  judgeBans(scenario, engines, judge);
  for (const peer of completers)
    if (peer.peer && peer.complete && !sim.isComplete(peer.peer)) judge.violation(`${peer.name} has wrong bytes`);
  const waste = judgeWaste(scenario, ends, judge);

  schedule.dispose();
  for (const cable of cables) cable.end();
  for (const peer of engines) peer.go();
  await judgeLeaks(sim, engines, cables, judge);
  process.off('unhandledRejection', onRejection);
  const { violations, events, maxima } = judge;
  return { seed: scenario.seed, violations, events, trace: trace >>> 0, took, within: expected.within, maxima, waste };
}

/**
 * In the endgame those that are done with theirs are asked for what another has not sent: for so many blocks of it, and of
 * so many others besides, at most.
 */
const ENDGAME_BLOCKS = 28;
const ENDGAME_PEERS = 7;

/** Ms that it may take to find out who sent what was wrong. */
const BLAME_WITHIN = 60_000;

/** No honest peer is banned by another; who sent a wrong block that was noticed is. */
function judgeBans(scenario: Scenario, engines: readonly EnginePeer[], judge: Judge): void {
  const honest = engines.filter(({ plan }) => plan.lie === undefined);
  const wrong = scenario.peers.filter(({ lie }) => lie !== undefined && sendsWrongBytes(lie));
  for (const { peer, plan, name, wrongPieces, banned } of honest) {
    if (!peer) continue;
    for (const other of honest)
      if (peer.swarm.isBanned(other.name)) judge.violation(`${name} banned ${other.name}, who is honest`);
    if (wrongPieces > 0 && wrong.length === 0) judge.violation(`${name} got wrong bytes, and nobody lies`);
    if (!isBlamed({ plan, wrongPieces, banned }))
      judge.violation(`${name} got ${wrongPieces} wrong pieces and banned nobody`);
  }
}

/** One or two wrong pieces may be of senders who are gone. */
function isBlamed({ plan, wrongPieces, banned }: Pick<EnginePeer, 'plan' | 'wrongPieces' | 'banned'>): boolean {
  return plan.lie !== undefined || wrongPieces <= 2 || banned.size > 0;
}

/** Without faults no byte comes twice before the endgame, but what is taken over; and none at all from an only source. */
function judgeWaste(scenario: Scenario, ends: readonly End[], judge: Judge): number {
  const size = scenario.sizes.reduce((sum, length) => sum + length, 0);
  const calm = scenario.faults.length === 0 && scenario.peers.every((plan) => isCalm(plan));
  let needed = 0;
  let wasted = 0;
  for (const peer of ends) {
    if (!(peer instanceof EnginePeer) || peer.plan.role === 'seed' || !peer.complete) continue;
    const waste = peer.fetched - (size - peer.hadAtStart);
    needed += size - peer.hadAtStart;
    wasted += waste;
    const neighbors = scenario.links.filter(({ from, to }) => ends[from] === peer || ends[to] === peer).length;
    const others = Math.min(Math.max(0, neighbors - 1), ENDGAME_PEERS);
    // Of a slow one's what had left when a faster one took it over comes, too.
    const crossed = others > 0 ? Math.min(size, peer.takeovers.crossed) : 0;
    const most = others * Math.min(size, ENDGAME_BLOCKS * 16_384) + crossed;
    if (calm && waste > most) judge.violation(`${peer.name} fetched ${waste} bytes too many of ${size}`);
  }
  return needed === 0 ? 0 : wasted / needed;
}

function isCalm({ lie, leaves, storageFault, hashFailure }: Scenario['peers'][number]): boolean {
  return lie === undefined && leaves === undefined && storageFault === undefined && hashFailure === undefined;
}

/** After everybody went, nothing is left: no timer, no open connection, no memory, nobody waiting. */
async function judgeLeaks(
  sim: Simulation,
  engines: readonly EnginePeer[],
  cables: readonly Cable[],
  judge: Judge,
): Promise<void> {
  // Disks, hashers and the last bytes take their time.
  await sim.clock.run(() => false, 500);
  if (sim.clock.pending > 0) judge.violation(`${sim.clock.pending} timers were left`);
  for (const peer of sim.peers) {
    if (peer.buffers.used !== 0) judge.violation(`${peer.name} kept ${peer.buffers.used} bytes of buffers`);
    if (peer.swarm.connectedSources.size > 0) judge.violation(`${peer.name} kept sessions`);
  }
  for (const left of [...engines, ...cables].flatMap((one) => one.leftovers())) judge.violation(left);
}
