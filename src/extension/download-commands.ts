import { realpath } from 'node:fs/promises';
import nodePath from 'node:path';
import { systemCode } from '../common/errors.ts';
import type { DownloadPlan, ShareInfo, TransferInfo } from '../peer/api.ts';
import { compareWithMine } from './compare.ts';
import { askConflicts } from './conflict-prompt.ts';
import { type ConflictChoice, conflictsOf, downloadRequests } from './conflicts.ts';
import { landingFolders, plannedPath, riskyLandings } from './landing.ts';
import { isWithin } from './paths.ts';
import { messageText } from './safe-text.ts';
import type { Services } from './services.ts';
import { listPaths } from './summary.ts';
import { rowsOf } from './tree-nodes.ts';
import { vscode } from './vscode.ts';

/** What to fetch and where to. */
interface Order {
  readonly share: ShareInfo;
  /** Only this file of a folder share. */
  readonly file?: string;
  /** Folder that receives the share under its own name. */
  readonly destination: string;
  /** What the user chose, workspace or folder: the owner's hint may only choose within it. */
  readonly root: string;
}

export class DownloadCommands {
  readonly #services: Services;
  /** By transfer: to ask again when a file got in the way in the meantime. */
  readonly #orders = new Map<string, Order>();

  constructor(services: Services) {
    this.#services = services;
  }

  /** Into the workspace, at the share's own place; asks for a folder when there is no workspace. */
  async download(args: readonly unknown[]): Promise<void> {
    const folders = vscode.workspace.workspaceFolders?.filter((folder) => folder.uri.scheme === 'file') ?? [];
    if (folders.length === 0) return this.downloadTo(args);
    const folder =
      folders.length === 1
        ? folders[0]
        : await vscode.window.showWorkspaceFolderPick({ placeHolder: this.#services.t('Download into which folder?') });
    if (folder === undefined) return;
    const root = folder.uri.fsPath;
    for (const { share, file } of wanted(args)) {
      const destination = await confined(root, nodePath.join(root, ...landingFolders(share)));
      await this.#fetch({ share, destination, root, ...file });
    }
  }

  async downloadTo(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const items = wanted(args);
    if (items.length === 0) return;
    const chosen = await vscode.window.showOpenDialog({
      canSelectFiles: false,
      canSelectFolders: true,
      canSelectMany: false,
      openLabel: t('Download Here'),
      title: t('Download to Which Folder?'),
    });
    const root = chosen?.[0]?.fsPath;
    if (root === undefined) return;
    for (const { share, file } of items) await this.#fetch({ share, destination: root, root, ...file });
  }

  /** Starts a failed transfer over; when a file got in the way, asks what to do with it. */
  async retry(transfer: TransferInfo): Promise<void> {
    const order = this.#orders.get(transfer.id);
    const api = await this.#services.api();
    if (transfer.error?.code === 'exists' && order !== undefined) {
      await api.cancelTransfer(transfer.id);
      await this.#fetch(order);
    } else {
      await api.resumeTransfer(transfer.id);
    }
  }

  async #fetch(order: Order): Promise<void> {
    const api = await this.#services.api();
    const { share, file, destination } = order;
    const only = file === undefined ? {} : { file };
    const plan = await vscode.window.withProgress({ location: { viewId: 'peerwire.network' } }, () =>
      api.plan({ share: share.share, destination, ...only }),
    );
    if (plan.missing === 0 && plan.different === 0) return this.#sayAlreadyThere(plan);

    const risky = riskyLandings(plan, order.root);
    if (risky.length > 0 && !(await this.#confirmRisky(plan, risky))) return;
    const asked =
      conflictsOf(plan).length === 0
        ? new Map<string, ConflictChoice>()
        : await askConflicts(this.#services.t, plan, (path) => compareWithMine(this.#services, plan, path));
    if (asked === undefined) return;
    const choices = await this.#spareDirtyEditors(plan, asked);
    if (choices === undefined) return;

    const requests = downloadRequests({ plan, destination, choices, allowRisky: risky.length > 0, ...only });
    if (requests.length === 0) return this.#sayAlreadyThere(plan);
    for (const request of requests) {
      const transfer = await api.download(request);
      this.#orders.set(transfer.id, request.file === undefined ? order : { ...order, file: request.file });
    }
    await this.#showFirst();
  }

  #sayAlreadyThere(plan: DownloadPlan): void {
    const { t } = this.#services;
    this.#services.report.done(
      plan.different === 0
        ? t('You have “{0}” already: nothing to download', plan.share.name)
        : t('Kept yours: nothing to download'),
    );
  }

  async #confirmRisky(plan: DownloadPlan, risky: readonly string[]): Promise<boolean> {
    const { t } = this.#services;
    const download = { title: t('Download Anyway') };
    const chosen = await vscode.window.showWarningMessage(
      t('“{0}” contains files that editors or shells run by themselves.', messageText(plan.share.name)),
      {
        modal: true,
        detail: `${listPaths(t, risky)}\n\n${t('Download them only if you trust {0}.', messageText(plan.share.ownerName))}`,
      },
      download,
    );
    return chosen === download;
  }

  /** A file that is being edited is replaced only when the user says so; undefined when they turned back. */
  async #spareDirtyEditors(
    plan: DownloadPlan,
    choices: ReadonlyMap<string, ConflictChoice>,
  ): Promise<ReadonlyMap<string, ConflictChoice> | undefined> {
    const { t } = this.#services;
    const unsaved = new Set(unsavedPaths());
    const endangered = plan.files.filter(
      (file) =>
        file.state !== 'same' &&
        (choices.get(file.path) ?? 'theirs') === 'theirs' &&
        unsaved.has(plannedPath(plan, file.path)),
    );
    if (endangered.length === 0) return choices;
    const keep = { title: t('Keep Mine') };
    const replace = { title: t('Replace on Disk') };
    const canKeep = endangered.every((file) => file.state === 'different');
    const chosen = await vscode.window.showWarningMessage(
      t('Some of these files have unsaved changes in an editor.'),
      {
        modal: true,
        detail: `${listPaths(
          t,
          endangered.map((file) => file.path),
        )}\n\n${t('Your unsaved text stays in the editor; saving will ask which one to keep.')}`,
      },
      ...(canKeep ? [keep, replace] : [replace]),
    );
    if (chosen === replace) return choices;
    if (chosen !== keep) return undefined;
    return new Map([...choices, ...endangered.map((file) => [file.path, 'mine'] as const)]);
  }

