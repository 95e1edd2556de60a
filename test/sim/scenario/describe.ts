import type { LinkPlan, PeerPlan, Scenario } from './scenario.ts';

/** A scenario for a person to read, a line for each peer, link and fault. */
export function describeScenario({ sizes, pieceLength, peers, links, faults }: Scenario): string[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const name = (index: number): string => peers[index]?.name ?? '?';
  const joined = (link: LinkPlan | undefined): string => (link ? `${name(link.from)} – ${name(link.to)}` : 'nothing');
  return [
    `${sizes.length} files, ${total} bytes, pieces of ${pieceLength}`,
    ...peers.map(describePeer),
    ...links.map(({ from: _from, to: _to, ...link }, index) => `${joined(links[index])}: ${fields(link)}`),
    ...faults.map(({ link, ...fault }, index) => `fault${index} on ${joined(links[link])}: ${fields(fault)}`),
  ];
}

function describePeer({ name, role: _role, ...plan }: PeerPlan): string {
  return `${name}: ${fields(plan)}`;
}

/** Those that say something. */
function fields(values: object): string {
  return Object.entries(values)
    .filter(([, value]) => value !== 0 && value !== false)
    .map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ');
}
