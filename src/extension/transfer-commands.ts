import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { PeerwireError } from '../common/errors.ts';
import type { PeerApi, RecheckResult, TransferInfo, TransferPriority } from '../peer/api.ts';
import type { DownloadCommands } from './download-commands.ts';
import { formatRate, percent } from './format.ts';
import { safeText } from './safe-text.ts';
import type { Services } from './services.ts';
import { readLimits, writeLimit } from './settings.ts';
import { abilitiesOf, priorityName, type TransferAbility } from './transfer-model.ts';
import type { Translate } from './translate.ts';
import { rowsOf } from './tree-nodes.ts';
import { parseLimit } from './typed-input.ts';
import { describeVerified } from './verified.ts';
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

  /** Says what it found; each row has its own message with a button that ends it. */
  verify(args: readonly unknown[]): Promise<void> {
    return this.#each(args, ['verifiable'], async (api, transfer) => {
      const result = await this.#verifyOne(api, transfer);
      const text = describeVerified(this.#services.t, transfer, result);
      // Not awaited: a command is done when its work is, not when its message is closed.
      if (result.changed.length === 0) void vscode.window.showInformationMessage(text);
      else void vscode.window.showWarningMessage(text);
    });
  }

  async #verifyOne(api: PeerApi, { id, name }: TransferInfo): Promise<RecheckResult> {
    const operation = randomUUID();
    const title = this.#services.t('Verifying {0}', safeText(name));
    const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
    return await vscode.window.withProgress(options, async (progress, token) => {
      let shown = 0;
      const events = api.onEvent((event) => {
        if (event.event !== 'transfer' || event.transfer.id !== id || event.transfer.rechecking !== true) return;
        const now = percent(event.transfer.done, event.transfer.size);
        if (now <= shown) return;
        progress.report({ message: `${now}%`, increment: now - shown });
        shown = now;
      });
      const cancel = token.onCancellationRequested(() => void api.cancel(operation));
      try {
        return await api.recheckTransfer(id, { operation });
      } finally {
        events.dispose();
        cancel.dispose();
      }
    });
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

  async pauseAll(): Promise<void> {
    await (await this.#services.api()).pauseAll();
  }

  async resumeAll(): Promise<void> {
    await (await this.#services.api()).resumeAll();
  }

  stopAllSeeding(): Promise<void> {
    return this.#all(['seeding'], (api, { id }) => api.removeTransfer(id));
  }

  async setLimit(direction: 'upload' | 'download'): Promise<void> {
    const { t } = this.#services;
    const title = direction === 'upload' ? t('Upload Limit') : t('Download Limit');
    const rate = await this.#askLimit(title, readLimits()[direction]);
    if (rate === undefined) return;
    await writeLimit(direction, rate);
    const limit = rate === 0 ? t('no limit') : formatRate(rate);
    this.#services.report.done(
      direction === 'upload' ? t('Upload limit: {0}', limit) : t('Download limit: {0}', limit),
    );
  }

  /** A limit for these downloads alone, within the one for all. */
  async limit(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const transfers = this.#able(['pausable'], this.#among(args));
    const [first] = transfers;
    if (first === undefined) return;
    const rate = await this.#askLimit(t('Limit the Speed of {0}', namesOf(t, transfers)), first.limits.download);
    if (rate === undefined) return;
    const api = await this.#services.api();
    await Promise.all(
      transfers.map(({ id, limits }) => api.setTransferLimits(id, { upload: limits.upload, download: rate })),
    );
  }

  async prioritize(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const transfers = this.#able(['pausable'], this.#among(args));
    const [first] = transfers;
    if (first === undefined) return;
    const details: Record<TransferPriority, string> = {
      high: t('Comes before all others'),
      normal: t('Shares evenly with the others'),
      low: t('Takes what the others leave'),
    };
    const priorities: readonly TransferPriority[] = ['high', 'normal', 'low'];
    const items = priorities.map((priority) => ({
      priority,
      label: priorityName(t, priority),
      detail: details[priority],
      ...(priority === first.priority ? { description: t('now') } : {}),
    }));
    const picked = await vscode.window.showQuickPick(items, { title: t('Priority of {0}', namesOf(t, transfers)) });
    if (picked === undefined) return;
    const api = await this.#services.api();
    await Promise.all(transfers.map(({ id }) => api.setTransferPriority(id, picked.priority)));
  }

  /** Bytes per second as typed, 0 for no limit; undefined when it was cancelled. */
  async #askLimit(title: string, now: number): Promise<number | undefined> {
    const { t } = this.#services;
    const text = await vscode.window.showInputBox({
      title,
      prompt: t('Megabytes per second, such as 2.5. Empty or 0: no limit.'),
      value: now === 0 ? '' : String(now / 1e6),
      validateInput: (value) => (parseLimit(value) === undefined ? t('Enter a number, such as 2.5.') : undefined),
    });
    return text === undefined ? undefined : parseLimit(text);
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
    await this.#all(abilities, act, this.#among(args));
  }

  async #all(
    abilities: readonly TransferAbility[],
    act: (api: PeerApi, transfer: TransferInfo) => Promise<void>,
    among: (transfer: TransferInfo) => boolean = () => true,
  ): Promise<void> {
    const api = await this.#services.api();
    await Promise.all(this.#able(abilities, among).map((transfer) => act(api, transfer)));
  }

  /** Those of the rows that a command was called with. */
  #among(args: readonly unknown[]): (transfer: TransferInfo) => boolean {
    const ids = new Set(rowsOf(args, 'transfer').map((row) => row.id));
    return ({ id }) => ids.has(id);
  }

  #able(abilities: readonly TransferAbility[], among: (transfer: TransferInfo) => boolean): TransferInfo[] {
    return [...this.#services.state.transfers.values()].filter(
      (transfer) => among(transfer) && abilitiesOf(transfer).some((ability) => abilities.includes(ability)),
    );
  }
}

function namesOf(t: Translate, transfers: readonly TransferInfo[]): string {
  const [first] = transfers;
  return first !== undefined && transfers.length === 1
    ? safeText(first.name)
    : t('{0} downloads', String(transfers.length));
}
