import type { DeviceId } from '../common/ids.ts';
import type { InviteInfo, MemberInfo } from './api.ts';
import type { RunningNetwork } from './networks.ts';
import { displayName } from './trust/names.ts';
import { wordsFor } from './trust/words.ts';

/** Who is or was a member of the network, as far as this device knows: itself, then the connected ones, then the others by name. */
export function memberInfos({ trust, node }: RunningNetwork, self: { device: DeviceId; name: string }): MemberInfo[] {
  const connected = new Map<DeviceId, { name: string; via: 'direct' | 'relay' }>();
  for (const { device, name, via } of node.directory.peers()) {
    if (connected.get(device)?.via !== 'direct') connected.set(device, { name, via });
  }
  const known = new Map(node.members.list().map((member) => [member.device, member]));
  const nameOf = (device: DeviceId): string | undefined =>
    device === self.device ? self.name : (connected.get(device)?.name ?? known.get(device)?.name);
  const devices = new Set([self.device, ...connected.keys(), ...known.keys(), ...trust.revokedDevices()]);
  const infos = [...devices].map((device): MemberInfo => {
    const link = connected.get(device);
    const isSelf = device === self.device;
    const { inviter, joined } = (isSelf ? trust.ownMembership : known.get(device)) ?? {};
    const inviterName = inviter && nameOf(inviter);
    const lastSeen = known.get(device)?.lastSeen;
    const isCreator = isSelf ? trust.creator : known.get(device)?.creator === true;
    const removal = trust.removalOf(device);
    const removedByName = removal?.by && nameOf(removal.by);
    const isHere = link !== undefined || isSelf;
    return {
      network: trust.network,
      device,
      name: nameOf(device) ?? device.slice(0, 7),
      words: wordsFor(device),
      self: isSelf,
      creator: isCreator,
      admin: isCreator || trust.isAdmin(device),
      ...(inviter === undefined ? {} : { inviter }),
      ...(inviterName === undefined ? {} : { inviterName: displayName(inviterName) }),
      ...(joined === undefined ? {} : { joined }),
      state: trust.isRevoked(device) ? 'revoked' : isHere ? 'connected' : 'away',
      ...(removal === undefined ? {} : { removed: removal.date }),
      ...(removal?.by === undefined ? {} : { removedBy: removal.by }),
      ...(removedByName === undefined ? {} : { removedByName: displayName(removedByName) }),
      ...(lastSeen === undefined ? {} : { lastSeen }),
      ...(link === undefined ? {} : { via: link.via }),
    };
  });
  return infos.sort((a, b) => rank(a) - rank(b) || compareText(a.name, b.name) || compareText(a.device, b.device));
}

/** Invites made on this device, and those known to be withdrawn; the newest first. */
export function inviteInfos(
  { trust, node }: RunningNetwork,
  self: { device: DeviceId; name: string },
  now: number,
): InviteInfo[] {
  return trust
    .invites()
    .map(({ id, created, expires, text, inviter, inviterName }): InviteInfo => {
      const state = trust.isWithdrawn(id, inviter) ? 'revoked' : now > expires ? 'expired' : 'valid';
      const name = inviter === self.device ? self.name : (node.members.get(inviter)?.name ?? inviterName);
      return {
        network: trust.network,
        ...{ invite: id, created, expires, state, inviter, inviterName: name },
        ...(text !== undefined && state === 'valid' ? { text } : {}),
      };
    })
    .sort((a, b) => b.created - a.created || compareText(a.invite, b.invite));
}

const STATES = ['connected', 'away', 'revoked'];

function rank({ self, state }: MemberInfo): number {
  return self ? -1 : STATES.indexOf(state);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
