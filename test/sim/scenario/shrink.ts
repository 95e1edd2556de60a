import type { Outcome } from './run-scenario.ts';
import type { LinkPlan, PeerPlan, Scenario } from './scenario.ts';

/** What of a scenario can be left out, by names that stay the same however much is left out. */
function partsOf({ peers, links, faults }: Scenario): string[] {
  return [
    ...faults.map((_, index) => `fault${index}`),
    ...peers.filter(({ lie }) => lie !== undefined).map(({ name }) => name),
    ...peers.filter(({ lie }) => lie === undefined).map(({ name }) => name),
    ...peers.flatMap(({ name, reads, storageFault, hashFailure, leaves, returns }) => [
      ...(reads ? [`${name}.reads`] : []),
      ...(storageFault ? [`${name}.storageFault`] : []),
      ...(hashFailure === undefined ? [] : [`${name}.hashFailure`]),
      ...(leaves === undefined ? [] : [`${name}.leaves`]),
      ...(returns === undefined ? [] : [`${name}.returns`]),
    ]),
    ...links.map((link) => nameOf(link, peers)),
  ];
}

function nameOf({ from, to }: LinkPlan, peers: readonly PeerPlan[]): string {
  return `${peers[from]?.name}-${peers[to]?.name}`;
}

/** The scenario without these parts. */
export function without(scenario: Scenario, parts: readonly string[]): Scenario {
  const left = new Set(parts);
  const peers = scenario.peers
    .filter(({ name }) => !left.has(name))
    .map(({ reads, storageFault, hashFailure, leaves, returns, ...plan }): PeerPlan => {
      const keeps = (part: string): boolean => !left.has(`${plan.name}.${part}`);
      return {
        ...plan,
        ...(reads && keeps('reads') ? { reads } : {}),
        ...(storageFault && keeps('storageFault') ? { storageFault } : {}),
        ...(hashFailure !== undefined && keeps('hashFailure') ? { hashFailure } : {}),
        ...(leaves !== undefined && keeps('leaves') ? { leaves } : {}),
        ...(leaves !== undefined && keeps('leaves') && returns !== undefined && keeps('returns') ? { returns } : {}),
      };
    });
  const place = new Map(peers.map(({ name }, index) => [name, index]));
  const placeOf = (index: number): number => place.get(scenario.peers[index]?.name ?? '') ?? -1;
  const links: LinkPlan[] = [];
  const linkPlace = new Map<number, number>();
  for (const [index, link] of scenario.links.entries()) {
    const [from, to] = [placeOf(link.from), placeOf(link.to)];
    if (from < 0 || to < 0 || left.has(nameOf(link, scenario.peers))) continue;
    linkPlace.set(index, links.length);
    links.push({ ...link, from, to });
  }
  const faults = scenario.faults.flatMap((fault, index) => {
    const link = linkPlace.get(fault.link);
    return link === undefined || left.has(`fault${index}`) ? [] : [{ ...fault, link }];
  });
  return { ...scenario, peers, links, faults };
}

/**
 * Leaves out one part after the other as long as the run fails in the same way. Returns what may be left out;
 * `attempts`: most runs.
 */
export async function shrink(
  scenario: Scenario,
  failure: Outcome,
  run: (scenario: Scenario) => Promise<Outcome>,
  attempts = 150,
): Promise<string[]> {
  const kind = kindOf(failure);
  let dropped: string[] = [];
  let tried = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (const part of partsOf(scenario)) {
      if (dropped.includes(part) || part.startsWith('seed0') || tried >= attempts) continue;
      tried++;
      const candidate = [...dropped, part];
      if (kindOf(await run(without(scenario, candidate))) !== kind) continue;
      dropped = candidate;
      changed = true;
    }
  }
  // What belongs to a peer goes with it.
  return dropped.filter((part) => !dropped.some((other) => part !== other && isPartOf(part, other)));
}

function isPartOf(part: string, peer: string): boolean {
  return part.startsWith(`${peer}.`) || part.startsWith(`${peer}-`) || part.endsWith(`-${peer}`);
}

/** The first violation without its numbers and names. */
function kindOf({ violations }: Outcome): string {
  return (violations[0] ?? '').replace(/\b(seed|receiver|newcomer|liar)?\d[\d.]*/g, '#');
}
