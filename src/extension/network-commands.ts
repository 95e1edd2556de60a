import { PeerwireError } from '../common/errors.ts';
import type { InvitePreview, NetworkInfo } from '../peer/api.ts';
import { clipboardInvite, type InviteOffers } from './invite-offers.ts';
import { findInvite } from './invite-text.ts';
import { iconlessText, messageText, safeText } from './safe-text.ts';
import type { Services } from './services.ts';
import { readTrackers } from './settings.ts';
import type { TrackerHost } from './tracker-host.ts';
import type { Translate } from './translate.ts';
import { rowsOf } from './tree-nodes.ts';
import { isTrackerUrl } from './typed-input.ts';
import { vscode } from './vscode.ts';

export class NetworkCommands {
  readonly #services: Services;
  readonly #tracker: TrackerHost;
  readonly #offers: InviteOffers;

  constructor(services: Services, tracker: TrackerHost, offers: InviteOffers) {
    this.#services = services;
    this.#tracker = tracker;
    this.#offers = offers;
  }

  /** Undefined when the user turned back. */
  async create(): Promise<NetworkInfo | undefined> {
    const { t } = this.#services;
    const name = await vscode.window.showInputBox({
      title: t('Create a Network'),
      prompt: t('A private group: only people with an invite see what is shared in it.'),
      placeHolder: t('Name of the network, such as your team or project'),
      value: vscode.workspace.name ?? '',
      ignoreFocusOut: true,
      validateInput: (text) => (text.trim() === '' ? t('Give the network a name.') : undefined),
    });
    if (name === undefined) return undefined;
    const trackers = await this.#chooseTrackers();
    if (trackers === undefined) return undefined;
    const api = await this.#services.api();
    const { network, invite } = await api.createNetwork({ name: name.trim(), trackers });
    await this.#copy(invite);
    void vscode.window.showInformationMessage(
      t('“{0}” is ready: its invite is on the clipboard.', messageText(network.name)),
    );
    return network;
  }

