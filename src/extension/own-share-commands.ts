import { PeerwireError } from '../common/errors.ts';
import { formatBytes } from '../common/format-bytes.ts';
import type { ShareInfo } from '../peer/api.ts';
import { countPeers } from './format.ts';
import { kindName } from './labels.ts';
import { askAudience, othersIn } from './member-picker.ts';
import { iconlessText } from './safe-text.ts';
import type { Services } from './services.ts';
import { audienceOf, namesOf } from './share-access.ts';
import { rowsOf } from './tree-nodes.ts';
import { uriArguments } from './uri-arguments.ts';
import { vscode } from './vscode.ts';

/** What can be done about something that this user shares. */
export class OwnShareCommands {
  readonly #services: Services;

  constructor(services: Services) {
    this.#services = services;
  }

  /** Rows, explorer items, or the one that the user picks. */
  async stop(args: readonly unknown[]): Promise<void> {
    const { t, state } = this.#services;
    const api = await this.#services.api();
    const rows = rowsOf(args, 'share').map((row) => row.share);
    const paths = new Set(rows.length > 0 ? [] : uriArguments(args).map((uri) => uri.fsPath));
    const own = state.shares.filter((share) => share.own);
    const found = rows.length > 0 ? rows : own.filter((share) => share.source !== undefined && paths.has(share.source));
    for (const { share, name, sources } of found.length > 0 ? found : await this.#pickOwn(own)) {
      await api.unshare(share);
      this.#services.report.done(
        sources === 0
          ? t('Stopped sharing “{0}”', name)
          : t('Stopped sharing “{0}”; already fetched by {1}', name, countPeers(t, sources)),
      );
    }
  }

  /** Who may have an own share: everyone, or members that are chosen. Nothing is hashed or sent again. */
  async changeAccess(args: readonly unknown[]): Promise<void> {
    const { t, state } = this.#services;
    const api = await this.#services.api();
    const own = state.shares.filter((share) => share.own);
    const share = rowsOf(args, 'share')[0]?.share ?? (await this.#pickOneOwn(own));
    const network = state.networks.find((candidate) => candidate.network === share?.network);
    if (share === undefined || network === undefined) return;
    const audience = audienceOf(share, state.members);
    const others = await othersIn(this.#services, network);
    const chosen = await askAudience(this.#services, others, {
      title: t('Who may have “{0}”?', iconlessText(share.name)),
      network: network.name,
      ...(audience ? { now: { words: namesOf(t, audience), devices: audience.map(({ device }) => device) } } : {}),
    });
    if (chosen === undefined || (chosen === 'everyone' && audience === undefined)) return;
    const to = chosen === 'everyone' ? undefined : chosen;
    await api.setShareAccess({ share: share.share, ...(to ? { to: to.map(({ device }) => device) } : {}) });
    const whom = to === undefined ? t('everyone in “{0}”', network.name) : namesOf(t, to);
    this.#services.report.done(t('“{0}” is shared with {1}; who has it already keeps it', share.name, whom));
  }

  async #pickOneOwn(own: readonly ShareInfo[]): Promise<ShareInfo | undefined> {
    const { t } = this.#services;
    if (own.length === 0) throw new PeerwireError('not-found', t('You share nothing.'));
    const items = own.map((share) => this.#ownItem(share));
    return (await vscode.window.showQuickPick(items, { placeHolder: t('Change access to what?') }))?.share;
  }

  #ownItem(share: ShareInfo): vscode.QuickPickItem & { readonly share: ShareInfo } {
    return {
      label: iconlessText(share.name),
      description: `${kindName(this.#services.t, share)}, ${formatBytes(share.size)}`,
      share,
    };
  }

  async #pickOwn(own: readonly ShareInfo[]): Promise<ShareInfo[]> {
    const { t } = this.#services;
    if (own.length === 0) throw new PeerwireError('not-found', t('You share nothing.'));
    const items = own.map((share) => this.#ownItem(share));
    const picked = await vscode.window.showQuickPick(items, {
      canPickMany: true,
      placeHolder: t('Stop sharing what?'),
    });
    return picked?.map((item) => item.share) ?? [];
  }

  async copyId(args: readonly unknown[]): Promise<void> {
    const ids = rowsOf(args, 'share').map((row) => row.share.share);
    if (ids.length === 0) return;
    await vscode.env.clipboard.writeText(ids.join('\n'));
    this.#services.report.done(this.#services.t('Share ID copied'));
  }
}
