import type { LinkPlan, PeerPlan, Scenario } from './scenario.ts';

/** The request window of a young connection, in bytes: what bounds the rate of a long way. */
const WINDOW = 256 * 1024;

export interface Expectation {
  /** Names of the peers that must complete. */
  readonly completers: ReadonlySet<string>;
  /** By when, in ms. */
  readonly within: number;
}

/**
 * Who must have everything, and until when. Each honest peer that stays (or comes back) and is joined by such peers and
 * living links to one that has everything must; the time is twice what the best way takes when each peer on it first gets
 * all and then passes it on, sharing its uplink evenly, and what the faults may cost.
 */
export function expectationOf(scenario: Scenario): Expectation {
  const { peers, links, sizes, pieceLength } = scenario;
  const size = sizes.reduce((sum, length) => sum + length, 0);
  const pieces = sizes.reduce((sum, length) => sum + Math.ceil(length / pieceLength), 0);
  const dead = new Set(scenario.faults.filter(({ kind }) => kind === 'dead').map(({ link }) => link));
  const degree = peers.map((_, index) => links.filter(({ from, to }) => from === index || to === index).length);
  const costs = peers.map((plan) =>
    plan.role === 'seed' && stays(plan) && reads(plan) ? 0 : Number.POSITIVE_INFINITY,
  );

  const hop = (from: number, to: number, link: LinkPlan): number => {
    const giver = peers[from];
    const taker = peers[to];
    if (!giver || !taker || !stays(taker) || !stays(giver) || !passesOn(giver)) return Number.POSITIVE_INFINITY;
    const wire = link.from === from ? link.rate : (link.back ?? link.rate);
    const rates = [
      wire,
      giver.upload / (degree[from] ?? 1),
      taker.download,
      bounded(WINDOW, link),
      bounded(link.window ?? 0, link),
    ];
    const rate = Math.min(...rates.filter((one) => one > 0));
    const parallel = Math.max(1, taker.budget / pieceLength / 2);
    const handling = pieces * ((taker.disk + taker.hashing + 2 * link.latency) / parallel + giver.disk);
    return (size / rate) * 1_000 + handling + 20 * link.latency;
  };
  // Bellman and Ford; there are few peers.
  for (let round = 0; round < peers.length; round++) {
    for (const [index, link] of links.entries()) {
      if (dead.has(index)) continue;
      for (const [from, to] of [
        [link.from, link.to],
        [link.to, link.from],
      ] as const) {
        const cost = (costs[from] ?? 0) + hop(from, to, link);
        if (cost < (costs[to] ?? 0)) costs[to] = cost;
      }
    }
  }
  const completers = peers.filter((plan, index) => Number.isFinite(costs[index]) && writes(plan));
  const ideal = Math.max(0, ...costs.filter(Number.isFinite));
  return {
    completers: new Set(completers.map(({ name }) => name)),
    within: 2 * ideal + 5_000 + lateness(scenario),
  };
}

/** Bytes per second when so much may be on its way; 0 when that is not the bound. */
function bounded(window: number, { latency }: LinkPlan): number {
  return latency > 0 && Number.isFinite(window) ? (window / (2 * latency)) * 1_000 : 0;
}

function stays(plan: PeerPlan): boolean {
  return plan.lie === undefined && (plan.leaves === undefined || plan.returns !== undefined);
}

function reads({ storageFault }: PeerPlan): boolean {
  return storageFault?.on !== 'read' || storageFault.until !== undefined;
}

/** What it gets, others can get from it. */
function passesOn(plan: PeerPlan): boolean {
  return reads(plan) && (plan.role === 'seed' || writes(plan));
}

function writes({ storageFault }: PeerPlan): boolean {
  return storageFault?.on !== 'write' || storageFault.until !== undefined;
}

/** Ms that an engine has patience with a peer that gives wrongly, slowly or nothing; twice, where that is in the middle of a block. */
const PATIENCE = {
  silent: 20_000,
  'never-reads': 25_000,
  late: 30_000,
  'wrong-bounds': 45_000,
  'half-blocks': 60_000,
  trickles: 60_000,
} as const;

/**
 * What faults may cost, in ms: the last planned change, and the longest patience that the engine has with any of them.
 * They cost time side by side; for those in a row each adds something.
 */
function lateness({ peers, faults }: Scenario): number {
  let last = 0;
  const costs: number[] = [];
  for (const plan of peers) {
    const { lie, joins, leaves, returns, storageFault, hashFailure } = plan;
    if (lie === undefined) last = Math.max(last, joins, returns ?? leaves ?? 0, storageFault?.until ?? 0);
    else costs.push(new Map<string, number>(Object.entries(PATIENCE)).get(lie) ?? 5_000);
    if (storageFault || hashFailure !== undefined) costs.push(12_000);
    if (returns !== undefined) costs.push(5_000);
  }
  for (const { kind, ms } of faults) costs.push(kind === 'hold' ? ms + 2_000 : kind === 'cut' ? 5_000 : 50_000);
  return last + Math.max(0, ...costs) + 1_000 * costs.length;
}
