import type { MemberInfo, NetworkInfo, ScanSummary, ShareRequest } from '../peer/api.ts';
import { askAudience } from './member-picker.ts';
import { iconlessText } from './safe-text.ts';
import type { Services } from './services.ts';
import { namesOf } from './share-access.ts';
import { describeScan } from './summary.ts';
import { vscode } from './vscode.ts';

interface Choices {
  readonly name: string;
  readonly scan: ScanSummary;
  readonly network: NetworkInfo;
  /** Everybody else in the network. */
  readonly members: readonly MemberInfo[];
  /** Who was chosen before; undefined: everyone. */
  readonly to: readonly MemberInfo[] | undefined;
}

export type ShareOptions = Pick<ShareRequest, 'name' | 'message' | 'to' | 'includeSecrets'>;

/** What *Choose…* leads to: one list in which everything can be changed, until *Share* is picked. Undefined: turned back. */
export async function chooseShareOptions(
  services: Services,
  { name, scan, network, members: known, to: whom }: Choices,
): Promise<ShareOptions | undefined> {
  const { t } = services;
  let options: ShareOptions = whom === undefined ? {} : { to: whom.map(({ device }) => device) };
  const members = new Map(known.map((member) => [member.device as string, member]));
  for (;;) {
    const picked = await vscode.window.showQuickPick(items(), {
      title: t('Share “{0}”', iconlessText(name)),
      placeHolder: describeScan(t, scan, options.includeSecrets),
      ignoreFocusOut: true,
    });
    switch (picked?.id) {
      case 'share':
        return options;
      case 'name':
        options = { ...options, ...(await ask('name', t('Name'), t('The name that others see.'), name)) };
        break;
      case 'message':
        options = { ...options, ...(await ask('message', t('Message'), t('A line for those who see it.'), '')) };
        break;
      case 'to':
        options = await chooseMembers();
        break;
      case 'secrets':
        options = { ...options, includeSecrets: !options.includeSecrets };
        break;
      default:
        return undefined;
    }
  }

  function items() {
    const secrets = scan.secrets.map(iconlessText).join(', ');
    const list = [
      { id: 'share', label: t('$(broadcast) Share'), description: iconlessText(network.name) },
      { id: 'name', label: t('$(tag) Name'), description: iconlessText(options.name ?? name) },
      { id: 'message', label: t('$(comment) Message'), description: iconlessText(options.message ?? t('none')) },
    ];
    if (members.size > 0) {
      list.push({
        id: 'to',
        label: t('$(person) Who'),
        description: iconlessText(options.to === undefined ? t('every member') : namesOf(t, toMembers(options.to))),
      });
    }
    if (scan.secrets.length > 0) {
      list.push({
        id: 'secrets',
        label: options.includeSecrets ? t('$(warning) Secrets Included') : t('$(lock) Secrets Left Out'),
        description: secrets,
      });
    }
    return list;
  }

  async function ask(key: 'name' | 'message', title: string, prompt: string, initial: string): Promise<ShareOptions> {
    const value = await vscode.window.showInputBox({ title, prompt, value: options[key] ?? initial });
    const text = value?.trim();
    return text === undefined || text === '' ? {} : { [key]: text };
  }

  async function chooseMembers(): Promise<ShareOptions> {
    const { to, ...others } = options;
    const chosen = await askAudience(services, known, {
      title: t('Share “{0}”', iconlessText(name)),
      network: network.name,
      ...(to === undefined ? {} : { now: { words: namesOf(t, toMembers(to)), devices: to } }),
    });
    if (chosen === undefined) return options;
    return chosen === 'everyone' ? others : { ...others, to: chosen.map(({ device }) => device) };
  }

  function toMembers(devices: readonly string[]): MemberInfo[] {
    return devices.flatMap((device) => members.get(device) ?? []);
  }
}
