import { PeerwireError } from '../common/errors.ts';
import type { MemberInfo, NetworkInfo } from '../peer/api.ts';
import { personName } from './labels.ts';
import { othersIn, pickMember } from './member-picker.ts';
import type { NetworkCommands } from './network-commands.ts';
import { actionsOn, type MemberAction } from './network-model.ts';
import { messageText, safeText } from './safe-text.ts';
import type { Services } from './services.ts';
import type { ShareCommands } from './share-commands.ts';
import { rowsOf } from './tree-nodes.ts';
import { vscode } from './vscode.ts';

/** What can be done about one member: on its row, or by the palette, which asks for the member. */
export class MemberCommands {
  readonly #services: Services;
  readonly #networks: NetworkCommands;
  readonly #shares: ShareCommands;

  constructor(services: Services, networks: NetworkCommands, shares: ShareCommands) {
    this.#services = services;
    this.#networks = networks;
    this.#shares = shares;
  }

  /** Files that only this member sees. */
  async share(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const found = await this.#memberFor(args, t('Share with whom?'));
    if (found !== undefined) await this.#shares.chooseFor(found.network, [found.member]);
  }

  async compareWords(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const found = await this.#memberFor(args, t('Compare words with whom?'));
    if (found === undefined) return;
    const { member } = found;
    const name = personName(t, { self: false, name: member.name });
    const api = await this.#services.api();
    const { words } = await api.status();
    const detail = [
      member.inviterName !== undefined && t('Invited by {0}', safeText(member.inviterName)),
      t('Their words: {0}', member.words.join(' ')),
      t('Your words: {0}', words.join(' ')),
      '',
      t('Call each other and read them aloud. If they are the same on both sides, this is their device and no other.'),
    ];
    await vscode.window.showInformationMessage(t('Compare words with {0}', messageText(name)), {
      modal: true,
      detail: detail.filter((line) => line !== false).join('\n'),
    });
  }

  async makeAdmin(args: readonly unknown[]): Promise<void> {
    const { t, report } = this.#services;
    const found = await this.#memberFor(args, t('Make whom an admin?'), 'promote');
    if (found === undefined) return;
    const { member, network } = found;
    const name = messageText(personName(t, { self: false, name: member.name }));
    const make = { title: t('Make Admin') };
    const chosen = await vscode.window.showWarningMessage(
      t('Make {0} an admin of “{1}”?', name, messageText(network.name)),
      {
        modal: true,
        detail: [
          t('Their words: {0}', member.words.join(' ')),
          t(
            'Admins can remove members and invites, rename the network and change its trackers, also while you are away.',
          ),
          t('You cannot take it back, except by revoking them.'),
        ].join('\n'),
      },
      make,
    );
    if (chosen !== make) return;
    const api = await this.#services.api();
    await api.setAdmin({ network: network.network, device: member.device });
    report.done(t('{0} is an admin now', name));
  }

  async revoke(args: readonly unknown[]): Promise<void> {
    const { t, report } = this.#services;
    const found = await this.#memberFor(args, t('Revoke which member?'), 'revoke');
    if (found === undefined) return;
    const { member, network } = found;
    const name = messageText(personName(t, { self: false, name: member.name }));
    const revoke = { title: t('Revoke') };
    const chosen = await vscode.window.showWarningMessage(
      t('Revoke {0}?', name),
      {
        modal: true,
        detail: [
          t('They keep what they already have; members will refuse them from now on.'),
          t('Their words: {0}', member.words.join(' ')),
        ].join('\n'),
      },
      revoke,
    );
    if (chosen !== revoke) return;
    const api = await this.#services.api();
    const { back } = await api.revokeMember({ network: network.network, device: member.device });
    report.done(t('{0} is revoked', name));
    if (back.length === 0) return;
    const names = back.map((other) => messageText(other.name)).join(', ');
    const remark = t(
      '{0} had revoked {1}, who may come back by a new invite. To keep them out, revoke them again.',
      name,
      names,
    );
    void vscode.window.showWarningMessage(remark);
  }

  /** That of the row; or the one that the user picks of those to whom it can be done. */
  async #memberFor(
    args: readonly unknown[],
    placeHolder: string,
    action?: MemberAction,
  ): Promise<{ member: MemberInfo; network: NetworkInfo } | undefined> {
    const { t } = this.#services;
    const person = rowsOf(args, 'person')[0]?.person;
    const api = await this.#services.api();
    const networks = await api.networks();
    const network =
      networks.find((candidate) => candidate.network === person?.network) ??
      (await this.#networks.networkFor(args, placeHolder));
    if (network === undefined) return undefined;
    const others = await othersIn(this.#services, network);
    if (person !== undefined) {
      const member = others.find(({ device }) => device === person.device);
      if (member === undefined)
        throw new PeerwireError('not-found', t('{0} is no member any more.', messageText(person.name)));
      return { member, network };
    }
    if (action !== undefined && !network.admin)
      throw new PeerwireError('permission', t('Only the creator of a network and its admins can do that.'));
    const able = others.filter((member) => action === undefined || actionsOn(member, network).includes(action));
    if (able.length === 0)
      throw new PeerwireError('not-found', t('There is no such member of “{0}” yet.', network.name));
    const member = await pickMember(this.#services, able, placeHolder);
    return member && { member, network };
  }
}