  /** The first download ever opens the Transfers view, so that people know where it is; later ones leave them alone. */
  async #showFirst(): Promise<void> {
    const { globalState } = this.#services.context;
    if (globalState.get('peerwire.downloaded', false)) return;
    await globalState.update('peerwire.downloaded', true);
    await vscode.commands.executeCommand('peerwire.transfers.focus');
  }
}

function wanted(args: readonly unknown[]): { share: ShareInfo; file: { file?: string } }[] {
  return rowsOf(args, 'share', 'file').map((row) => ({
    share: row.share,
    file: row.kind === 'file' && row.share.kind === 'folder' ? { file: row.file.path } : {},
  }));
}

/** The place that the owner's hint names, unless a link on the way leads out of the workspace: then the workspace itself. */
async function confined(root: string, destination: string): Promise<string> {
  const real = await realpath(root);
  for (let folder = destination; isWithin(root, folder); folder = nodePath.dirname(folder)) {
    try {
      return isWithin(real, await realpath(folder)) ? destination : root;
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') return root;
    }
    if (folder === root) break;
  }
  return root;
}

function unsavedPaths(): string[] {
  return [...vscode.workspace.textDocuments, ...vscode.workspace.notebookDocuments]
    .filter((document) => document.isDirty && document.uri.scheme === 'file')
    .map((document) => document.uri.fsPath);
}
