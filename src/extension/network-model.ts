/** What the Network view shows, from what the peer knows: people are devices, however many windows each has open. */
import type { DeviceId, NetworkId } from '../common/ids.ts';
import type { MemberInfo, NetworkInfo, PeerInfo, ShareInfo } from '../peer/api.ts';

export interface Person {
  readonly network: NetworkId;
  readonly device: DeviceId;
  readonly name: string;
  /** This user's own other windows. */
  readonly self: boolean;
  /** Peers of this device that are connected now; none: offline. */
  readonly windows: readonly PeerInfo[];
  readonly words: readonly string[];
  /** What is known of its membership; nothing for a moment after it appeared. */
  readonly member: MemberInfo | undefined;
  /** What this device may do about its membership. */
  readonly may: readonly MemberAction[];
  /** Another person here has the same name: show the words. */
  readonly ambiguous: boolean;
  /** Newest first. */
  readonly shares: readonly ShareInfo[];
  /** So much is shared in the network that nobody's shares are unfolded at first. */
  readonly folded: boolean;
}

export type MemberAction = 'revoke' | 'promote';

/** Shares of a network up to which all are unfolded. */
const MOST_UNFOLDED = 300;

export interface NetworkEntry {
  readonly info: NetworkInfo;
  /** Others first, those online before those offline, by name; own windows last. */
  readonly people: readonly Person[];
}

export interface NetworkFacts {
  readonly networks: readonly NetworkInfo[];
  readonly members: readonly MemberInfo[];
  readonly peers: readonly PeerInfo[];
  readonly shares: readonly ShareInfo[];
  readonly device: DeviceId | undefined;
}

export function buildNetworks(facts: NetworkFacts): NetworkEntry[] {
  return facts.networks
    .map((info) => ({ info, people: peopleOf(info, facts) }))
    .sort((a, b) => a.info.name.localeCompare(b.info.name) || compareText(a.info.network, b.info.network));
}

/** Who was removed is not shown, whatever is still known of their shares. */
function peopleOf(info: NetworkInfo, facts: NetworkFacts): Person[] {
  const { network } = info;
  const windows = groupBy(
    facts.peers.filter((peer) => peer.network === network),
    (peer) => peer.device,
  );
  const shares = groupBy(
    facts.shares.filter((share) => share.network === network && !share.own),
    (share) => share.owner,
  );
  const members = new Map(
    facts.members.filter((member) => member.network === network).map((member) => [member.device, member]),
  );
  const others = [...members.values()].filter((member) => !member.self).map(({ device }) => device);
  const devices = [...new Set([...windows.keys(), ...shares.keys(), ...others])].filter(
    (device) => members.get(device)?.state !== 'revoked',
  );
  const total = devices.reduce((sum, device) => sum + (shares.get(device)?.length ?? 0), 0);
  const people = devices.map((device) => {
    const member = members.get(device);
    const connected = windows.get(device) ?? [];
    const offered = (shares.get(device) ?? []).sort((a, b) => b.time - a.time || compareText(a.share, b.share));
    return {
      network,
      device,
      name: connected[0]?.name ?? member?.name ?? offered[0]?.ownerName ?? '',
      self: device === facts.device,
      windows: connected,
      words: connected[0]?.words ?? member?.words ?? [],
      member,
      may: member === undefined ? [] : actionsOn(member, info),
      shares: offered,
      folded: total > MOST_UNFOLDED,
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

/** The creator may do everything, to everybody else; an admin may remove those who are neither. */
export function actionsOn(member: MemberInfo, { creator, admin }: NetworkInfo): MemberAction[] {
  if (member.self || member.creator || member.state === 'revoked') return [];
  if (creator) return member.admin ? ['revoke'] : ['revoke', 'promote'];
  return admin && !member.admin ? ['revoke'] : [];
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
