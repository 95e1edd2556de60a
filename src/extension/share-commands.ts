import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import nodePath from 'node:path';
import { PeerwireError } from '../common/errors.ts';
import { formatBytes } from '../common/format-bytes.ts';
import type { NetworkInfo, PeerApi, ScanSummary, ShareInfo, ShareRequest } from '../peer/api.ts';
import { countFiles, countPeers } from './format.ts';
import { kindName } from './labels.ts';
import type { NetworkCommands } from './network-commands.ts';
import { isWithin, topmost } from './paths.ts';
import { iconlessText, messageText, safeText } from './safe-text.ts';
import type { Services } from './services.ts';
import { chooseShareOptions, type ShareOptions } from './share-options.ts';
import { describeScan, listPaths } from './summary.ts';
import { rowsOf } from './tree-nodes.ts';
import { uriArguments } from './uri-arguments.ts';
import { vscode } from './vscode.ts';

export class ShareCommands {
  readonly #services: Services;
  readonly #networks: NetworkCommands;

  constructor(services: Services, networks: NetworkCommands) {
    this.#services = services;
    this.#networks = networks;
  }

  /** From the explorer, an editor's tab, or the palette: there the active editor, else asks. */
  async share(args: readonly unknown[]): Promise<void> {
    const uris = uriArguments(args);
    await this.shareUris(uris.length > 0 ? uris : await this.#askForFiles());
  }

  /** From a view, the status bar's menu or the walkthrough: always asks. */
  async choose(): Promise<void> {
    await this.shareUris(await this.#askForFiles());
  }

  /** One share for each; the network is asked for once. Empty when the user turned back. */
  async shareUris(uris: readonly vscode.Uri[]): Promise<ShareInfo[]> {
    const { t } = this.#services;
    const local = uris.filter((uri) => uri.scheme === 'file');
    if (uris.length > 0 && local.length === 0) {
      throw new PeerwireError('unsupported', t('Only files on disk can be shared. Save it first.'));
    }
    if (local.length === 0 || !(await this.#settleUnsaved(local))) return [];
    const network = await this.#networks.networkFor([], t('Share in which network?'));
    if (network === undefined) return [];
    const shared: ShareInfo[] = [];
    for (const path of topmost(local.map((uri) => uri.fsPath))) {
      const share = await this.#shareOne(path, network);
      if (share === undefined) break;
      shared.push(share);
    }
    const [first] = shared;
    if (first !== undefined) {
      const name = shared.length === 1 ? `“${first.name}”` : t('{0} items', shared.length);
      this.#services.report.done(t('{0} shared in “{1}”', name, network.name));
    }
    return shared;
  }

  async #askForFiles(): Promise<vscode.Uri[]> {
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const { t } = this.#services;
    const kinds = await this.#askForKinds();
    if (kinds === undefined) return [];
    const chosen = await vscode.window.showOpenDialog({
      ...kinds,
      canSelectMany: true,
      openLabel: t('Share'),
      title: t('Share with Peers'),
      ...(folder === undefined ? {} : { defaultUri: folder }),
    });
    return chosen ?? [];
  }

  /** The dialogs of Windows and Linux offer files or folders, not both. */
  async #askForKinds(): Promise<{ canSelectFiles: boolean; canSelectFolders: boolean } | undefined> {
    const { t } = this.#services;
    const ownDialog = vscode.env.uiKind === vscode.UIKind.Web || vscode.env.remoteName !== undefined;
    if (ownDialog || process.platform === 'darwin') return { canSelectFiles: true, canSelectFolders: true };
    const files = { label: t('Files…'), canSelectFiles: true, canSelectFolders: false };
    const folders = { label: t('Folders…'), canSelectFiles: false, canSelectFolders: true };
    return vscode.window.showQuickPick([files, folders], { placeHolder: t('Share what?') });
  }

  /** What is on disk is shared, so unsaved text needs a word first. */
  async #settleUnsaved(uris: readonly vscode.Uri[]): Promise<boolean> {
    const { t } = this.#services;
    const unsaved = vscode.workspace.textDocuments.filter(
      (document) => document.isDirty && uris.some((uri) => isWithin(uri.fsPath, document.uri.fsPath)),
    );
    if (unsaved.length === 0) return true;
    const save = { title: t('Save and Share') };
    const asIs = { title: t('Share as Saved') };
    const chosen = await vscode.window.showWarningMessage(
      t('There are unsaved changes.'),
      {
        modal: true,
        detail: listPaths(
          t,
          unsaved.map((document) => vscode.workspace.asRelativePath(document.uri)),
        ),
      },
      save,
      asIs,
    );
    if (chosen === save) {
      const saved = await Promise.all(unsaved.map((document) => document.save()));
      return saved.every(Boolean);
    }
    return chosen === asIs;
  }

  async #shareOne(path: string, network: NetworkInfo): Promise<ShareInfo | undefined> {
    const api = await this.#services.api();
    const folder = (await stat(path)).isDirectory();
    const scan = await this.#scan(api, path);
    const confirmed = await this.#confirm(path, folder, scan, network);
    if (confirmed === undefined) return undefined;
    const relativePath = relativeToWorkspace(path);
    return this.#publish(api, {
      path,
      network: network.network,
      ...confirmed,
      ...(relativePath === undefined ? {} : { relativePath }),
    });
  }

  #scan(api: PeerApi, path: string): Promise<ScanSummary> {
    const { t } = this.#services;
    const title = t('Looking through “{0}”', messageText(nodePath.basename(path)));
    return cancellable(
      api,
      title,
      (_phase, done) => countFiles(t, done),
      (operation) => api.scan({ paths: [path], operation }),
    );
  }

  #publish(api: PeerApi, request: ShareRequest): Promise<ShareInfo> {
    const { t } = this.#services;
    return cancellable(
      api,
      t('Sharing “{0}”', messageText(nodePath.basename(request.path))),
      (phase, done, total) =>
        phase === 'hashing' ? t('{0} of {1}', formatBytes(done), formatBytes(total)) : countFiles(t, done),
      (operation) => api.share({ ...request, operation }),
    );
  }

  /** A plain file goes out at once; folders, and what looks like a secret, after a word. */
  async #confirm(
    path: string,
    folder: boolean,
    scan: ScanSummary,
    network: NetworkInfo,
  ): Promise<ShareOptions | undefined> {
    const { t } = this.#services;
    const name = messageText(nodePath.basename(path));
    const [skipped] = scan.skipped;
    if (scan.files === 0 && scan.secrets.length === 0) {
      throw new PeerwireError(
        'not-found',
        skipped === undefined
          ? t('There is nothing to share in “{0}”.', name)
          : t('“{0}” cannot be shared: {1}', name, messageText(skipped.reason)),
      );
    }
    if (!folder && scan.secrets.length === 0) return {};
    if (!folder) {
      const anyway = { title: t('Share Anyway') };
      const chosen = await vscode.window.showWarningMessage(
        t('“{0}” looks like a secret. Share it with everyone in “{1}”?', name, messageText(network.name)),
        { modal: true },
        anyway,
      );
      return chosen === anyway ? { includeSecrets: true } : undefined;
    }
    const share = { title: t('Share') };
    const choose = { title: t('Choose…') };
    const buttons = scan.files > 0 ? [share, choose] : [choose];
    const chosen = await vscode.window.showInformationMessage(
      t('Share “{0}” with everyone in “{1}”?', name, messageText(network.name)),
      { modal: true, detail: this.#describe(scan) },
      ...buttons,
    );
    if (chosen === choose) return chooseShareOptions(this.#services, nodePath.basename(path), scan, network);
    return chosen === share ? {} : undefined;
  }

  #describe(scan: ScanSummary): string {
    const { t } = this.#services;
    const skipped = scan.skipped.map(({ path, reason }) => `${safeText(path)} (${safeText(reason)})`);
    return [
      describeScan(t, scan),
      scan.secrets.length > 0 &&
        `\n${t('Left out, because they look like secrets:')}\n${listPaths(t, scan.secrets, 6)}`,
      skipped.length > 0 && `\n${t('Cannot be shared:')}\n${listPaths(t, skipped, 4)}`,
    ]
      .filter(Boolean)
      .join('\n');
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

  async #pickOwn(own: readonly ShareInfo[]): Promise<ShareInfo[]> {
    const { t } = this.#services;
    if (own.length === 0) throw new PeerwireError('not-found', t('You share nothing.'));
    const items = own.map((share) => ({
      label: iconlessText(share.name),
      description: `${kindName(t, share)}, ${formatBytes(share.size)}`,
      share,
    }));
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

/** Runs a long call of the peer under a notification with its progress and a button to cancel it. */
function cancellable<T>(
  api: PeerApi,
  title: string,
  describe: (phase: 'scanning' | 'hashing', done: number, total: number) => string,
  call: (operation: string) => Promise<T>,
): Promise<T> {
  const operation = randomUUID();
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  return Promise.resolve(
    vscode.window.withProgress(options, async (progress, token) => {
      let shown = 0;
      const events = api.onEvent((event) => {
        if (event.event !== 'progress' || event.operation !== operation) return;
        const now = event.total > 0 ? (event.done / event.total) * 100 : 0;
        progress.report({
          message: describe(event.phase, event.done, event.total),
          ...(now > shown ? { increment: now - shown } : {}),
        });
        shown = Math.max(shown, now);
      });
      const cancel = token.onCancellationRequested(() => void api.cancel(operation));
      try {
        return await call(operation);
      } finally {
        events.dispose();
        cancel.dispose();
      }
    }),
  );
}

/** `/`-separated; undefined outside every workspace folder, and for such a folder itself. */
function relativeToWorkspace(path: string): string | undefined {
  const root = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(path))?.uri.fsPath;
  const relative = root === undefined ? '' : nodePath.relative(root, path);
  return relative === '' ? undefined : relative.split(nodePath.sep).join('/');
}