  async #chooseTrackers(): Promise<string[] | undefined> {
    const { t } = this.#services;
    const configured = readTrackers();
    if (configured.length > 0) return configured;
    const hosted = this.#tracker.url;
    const choice = await vscode.window.showQuickPick(
      [
        hosted === undefined
          ? {
              id: 'host',
              label: t('$(server) Host a Tracker Here'),
              detail: t('While it is open, this window introduces peers to each other.'),
            }
          : { id: 'host', label: t('$(server) Use the Tracker of This Window'), detail: hosted },
        {
          id: 'url',
          label: t('$(globe) Use a Tracker URL…'),
          detail: t('Your team’s server or a public one: it learns addresses, nothing else.'),
        },
        {
          id: 'none',
          label: t('$(circle-slash) No Tracker'),
          detail: t('Peers are added by address; once met, they find each other again.'),
        },
      ],
      {
        title: t('Create a Network'),
        placeHolder: t('How do peers find each other the first time?'),
        ignoreFocusOut: true,
      },
    );
    switch (choice?.id) {
      case 'host':
        return [hosted ?? (await this.#tracker.start())];
      case 'url': {
        const url = await askTrackerUrl(this.#services);
        return url === undefined ? undefined : [url];
      }
      case 'none':
        return [];
      default:
        return undefined;
    }
  }

  async join(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    if (typeof args[0] === 'string') return this.joinWith(args[0]);
    const text = await vscode.window.showInputBox({
      title: t('Join with an Invite'),
      prompt: t('Paste the link or the code that you were sent.'),
      placeHolder: 'vscode://peerwire.peerwire/join?… / PW1-…',
      value: (await clipboardInvite()) ?? '',
      ignoreFocusOut: true,
      validateInput: (value) =>
        value.trim() === '' || findInvite(value) !== undefined
          ? undefined
          : t('This is not an invite: it is a link with “peerwire.peerwire/join”, or a code that starts with PW1-.'),
    });
    if (text !== undefined && text.trim() !== '') await this.joinWith(text);
  }

  async paste(): Promise<void> {
    const { t } = this.#services;
    const invite = await clipboardInvite();
    if (invite === undefined) {
      throw new PeerwireError(
        'invalid-invite',
        t('There is no invite on the clipboard. Copy the link or the code that you were sent.'),
      );
    }
    await this.joinWith(invite);
  }

  /** Shows what the invite says and joins when the user agrees; before that, nothing touches the network. */
  async joinWith(text: string): Promise<void> {
    const { t } = this.#services;
    const invite = findInvite(text) ?? text.trim();
    await this.#offers.remember(invite);
    const api = await this.#services.api();
    const preview = await api.previewInvite(invite);
    const name = messageText(preview.name);
    if (preview.alreadyJoined) {
      void vscode.window.showInformationMessage(t('You are in “{0}” already.', name));
    } else if (preview.expired) {
      throw new PeerwireError(
        'expired',
        t('This invite to “{0}” has expired. Ask {1} for a new one.', name, messageText(preview.inviterName)),
      );
    } else {
      const join = { title: t('Join') };
      const chosen = await vscode.window.showInformationMessage(
        t('Join the network “{0}”?', name),
        { modal: true, detail: this.#describeInvite(preview) },
        join,
      );
      if (chosen !== join) return;
      await api.joinNetwork(invite);
    }
    await vscode.commands.executeCommand('peerwire.network.focus');
  }

  #describeInvite(preview: InvitePreview): string {
    const { t } = this.#services;
    const trackers = preview.trackers.map(safeText).join(', ');
    return [
      t('Invited by {0}', safeText(preview.inviterName)),
      t('Their words, to compare aloud: {0}', preview.inviterWords.join(' ')),
      preview.trackers.length === 0 ? t('No tracker') : t('Tracker: {0}', trackers),
      '',
      t('Members see each other’s device name and address, and what is shared. Nothing is contacted before you join.'),
    ].join('\n');
  }

  async leave(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const network = await this.networkFor(args, t('Leave which network?'));
    if (network === undefined) return;
    const leave = { title: t('Leave') };
    const chosen = await vscode.window.showWarningMessage(
      t('Leave the network “{0}”?', messageText(network.name)),
      {
        modal: true,
        detail: network.creator
          ? t(
              'You created it: without this device nobody can make admins any more, and without an admin nobody can remove members. What you share in it is no longer offered; downloaded files stay.',
            )
          : t('What you share in it is no longer offered; downloaded files stay. You need an invite to come back.'),
      },
      leave,
    );
    if (chosen !== leave) return;
    const api = await this.#services.api();
    await api.leaveNetwork(network.network);
  }

  /** The network of a row, the only one, or the one that the user picks; undefined when they turn back. */
  async networkFor(args: readonly unknown[], placeHolder: string): Promise<NetworkInfo | undefined> {
    const { t } = this.#services;
    const [row] = rowsOf(args, 'network', 'hint');
    if (row?.kind === 'network') return row.entry.info;
    if (row?.kind === 'hint') return row.network;
    const api = await this.#services.api();
    const networks = await api.networks();
    if (networks.length > 1) {
      const items = networks.map((network) => ({ label: iconlessText(network.name), network }));
      return (await vscode.window.showQuickPick(items, { placeHolder }))?.network;
    }
    if (networks[0] !== undefined) return networks[0];
    const create = { title: t('Create a Network') };
    const join = { title: t('Join with an Invite') };
    const chosen = await vscode.window.showInformationMessage(
      t('You are in no network yet. Create one, or join with an invite.'),
      create,
      join,
    );
    if (chosen === create) return this.create();
    if (chosen === join) await this.join([]);
    return undefined;
  }

  /** As `networkFor`, of those whose settings this device may change. */
  async administeredFor(args: readonly unknown[], placeHolder: string): Promise<NetworkInfo | undefined> {
    const { t } = this.#services;
    const [row] = rowsOf(args, 'network', 'hint');
    const api = await this.#services.api();
    const networks = (await api.networks()).filter(({ admin }) => admin);
    const id = row?.kind === 'network' ? row.entry.info.network : row?.network.network;
    if (id !== undefined) return networks.find(({ network }) => network === id) ?? noAdmin(t);
    if (networks.length > 1) {
      const items = networks.map((network) => ({ label: iconlessText(network.name), network }));
      return (await vscode.window.showQuickPick(items, { placeHolder }))?.network;
    }
    return networks[0] ?? noAdmin(t);
  }

  async #copy(invite: string): Promise<void> {
    await this.#offers.remember(invite);
    await vscode.env.clipboard.writeText(invite);
  }
}

function noAdmin(t: Translate): never {
  throw new PeerwireError('permission', t('Only the creator of a network and its admins can do that.'));
}

/** Only what the peer can announce to; the peer checks again. */
export async function askTrackerUrl({ t }: Pick<Services, 't'>): Promise<string | undefined> {
  const url = await vscode.window.showInputBox({
    title: t('Use a Tracker URL'),
    placeHolder: 'https://tracker.example.org/announce',
    ignoreFocusOut: true,
    validateInput: (text) =>
      isTrackerUrl(text.trim()) ? undefined : t('A tracker’s address starts with http://, https:// or udp://.'),
  });
  return url?.trim();
}
