import { stat } from 'node:fs/promises';
import { PeerwireError } from '../common/errors.ts';
import type { PeerApi, TransferInfo } from '../peer/api.ts';
import type { DownloadCommands } from './download-commands.ts';
import { formatRate } from './format.ts';
import type { Services } from './services.ts';
import { readLimits, writeLimit } from './settings.ts';
import { abilitiesOf, type TransferAbility } from './transfer-model.ts';
import { rowsOf } from './tree-nodes.ts';
import { parseLimit } from './typed-input.ts';
import { vscode } from './vscode.ts';

export class TransferCommands {
  readonly #services: Services;
  readonly #downloads: DownloadCommands;

  constructor(services: Services, downloads: DownloadCommands) {
    this.#services = services;
    this.#downloads = downloads;
  }

  pause(args: readonly unknown[]): Promise<void> {
    return this.#each(args, ['pausable'], (api, { id }) => api.pauseTransfer(id));
  }

  resume(args: readonly unknown[]): Promise<void> {
    return this.#each(args, ['resumable'], (api, { id }) => api.resumeTransfer(id));
  }

  cancel(args: readonly unknown[]): Promise<void> {
    return this.#each(args, ['cancellable'], (api, { id }) => api.cancelTransfer(id));
  }

  retry(args: readonly unknown[]): Promise<void> {
    return this.#each(args, ['retryable'], (_api, transfer) => this.#downloads.retry(transfer));
  }

  remove(args: readonly unknown[]): Promise<void> {
    return this.#each(args, ['removable', 'seeding'], (api, { id }) => api.removeTransfer(id));
  }

  async reveal(args: readonly unknown[]): Promise<void> {
    const path = this.#pathOf(args);
    const uri = vscode.Uri.file(path);
    if (vscode.workspace.getWorkspaceFolder(uri) !== undefined) {
      await vscode.commands.executeCommand('revealInExplorer', uri);
    } else if (vscode.env.uiKind === vscode.UIKind.Desktop && vscode.env.remoteName === undefined) {
      await vscode.commands.executeCommand('revealFileInOS', uri);
    } else {
      // The file manager runs on another machine than the file.
      await vscode.env.clipboard.writeText(path);
      this.#services.report.done(this.#services.t('Path copied: {0}', path));
    }
  }

  /** A file in an editor; a folder in the explorer, never as a workspace: its settings would take effect. */
  async open(args: readonly unknown[]): Promise<void> {
    const path = this.#pathOf(args);
    if ((await stat(path)).isDirectory()) await this.reveal(args);
    else await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(path));
  }

  pauseAll(): Promise<void> {
    return this.#all(['pausable'], (api, { id }) => api.pauseTransfer(id));
  }

  resumeAll(): Promise<void> {
    return this.#all(['resumable'], (api, { id }) => api.resumeTransfer(id));
  }

  stopAllSeeding(): Promise<void> {
    return this.#all(['seeding'], (api, { id }) => api.removeTransfer(id));
  }

  async setLimit(direction: 'upload' | 'download'): Promise<void> {
    const { t } = this.#services;
    const now = readLimits()[direction];
    const text = await vscode.window.showInputBox({
      title: direction === 'upload' ? t('Upload Limit') : t('Download Limit'),
      prompt: t('Megabytes per second, such as 2.5. Empty or 0: no limit.'),
      value: now === 0 ? '' : String(now / 1e6),
      validateInput: (value) => (parseLimit(value) === undefined ? t('Enter a number, such as 2.5.') : undefined),
    });
    const rate = text === undefined ? undefined : parseLimit(text);
    if (rate === undefined) return;
    await writeLimit(direction, rate);
    const limit = rate === 0 ? t('no limit') : formatRate(rate);
    this.#services.report.done(
      direction === 'upload' ? t('Upload limit: {0}', limit) : t('Download limit: {0}', limit),
    );
  }

  #pathOf(args: readonly unknown[]): string {
    const [row] = rowsOf(args, 'transfer');
    const path = row === undefined ? undefined : this.#services.state.transfers.get(row.id)?.path;
    if (path === undefined)
      throw new PeerwireError('not-found', this.#services.t('The downloaded file is not there any more.'));
    return path;
  }

  async #each(
    args: readonly unknown[],
    abilities: readonly TransferAbility[],
    act: (api: PeerApi, transfer: TransferInfo) => Promise<void>,
  ): Promise<void> {
    const ids = new Set(rowsOf(args, 'transfer').map((row) => row.id));
    await this.#all(abilities, act, (transfer) => ids.has(transfer.id));
  }

  async #all(
    abilities: readonly TransferAbility[],
    act: (api: PeerApi, transfer: TransferInfo) => Promise<void>,
    among: (transfer: TransferInfo) => boolean = () => true,
  ): Promise<void> {
    const api = await this.#services.api();
    const able = [...this.#services.state.transfers.values()].filter(
      (transfer) => among(transfer) && abilitiesOf(transfer).some((ability) => abilities.includes(ability)),
    );
    await Promise.all(able.map((transfer) => act(api, transfer)));
  }
}
