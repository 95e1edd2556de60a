import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import nodePath from 'node:path';
import { PeerwireError } from '../common/errors.ts';
import { formatBytes } from '../common/format-bytes.ts';
import type { MemberInfo, NetworkInfo, PeerApi, ScanSummary, ShareInfo, ShareRequest } from '../peer/api.ts';
import { countFiles } from './format.ts';
import { othersIn, pickMembers } from './member-picker.ts';
import type { NetworkCommands } from './network-commands.ts';
import { isWithin, topmost } from './paths.ts';
import { messageText, safeText } from './safe-text.ts';
import type { Services } from './services.ts';
import { audienceOf, namesOf } from './share-access.ts';
import { chooseShareOptions, type ShareOptions } from './share-options.ts';
import { describeScan, listPaths } from './summary.ts';
import { uriArguments } from './uri-arguments.ts';
import { vscode } from './vscode.ts';

/** Where something is shared, and with whom: with everyone, or only with these. */
interface Audience {
  readonly network: NetworkInfo;
  readonly to?: readonly MemberInfo[];
}

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

  /** As `share`, for members that are asked for. */
  async shareWithMembers(args: readonly unknown[]): Promise<void> {
    const { t } = this.#services;
    const network = await this.#networks.networkFor([], t('Share in which network?'));
    if (network === undefined) return;
    const to = await this.#chooseMembers(network, t('Share with Members'));
    if (to === undefined) return;
    const uris = uriArguments(args);
    await this.shareUris(uris.length > 0 ? uris : await this.#askForFiles(), { network, to });
  }

  /** Asks for files, and shares them with these members only. */
  async chooseFor(network: NetworkInfo, to: readonly MemberInfo[]): Promise<void> {
    await this.shareUris(await this.#askForFiles(), { network, to });
  }

  async #chooseMembers(
    network: NetworkInfo,
    title: string,
    picked: readonly string[] = [],
  ): Promise<MemberInfo[] | undefined> {
    const { t } = this.#services;
    const others = await othersIn(this.#services, network);
    if (others.length === 0) {
      const message = t('There is nobody else in “{0}” yet. Invite somebody first.', messageText(network.name));
      throw new PeerwireError('not-found', message);
    }
    return pickMembers(this.#services, others, { title, picked });
  }

  /**
   * One share for each; the network is asked for once. Empty when the user turned back. `audience`: for whom; everyone in the
   * network that is asked for.
   */
  async shareUris(uris: readonly vscode.Uri[], audience?: Audience): Promise<ShareInfo[]> {
    const { t } = this.#services;
    const local = uris.filter((uri) => uri.scheme === 'file');
    if (uris.length > 0 && local.length === 0) {
      throw new PeerwireError('unsupported', t('Only files on disk can be shared. Save it first.'));
    }
    if (local.length === 0 || !(await this.#settleUnsaved(local))) return [];
    const network = audience?.network ?? (await this.#networks.networkFor([], t('Share in which network?')));
    if (network === undefined) return [];
    const shared: ShareInfo[] = [];
    for (const path of topmost(local.map((uri) => uri.fsPath))) {
      const share = await this.#shareOne(path, { network, ...(audience?.to ? { to: audience.to } : {}) });
      if (share === undefined) break;
      shared.push(share);
    }
    const [first] = shared;
    if (first !== undefined) {
      const name = shared.length === 1 ? `“${first.name}”` : t('{0} items', shared.length);
      const whom = audience?.to === undefined ? undefined : namesOf(t, audience.to);
      this.#services.report.done(
        whom === undefined
          ? t('{0} shared in “{1}”', name, network.name)
          : t('{0} shared in “{1}” with {2}', name, network.name, whom),
      );
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

  async #shareOne(path: string, audience: Audience): Promise<ShareInfo | undefined> {
    const api = await this.#services.api();
    const { network } = audience;
    if (!(await this.#mayWiden(path, audience))) return undefined;
    const folder = (await stat(path)).isDirectory();
    const scan = await this.#scan(api, path);
    const confirmed = await this.#confirm(path, folder, scan, audience);
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

  /** What was limited to some is not opened to everyone by sharing it once more, without a word. */
  async #mayWiden(path: string, { network, to }: Audience): Promise<boolean> {
    const { t, state } = this.#services;
    const before = state.shares.find(
      (share) => share.own && share.network === network.network && share.source === path && share.to !== undefined,
    );
    if (to !== undefined || before === undefined) return true;
    const everyone = { title: t('Share with Everyone') };
    const chosen = await vscode.window.showWarningMessage(
      t(
        '“{0}” is shared with {1} only. Share it with everyone in “{2}”?',
        messageText(before.name),
        messageText(namesOf(t, audienceOf(before, state.members) ?? [])),
        messageText(network.name),
      ),
      { modal: true },
      everyone,
    );
    return chosen === everyone;
  }

  /** A plain file goes out at once; folders, and what looks like a secret, after a word. */
  async #confirm(
    path: string,
    folder: boolean,
    scan: ScanSummary,
    { network, to }: Audience,
  ): Promise<ShareOptions | undefined> {
    const { t } = this.#services;
    const name = messageText(nodePath.basename(path));
    const whom = to === undefined ? t('everyone in “{0}”', messageText(network.name)) : messageText(namesOf(t, to));
    const [skipped] = scan.skipped;
    if (scan.files === 0 && scan.secrets.length === 0) {
      throw new PeerwireError(
        'not-found',
        skipped === undefined
          ? t('There is nothing to share in “{0}”.', name)
          : t('“{0}” cannot be shared: {1}', name, messageText(skipped.reason)),
      );
    }
    const asked: ShareOptions = to === undefined ? {} : { to: to.map(({ device }) => device) };
    if (!folder && scan.secrets.length === 0) return asked;
    if (!folder) {
      const anyway = { title: t('Share Anyway') };
      const chosen = await vscode.window.showWarningMessage(
        t('“{0}” looks like a secret. Share it with {1}?', name, whom),
        { modal: true },
        anyway,
      );
      return chosen === anyway ? { ...asked, includeSecrets: true } : undefined;
    }
    const share = { title: t('Share') };
    const choose = { title: t('Choose…') };
    const buttons = scan.files > 0 ? [share, choose] : [choose];
    const chosen = await vscode.window.showInformationMessage(
      t('Share “{0}” with {1}?', name, whom),
      { modal: true, detail: this.#describe(scan) },
      ...buttons,
    );
    if (chosen === choose) {
      const members = await othersIn(this.#services, network);
      return chooseShareOptions(this.#services, { name: nodePath.basename(path), scan, network, members, to });
    }
    return chosen === share ? asked : undefined;
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
