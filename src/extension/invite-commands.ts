import type { DeviceId } from '../common/ids.ts';
import type { InviteInfo, NetworkInfo } from '../peer/api.ts';
import { formatMoment, formatTimeSpan } from './format.ts';
import type { InviteOffers } from './invite-offers.ts';
import type { NetworkCommands } from './network-commands.ts';
import { iconlessText, messageText } from './safe-text.ts';
import type { Services } from './services.ts';
import { capitalize, dots } from './transfer-model.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface InviteButton extends vscode.QuickInputButton {
  readonly action: 'copy' | 'revoke';
}

interface InviteItem extends vscode.QuickPickItem {
  readonly invite: InviteInfo;
}

/** Making invites, and what becomes of those that were made. */
export class InviteCommands {
  readonly #services: Services;
  readonly #networks: NetworkCommands;
  readonly #offers: InviteOffers;

  constructor(services: Services, networks: NetworkCommands, offers: InviteOffers) {
    this.#services = services;
    this.#networks = networks;
    this.#offers = offers;
  }

  /** In one click: valid for as long as invites are when nobody says otherwise. */
  async copy(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const network = await this.#networks.networkFor(args, t('Invite to which network?'));
    if (network !== undefined) await this.#make(network);
  }

  async invite(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const network = await this.#networks.networkFor(args, t('Invite to which network?'));
    if (network === undefined) return;
    const choices = [
      { label: t('1 hour'), description: t('for somebody who is waiting'), validFor: HOUR },
      { label: t('1 day'), validFor: DAY },
      { label: t('7 days'), description: t('the usual time'), validFor: 7 * DAY },
      { label: t('30 days'), description: t('for a group that joins bit by bit'), validFor: 30 * DAY },
    ];
    const choice = await vscode.window.showQuickPick(choices, {
      title: t('Invite to “{0}”', iconlessText(network.name)),
      placeHolder: t('How long may people join with it? Anybody who has it can.'),
    });
    if (choice !== undefined) await this.#make(network, choice.validFor);
  }

  async #make(network: NetworkInfo, validFor?: number): Promise<void> {
    const { t } = this.#services;
    const api = await this.#services.api();
    const invite = await api.createInvite({
      network: network.network,
      ...(validFor === undefined ? {} : { validFor }),
    });
    await this.#copy(invite);
    const { expires } = await api.previewInvite(invite);
    this.#services.report.done(t('Invite to “{0}” copied, valid until {1}', network.name, formatMoment(expires)));
  }

  /** Those that were made on this device, and those that were revoked. */
  async manage(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const network = await this.#networks.networkFor(args, t('Invites to which network?'));
    if (network !== undefined) await this.#manage(network);
  }

  async #manage(network: NetworkInfo): Promise<void> {
    const { t } = this.#services;
    const api = await this.#services.api();
    for (;;) {
      const invites = inOrder(await api.invites(network.network));
      if (invites.length === 0) {
        const make = { title: t('Invite…') };
        const chosen = await vscode.window.showInformationMessage(
          t('No invite to “{0}” was made on this device.', messageText(network.name)),
          make,
        );
        if (chosen === make) await this.invite([{ kind: 'hint', hint: 'invite', network }]);
        return;
      }
      const choice = await this.#choose(network, invites);
      if (choice === undefined) return;
      if (choice.action === 'copy') return this.#copyAgain(choice.invite);
      await this.#revoke(network, choice.invite);
    }
  }

  /** Picking a row copies what can be copied. */
  #choose(
    network: NetworkInfo,
    invites: readonly InviteInfo[],
  ): Promise<{ action: InviteButton['action']; invite: InviteInfo } | undefined> {
    const { t, state } = this.#services;
    const now = Date.now();
    return new Promise((resolve) => {
      const list = vscode.window.createQuickPick<InviteItem>();
      list.title = t('Invites to “{0}”', iconlessText(network.name));
      list.placeholder = t('Pick a valid one to copy it again. The button on its right revokes it.');
      list.ignoreFocusOut = true;
      list.items = invites.map((invite) => inviteItem(t, invite, state.status?.device, now));
      const finish = (choice?: { action: InviteButton['action']; invite: InviteInfo }): void => {
        resolve(choice);
        list.dispose();
      };
      list.onDidHide(() => finish());
      list.onDidTriggerItemButton(({ item, button }) => {
        const { action } = button as InviteButton;
        finish({ action, invite: item.invite });
      });
      list.onDidAccept(() => {
        const [item] = list.selectedItems;
        if (item?.invite.text !== undefined) finish({ action: 'copy', invite: item.invite });
      });
      list.show();
    });
  }

  async #copyAgain({ text, expires }: InviteInfo): Promise<void> {
    const { t, report } = this.#services;
    if (text === undefined) return;
    await this.#copy(text);
    report.done(t('Invite copied, valid until {0}', formatMoment(expires)));
  }

  async #revoke(network: NetworkInfo, { invite, created }: InviteInfo): Promise<void> {
    const { t, report } = this.#services;
    const revoke = { title: t('Revoke') };
    const chosen = await vscode.window.showWarningMessage(
      t('Revoke the invite of {0}?', formatMoment(created)),
      {
        modal: true,
        detail: t(
          'Nobody can join with it any more. Who joined with it and has met a member stays: revoke them one by one.',
        ),
      },
      revoke,
    );
    if (chosen !== revoke) return;
    const api = await this.#services.api();
    await api.revokeInvite({ network: network.network, invite });
    report.done(t('Invite revoked'));
  }

  async #copy(invite: string): Promise<void> {
    await this.#offers.remember(invite);
    await vscode.env.clipboard.writeText(invite);
  }
}

/** Valid ones first, then the latest. */
function inOrder(invites: readonly InviteInfo[]): InviteInfo[] {
  return invites.toSorted((a, b) => Number(b.state === 'valid') - Number(a.state === 'valid') || b.created - a.created);
}

/** `self`: this device; who else made an invite is said. */
function inviteItem(t: Translate, invite: InviteInfo, self: DeviceId | undefined, now: number): InviteItem {
  const { state, created, expires, inviter, inviterName, text } = invite;
  const buttons: InviteButton[] = [];
  if (text !== undefined)
    buttons.push({ action: 'copy', iconPath: new vscode.ThemeIcon('copy'), tooltip: t('Copy Invite') });
  if (state === 'valid')
    buttons.push({ action: 'revoke', iconPath: new vscode.ThemeIcon('circle-slash'), tooltip: t('Revoke…') });
  return {
    label: `${inviteIcon(state)} ${capitalize(inviteState(t, invite, now))}`,
    description: dots(
      state === 'valid' && t('until {0}', formatMoment(expires)),
      t('made {0}', formatMoment(created)),
      inviter !== self && t('by {0}', iconlessText(inviterName)),
    ),
    buttons,
    invite,
  };
}

function inviteState(t: Translate, { state, expires }: InviteInfo, now: number): string {
  switch (state) {
    case 'valid':
      return t('valid for {0}', formatTimeSpan(t, expires - now));
    case 'expired':
      return t('expired');
    case 'revoked':
      return t('revoked');
  }
}

function inviteIcon(state: InviteInfo['state']): string {
  switch (state) {
    case 'valid':
      return '$(pass)';
    case 'expired':
      return '$(history)';
    case 'revoked':
      return '$(circle-slash)';
  }
}
