/** The composition root: every part is made here, once, and given what it needs. */
import nodePath from 'node:path';
import { DisposableList } from '../common/disposable.ts';
import { errorMessage } from '../common/errors.ts';
import { prefixed } from '../common/log.ts';
import type { PeerApi, ShareInfo } from '../peer/api.ts';
import { ConnectionCommands } from './connection-commands.ts';
import { withPeerInDevelopment } from './development-api.ts';
import { diagnoseConnection } from './diagnose-view.ts';
import { DownloadCommands } from './download-commands.ts';
import { findShare } from './find-share.ts';
import { InviteCommands } from './invite-commands.ts';
import { InviteOffers } from './invite-offers.ts';
import { JoinUriHandler } from './join-uri-handler.ts';
import { MemberCommands } from './member-commands.ts';
import { NetworkCommands } from './network-commands.ts';
import { NetworkSettingsCommands } from './network-settings-commands.ts';
import { NetworkView } from './network-view.ts';
import { OwnShareCommands } from './own-share-commands.ts';
import { PeerClient } from './peer-client.ts';
import { PeerContext } from './peer-context.ts';
import { peerLauncher } from './peer-launcher.ts';
import { PeerState } from './peer-state.ts';
import type { PeerwireExtensionApi, PeerwireShare } from './peerwire-extension-api.ts';
import { registerCommands } from './register-commands.ts';
import { Reporter } from './reporter.ts';
import type { Services } from './services.ts';
import { readPeerSettings, START_SETTINGS } from './settings.ts';
import { ShareCommands } from './share-commands.ts';
import { ShareDrops } from './share-drops.ts';
import { SharedDecorations } from './shared-decorations.ts';
import { SharesView } from './shares-view.ts';
import { StatusBar } from './status-bar.ts';
import { showStatusMenu } from './status-menu.ts';
import { TrackerHost } from './tracker-host.ts';
import { TransferCommands } from './transfer-commands.ts';
import { TransferWatcher } from './transfer-watcher.ts';
import { TransfersView } from './transfers-view.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

