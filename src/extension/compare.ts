import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import nodePath from 'node:path';
import { PeerwireError } from '../common/errors.ts';
import type { DownloadPlan, TransferInfo } from '../peer/api.ts';
import { plannedPath } from './landing.ts';
import type { PeerState } from './peer-state.ts';
import { safeText } from './safe-text.ts';
import type { Services } from './services.ts';
import { vscode } from './vscode.ts';

/** Milliseconds for which a compared copy is kept. */
const KEPT = 24 * 60 * 60 * 1000;

/**
 * Opens the user's file and the peer's side by side. The peer's is fetched into a private folder, where nothing runs it.
 */
export async function compareWithMine(services: Services, plan: DownloadPlan, path: string): Promise<void> {
  const { t, context } = services;
  const api = await services.api();
  const folder = await temporaryFolder(nodePath.join(context.globalStorageUri.fsPath, 'compare'));
  const transfer = await api.download({
    share: plan.share.share,
    destination: folder,
    onConflict: 'overwrite',
    allowRisky: true,
    ...(plan.share.kind === 'folder' ? { file: path } : {}),
  });
  const theirs = await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: t('Fetching {0} to compare', safeText(path)),
      cancellable: true,
    },
    async (_progress, token) => {
      const cancelled = token.onCancellationRequested(() => void api.cancelTransfer(transfer.id));
      try {
        return await finished(services.state, transfer);
      } finally {
        cancelled.dispose();
      }
    },
  );
  // The copy is for looking at: it is neither a row nor a source.
  await api.removeTransfer(transfer.id);
  const name = safeText(nodePath.posix.basename(path));
  await vscode.commands.executeCommand(
    'vscode.diff',
    vscode.Uri.file(plannedPath(plan, path)),
    vscode.Uri.file(theirs),
    t('{0}: yours ↔ from {1}', name, safeText(plan.share.ownerName)),
    { preview: true },
  );
}

/** A new folder in `parent`. Those of other days are deleted; until then, a reloaded window finds its tabs' files. */
async function temporaryFolder(parent: string): Promise<string> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (const name of await readdir(parent)) {
    const path = nodePath.join(parent, name);
    if (Date.now() - (await stat(path)).mtimeMs > KEPT) await rm(path, { recursive: true, force: true });
  }
  return mkdtemp(nodePath.join(parent, 'theirs-'));
}

/** The path of the placed file; rejects when the transfer fails or is removed. */
function finished(state: PeerState, transfer: TransferInfo): Promise<string> {
  return new Promise((resolve, reject) => {
    const look = (): boolean => {
      const now = state.transfers.get(transfer.id);
      if (now?.state === 'done' && now.path !== undefined) resolve(now.path);
      else if (now?.state === 'failed') reject(new PeerwireError('io', now.error?.message ?? 'The transfer failed.'));
      else if (now === undefined && seen) reject(new PeerwireError('cancelled', 'The transfer was cancelled.'));
      else {
        seen ||= now !== undefined;
        return false;
      }
      return true;
    };
    let seen = false;
    if (look()) return;
    const subscription = state.onDidChange((part) => {
      if (part === 'transfers' && look()) subscription.dispose();
    });
  });
}
