import type { MemberInfo, NetworkInfo } from '../peer/api.ts';
import { personName } from './labels.ts';
import { iconlessText } from './safe-text.ts';
import type { Services } from './services.ts';
import { dots } from './transfer-model.ts';
import { vscode } from './vscode.ts';

/** Everybody else who belongs to a network, those who are here first. */
export async function othersIn(services: Services, network: NetworkInfo): Promise<MemberInfo[]> {
  const api = await services.api();
  const members = await api.members(network.network);
  return members
    .filter(({ self, state }) => !self && state !== 'revoked')
    .sort((a, b) => Number(a.state === 'away') - Number(b.state === 'away') || a.name.localeCompare(b.name));
}

/** With the words, because anybody can take any name. */
export function memberItem(
  { t }: Pick<Services, 't'>,
  member: MemberInfo,
): vscode.QuickPickItem & { readonly member: MemberInfo } {
  return {
    label: iconlessText(personName(t, { self: false, name: member.name })),
    description: dots(
      member.state === 'connected' ? t('online') : t('away'),
      member.creator && t('creator'),
      member.admin && !member.creator && t('admin'),
    ),
    detail: t('Words: {0}', member.words.join(' ')),
    member,
  };
}

/** Everyone, or members that are picked then; undefined when the user turned back. `now`: as it is, in words and devices. */
export async function askAudience(
  services: Services,
  others: readonly MemberInfo[],
  options: {
    readonly title: string;
    readonly network: string;
    readonly now?: { words: string; devices: readonly string[] };
  },
): Promise<'everyone' | MemberInfo[] | undefined> {
  const { t } = services;
  const { title, network, now } = options;
  const everyone = {
    label: t('$(organization) Everyone'),
    description: dots(iconlessText(network), now === undefined && t('as now')),
  };
  const some = {
    label: t('$(person) Choose Members…'),
    description: now === undefined ? '' : t('now: {0}', iconlessText(now.words)),
  };
  const chosen = await vscode.window.showQuickPick([everyone, some], {
    title,
    placeHolder: t('Who may see it and fetch it?'),
    ignoreFocusOut: true,
  });
  if (chosen === everyone) return 'everyone';
  return chosen === some ? pickMembers(services, others, { title, picked: now?.devices ?? [] }) : undefined;
}

/** One of them; undefined when the user turned back. */
export async function pickMember(
  services: Services,
  members: readonly MemberInfo[],
  placeHolder: string,
): Promise<MemberInfo | undefined> {
  const items = members.map((member) => memberItem(services, member));
  return (await vscode.window.showQuickPick(items, { placeHolder, matchOnDetail: true }))?.member;
}

/**
 * Several of them, at least one; undefined when the user turned back. `picked`: devices that are chosen at first, also such
 * as are no members any more, which then are dropped.
 */
export async function pickMembers(
  services: Services,
  members: readonly MemberInfo[],
  options: { readonly title: string; readonly picked?: readonly string[] },
): Promise<MemberInfo[] | undefined> {
  const { t } = services;
  const chosen = new Set(options.picked);
  const items = members.map((member) => ({ ...memberItem(services, member), picked: chosen.has(member.device) }));
  const picked = await vscode.window.showQuickPick(items, {
    canPickMany: true,
    title: options.title,
    placeHolder: t('Who may see it and fetch it? Compare the words when in doubt.'),
    matchOnDetail: true,
    ignoreFocusOut: true,
  });
  return picked === undefined || picked.length === 0 ? undefined : picked.map(({ member }) => member);
}
