import type { CommandId } from './command-ids.ts';
import { countPeers, formatRate } from './format.ts';
import { countOnline } from './network-model.ts';
import type { Services } from './services.ts';
import { readLimits } from './settings.ts';
import type { TrackerHost } from './tracker-host.ts';
import { abilitiesOf, type TransferAbility } from './transfer-model.ts';
import { vscode } from './vscode.ts';

interface MenuItem extends vscode.QuickPickItem {
  readonly command?: CommandId | 'peerwire.transfers.focus' | 'peerwire.network.focus';
}

/** What the status bar item opens: only what can be done now. */
export async function showStatusMenu(services: Services, tracker: TrackerHost): Promise<void> {
  const { t, state } = services;
  const limits = readLimits();
  const limit = (rate: number): string => (rate === 0 ? t('no limit') : formatRate(rate));
  const count = (ability: TransferAbility): number =>
    [...state.transfers.values()].filter((transfer) => abilitiesOf(transfer).includes(ability)).length;
  const running = count('pausable');
  const paused = count('resumable');
  const seeding = count('seeding');
  const joined = state.networks.length > 0;
  const peers = countOnline({ peers: state.peers, device: state.status?.device });

  const items: (MenuItem | false)[] = [
    running > 0 && { command: 'peerwire.pauseAll', label: t('$(debug-pause) Pause All'), description: String(running) },
    paused > 0 && { command: 'peerwire.resumeAll', label: t('$(play) Resume All'), description: String(paused) },
    seeding > 0 && {
      command: 'peerwire.stopAllSeeding',
      label: t('$(circle-slash) Stop Seeding'),
      description: seeding === 1 ? t('1 finished download') : t('{0} finished downloads', seeding),
    },
    {
      command: 'peerwire.setDownloadLimit',
      label: t('$(arrow-down) Download Limit…'),
      description: limit(limits.download),
    },
    { command: 'peerwire.setUploadLimit', label: t('$(arrow-up) Upload Limit…'), description: limit(limits.upload) },
    { label: '', kind: vscode.QuickPickItemKind.Separator },
    { command: 'peerwire.network.focus', label: t('$(broadcast) Show Network'), description: countPeers(t, peers) },
    { command: 'peerwire.transfers.focus', label: t('$(list-unordered) Show Transfers') },
    joined && { command: 'peerwire.findShare', label: t('$(search) Find Share…') },
    joined && { command: 'peerwire.shareFiles', label: t('$(add) Share…') },
    joined && { command: 'peerwire.invite', label: t('$(person-add) Invite…') },
    !joined && { command: 'peerwire.createNetwork', label: t('$(add) Create a Network…') },
    { command: 'peerwire.joinNetwork', label: t('$(link-external) Join with an Invite…') },
    { label: '', kind: vscode.QuickPickItemKind.Separator },
    joined && { command: 'peerwire.addPeer', label: t('$(plug) Add Peer by Address…') },
    { command: 'peerwire.diagnose', label: t('$(pulse) Diagnose Connection') },
    tracker.url === undefined
      ? { command: 'peerwire.hostTracker', label: t('$(server) Host a Tracker') }
      : { command: 'peerwire.stopTracker', label: t('$(server) Stop the Tracker'), description: tracker.url },
    { command: 'peerwire.showLog', label: t('$(output) Show Log') },
  ];
  const picked = await vscode.window.showQuickPick(
    items.filter((item) => item !== false),
    { title: t('Peerwire'), placeHolder: t('This device: {0}', state.status?.name ?? t('not connected')) },
  );
  if (picked?.command !== undefined) await vscode.commands.executeCommand(picked.command);
}
