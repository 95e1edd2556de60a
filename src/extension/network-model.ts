/** What the Network view shows, from what the peer knows: people are devices, however many windows each has open. */
import type { DeviceId, NetworkId } from '../common/ids.ts';
import type { NetworkInfo, PeerInfo, ShareInfo } from '../peer/api.ts';

export interface Person {
  readonly network: NetworkId;
  readonly device: DeviceId;
  readonly name: string;
  /** This user's own other windows. */
  readonly self: boolean;
  /** Peers of this device that are connected now; none: offline. */
  readonly windows: readonly PeerInfo[];
  readonly words: readonly string[];
  /** Another person here has the same name: show the words. */
  readonly ambiguous: boolean;
  /** Newest first. */
  readonly shares: readonly ShareInfo[];
}

export interface NetworkEntry {
  readonly info: NetworkInfo;
  /** Others first, those online before those offline, by name; own windows last. */
  readonly people: readonly Person[];
}

export interface NetworkFacts {
  readonly networks: readonly NetworkInfo[];
  readonly peers: readonly PeerInfo[];
  readonly shares: readonly ShareInfo[];
  readonly device: DeviceId | undefined;
}

export function buildNetworks(facts: NetworkFacts): NetworkEntry[] {
  return facts.networks
    .map((info) => ({ info, people: peopleOf(info.network, facts) }))
    .sort((a, b) => a.info.name.localeCompare(b.info.name) || compareText(a.info.network, b.info.network));
}

function peopleOf(network: NetworkId, facts: NetworkFacts): Person[] {
  const windows = groupBy(
    facts.peers.filter((peer) => peer.network === network),
    (peer) => peer.device,
  );
  const shares = groupBy(
    facts.shares.filter((share) => share.network === network && !share.own),
    (share) => share.owner,
  );
  const devices = new Set([...windows.keys(), ...shares.keys()]);
  const people = [...devices].map((device) => {
    const connected = windows.get(device) ?? [];
    const offered = (shares.get(device) ?? []).sort((a, b) => b.time - a.time || compareText(a.share, b.share));
    return {
      network,
      device,
      name: connected[0]?.name ?? offered[0]?.ownerName ?? '',
      self: device === facts.device,
      windows: connected,
      words: connected[0]?.words ?? [],
      shares: offered,
    };
  });
  const names = groupBy(people, (person) => person.name);
  return people
    .map((person) => ({ ...person, ambiguous: (names.get(person.name)?.length ?? 0) > 1 }))
    .sort(
      (a, b) =>
        Number(a.self) - Number(b.self) ||
        Number(b.windows.length > 0) - Number(a.windows.length > 0) ||
        a.name.localeCompare(b.name) ||
        compareText(a.device, b.device),
    );
}

/** People connected now, own windows not counted, each once however many networks are shared. */
export function countOnline(facts: Pick<NetworkFacts, 'peers' | 'device'>): number {
  return new Set(facts.peers.filter((peer) => peer.device !== facts.device).map((peer) => peer.device)).size;
}

function groupBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** By code unit: the same order on every machine. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
