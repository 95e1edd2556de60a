import type { NetworkInfo, ScanSummary, ShareRequest } from '../peer/api.ts';
import { personName } from './labels.ts';
import { iconlessText } from './safe-text.ts';
import type { Services } from './services.ts';
import { describeScan } from './summary.ts';
import { vscode } from './vscode.ts';

export type ShareOptions = Pick<ShareRequest, 'name' | 'message' | 'to' | 'includeSecrets'>;

/** What *Choose…* leads to: one list in which everything can be changed, until *Share* is picked. Undefined: turned back. */
export async function chooseShareOptions(
  services: Services,
  name: string,
  scan: ScanSummary,
  network: NetworkInfo,
): Promise<ShareOptions | undefined> {
  const { t, state } = services;
  let options: ShareOptions = {};
  const members = new Map(
    state.peers
      .filter((peer) => peer.network === network.network && peer.device !== state.status?.device)
      .map((peer) => [peer.device as string, peer]),
  );
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
    const to = options.to?.map((device) => personName(t, { self: false, name: members.get(device)?.name ?? device }));
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
        description: iconlessText(to?.join(', ') ?? t('every member')),
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
    const picked = await vscode.window.showQuickPick(
      [...members.values()].map((peer) => ({
        label: iconlessText(peer.name),
        description: peer.words.join(' '),
        picked: options.to?.includes(peer.device) ?? false,
        device: peer.device,
      })),
      { canPickMany: true, placeHolder: t('Share with whom? None picked: every member.') },
    );
    if (picked === undefined) return options;
    const { to: _everyone, ...others } = options;
    return picked.length === 0 ? others : { ...others, to: picked.map((item) => item.device) };
  }
}
