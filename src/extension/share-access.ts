/** With whom something is shared, in words. */
import type { DeviceId } from '../common/ids.ts';
import type { MemberInfo, ShareInfo } from '../peer/api.ts';
import { personName } from './labels.ts';
import type { Translate } from './translate.ts';

/** Names in full; of more, the first and how many others. */
const MOST_NAMES = 3;

/** “ben”, “ben, cleo”, “ben, cleo and 4 others”. Plain text: whoever shows it makes it safe. */
export function namesOf(t: Translate, members: readonly Pick<MemberInfo, 'name'>[]): string {
  const names = members.map(({ name }) => personName(t, { self: false, name }));
  if (names.length <= MOST_NAMES) return names.join(', ');
  return t('{0} and {1} others', names.slice(0, MOST_NAMES - 1).join(', '), names.length - MOST_NAMES + 1);
}

/** The members that a share is limited to; undefined when everyone may have it. A device that nobody knows goes by its id. */
export function audienceOf(
  share: Pick<ShareInfo, 'network' | 'to'>,
  members: readonly MemberInfo[],
): readonly { readonly device: DeviceId; readonly name: string }[] | undefined {
  return share.to?.map((device) => {
    const member = members.find((candidate) => candidate.network === share.network && candidate.device === device);
    return { device, name: member?.name || device.slice(0, 8) };
  });
}
