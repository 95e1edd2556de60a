import { PeerwireError } from '../common/errors.ts';
import { type DeviceId, deviceIdIn } from '../common/ids.ts';
import type { MemberInfo, PeerApi } from '../peer/api.ts';
import { safeText } from './text.ts';

/** Characters of an id that are taken for its beginning. */
const MIN_PREFIX = 4;

/**
 * The device that a text means: an id, the beginning of one, or the name of a member. An id need not be known. Rejects with
 * `not-found` or `ambiguous`.
 */
export async function findMember(api: PeerApi, text: string, network: string | undefined): Promise<DeviceId> {
  const id = deviceIdIn(text);
  if (id !== undefined) return id;
  const members = await api.members(network);
  // Both at once: nobody may come before another by calling itself like the beginning of its id.
  const prefix = prefixIn(text);
  const found = distinct(members.filter(({ name, device }) => name === text || device.startsWith(prefix)));
  const [first] = found;
  if (!first) throw new PeerwireError('not-found', `No member is “${text}”; “peerwire members” lists them.`);
  if (found.length > 1) {
    const ids = found.map(({ device, name }) => `${safeText(name)} (${device.slice(0, 12)})`).join(', ');
    throw new PeerwireError('ambiguous', `Several members are “${text}”: ${ids}. Use more of the id.`);
  }
  return first.device;
}

function distinct(members: readonly MemberInfo[]): MemberInfo[] {
  return [...new Map(members.map((member) => [member.device, member])).values()];
}

/** Matches nothing when it is too short to mean an id. */
function prefixIn(text: string): string {
  const compact = text.replaceAll(/[\s-]/g, '').toUpperCase();
  return compact.length < MIN_PREFIX ? '\0' : compact;
}