export function compose(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
): { api: PeerwireExtensionApi; client: PeerClient } {
  const t: Translate = vscode.l10n.t;
  const owned = new DisposableList();
  context.subscriptions.push(owned);
  const report = new Reporter(log, t);

  const client = owned.add(new PeerClient(peerLauncher(context, log, () => report.secretsForgotten())));
  const state = owned.add(
    new PeerState((error) => log.warn(`[ui] a question was not answered: ${errorMessage(error)}`)),
  );
  const tracker = owned.add(
    new TrackerHost(context.asAbsolutePath('dist/tracker.js'), context.globalState, prefixed(log, 'tracker'), t),
  );
  const api = async (): Promise<PeerApi> => {
    const peer = await client.api();
    await state.ready;
    return peer;
  };
  const memory = owned.add(new PeerContext(client, state, tracker, context.globalState));

  const services: Services = { context, api, state, report, t };
  const offers = new InviteOffers(context.globalState, t);
  const networks = new NetworkCommands(services, tracker, offers);
  const shares = new ShareCommands(services, networks);
  const ownShares = new OwnShareCommands(services);
  const invites = new InviteCommands(services, networks, offers);
  const networkSettings = new NetworkSettingsCommands(services, networks);
  const members = new MemberCommands(services, networks, shares);
  const downloads = new DownloadCommands(services);
  const transfers = new TransferCommands(services, downloads);
  const connection = new ConnectionCommands(services, tracker);
  const joinWith = (invite: string): Promise<void> => networks.joinWith(invite);

  const uploads = nodePath.join(context.globalStorageUri.fsPath, 'dropped');
  const networkView = owned.add(new NetworkView(state, services.api, t));
  owned.add(new SharesView(state, new ShareDrops((uris) => shares.shareUris(uris), uploads, report, t), t));
  owned.add(new TransfersView(state, t));
  owned.add(new StatusBar(state, t));
  owned.add(new SharedDecorations(state, t));
  owned.add(
    new TransferWatcher(state, (transfer, error) => {
      void report.error(error, { what: transfer.name, retry: () => downloads.retry(transfer) });
    }),
  );
  owned.add(vscode.window.registerUriHandler(new JoinUriHandler(joinWith, report)));
  owned.add(networkView.view.onDidChangeVisibility(({ visible }) => visible && onLook()));

  owned.add(
    registerCommands(
      {
        'peerwire.createNetwork': () => networks.create(),
        'peerwire.joinNetwork': (...args) => networks.join(args),
        'peerwire.pasteInvite': () => networks.paste(),
        'peerwire.copyInvite': (...args) => invites.copy(args),
        'peerwire.invite': (...args) => invites.invite(args),
        'peerwire.manageInvites': (...args) => invites.manage(args),
        'peerwire.renameNetwork': (...args) => networkSettings.rename(args),
        'peerwire.manageTrackers': (...args) => networkSettings.trackers(args),
        'peerwire.leaveNetwork': (...args) => networks.leave(args),
        'peerwire.shareWithMember': (...args) => members.share(args),
        'peerwire.compareWords': (...args) => members.compareWords(args),
        'peerwire.makeAdmin': (...args) => members.makeAdmin(args),
        'peerwire.revokeMember': (...args) => members.revoke(args),
        'peerwire.addPeer': () => connection.addPeer(),
        'peerwire.shareWithPeers': (...args) => shares.share(args),
        'peerwire.shareWithMembers': (...args) => shares.shareWithMembers(args),
        'peerwire.shareFiles': () => shares.choose(),
        'peerwire.changeAccess': (...args) => ownShares.changeAccess(args),
        'peerwire.stopSharing': (...args) => ownShares.stop(args),
        'peerwire.copyShareId': (...args) => ownShares.copyId(args),
        'peerwire.findShare': () => findShare(services, downloads),
        'peerwire.download': (...args) => downloads.download(args),
        'peerwire.downloadTo': (...args) => downloads.downloadTo(args),
        'peerwire.pauseTransfer': (...args) => transfers.pause(args),
        'peerwire.resumeTransfer': (...args) => transfers.resume(args),
        'peerwire.limitTransfer': (...args) => transfers.limit(args),
        'peerwire.prioritizeTransfer': (...args) => transfers.prioritize(args),
        'peerwire.cancelTransfer': (...args) => transfers.cancel(args),
        'peerwire.retryTransfer': (...args) => transfers.retry(args),
        'peerwire.removeTransfer': (...args) => transfers.remove(args),
        'peerwire.verifyTransfer': (...args) => transfers.verify(args),
        'peerwire.stopSeeding': (...args) => transfers.remove(args),
        'peerwire.revealDownload': (...args) => transfers.reveal(args),
        'peerwire.openDownload': (...args) => transfers.open(args),
        'peerwire.pauseAll': () => transfers.pauseAll(),
        'peerwire.resumeAll': () => transfers.resumeAll(),
        'peerwire.stopAllSeeding': () => transfers.stopAllSeeding(),
        'peerwire.setUploadLimit': () => transfers.setLimit('upload'),
        'peerwire.setDownloadLimit': () => transfers.setLimit('download'),
        'peerwire.hostTracker': () => connection.hostTracker(),
        'peerwire.stopTracker': () => connection.stopTracker(),
        'peerwire.diagnose': () => diagnoseConnection(services),
        'peerwire.showLog': () => log.show(true),
        'peerwire.statusMenu': () => showStatusMenu(services, tracker),
        'peerwire.restartPeer': () => client.restart(),
      },
      report,
    ),
  );

  follow(client, state, report, owned);
  if (memory.hasNetworks) wake();
  const offered = publicApi(state, (uris) => shares.shareUris(uris), owned);
  return { api: withPeerInDevelopment(offered, services.api), client };

  function wake(): void {
    services.api().catch((error: unknown) => report.error(error));
    void tracker.resume();
  }

  /** Somebody opened the view: another window may have joined a network since, or an invite may have been copied. */
  function onLook(): void {
    if (memory.hasNetworks && client.state === 'stopped') wake();
    offers.offer(joinWith).catch((error: unknown) => report.error(error));
  }
}

/** Ties the peer to what is shown of it, and to the settings that it obeys. */
function follow(client: PeerClient, state: PeerState, report: Reporter, owned: DisposableList): void {
  owned.add(client.onApi((api) => state.attach(api)));
  owned.add(client.onApi((api) => api?.onEvent((event) => event.event === 'notice' && report.notice(event))));
  owned.add(
    client.onDeath(({ error, restarting }) => {
      if (restarting) report.restarted();
      else void report.error(error);
    }),
  );
  owned.add(
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (client.state !== 'running') return;
      void applySettings(change, client).catch((error: unknown) => report.error(error));
    }),
  );
}

async function applySettings(change: vscode.ConfigurationChangeEvent, client: PeerClient): Promise<void> {
  const { deviceName, limits } = readPeerSettings();
  if (START_SETTINGS.some((setting) => change.affectsConfiguration(setting))) return client.restart();
  const api = await client.api();
  if (change.affectsConfiguration('peerwire.transfer')) await api.setLimits(limits);
  if (change.affectsConfiguration('peerwire.device.name') && deviceName !== undefined)
    await api.setDeviceName(deviceName);
}

function publicApi(
  state: PeerState,
  share: (uris: readonly vscode.Uri[]) => Promise<ShareInfo[]>,
  owned: DisposableList,
): PeerwireExtensionApi {
  const changes = owned.add(new vscode.EventEmitter<void>());
  owned.add(state.onDidChange((part) => (part === 'networks' || part === 'shares') && changes.fire()));
  return {
    version: 1,
    networks: () => state.networks.map(({ network, name, peers }) => ({ id: network, name, peers })),
    shares: () => state.shares.map(publicShare),
    onDidChange: changes.event,
    share: async (uris) => (await share(uris)).map(publicShare),
  };
}

function publicShare({ share, network, name, kind, size, files, ownerName, own }: ShareInfo): PeerwireShare {
  return { id: share, network, name, kind, size, files, ownerName, own };
}
