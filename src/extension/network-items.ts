/** Rows of the Network view. All text from others goes through `safeText`; tooltips are plain strings, never Markdown. */

import { formatBytes } from '../common/format-bytes.ts';
import { formatDeviceId } from '../common/ids.ts';
import type { NetworkInfo, ShareInfo, TransferInfo } from '../peer/api.ts';
import type { FileTreeFile, FileTreeFolder } from './file-tree.ts';
import { countFiles, countPeers, countShares, countSources, formatAge, formatCount } from './format.ts';
import {
  fileLabel,
  folderLabel,
  isRelayed,
  membership,
  networkLabel,
  networkState,
  personLabel,
  personName,
  shareLabel,
} from './labels.ts';
import type { Person } from './network-model.ts';
import { safeText } from './safe-text.ts';
import { capitalize, dots, isDownloading } from './transfer-model.ts';
import type { Translate } from './translate.ts';
import type { Hint } from './tree-nodes.ts';
import { vscode } from './vscode.ts';

export function networkItem(t: Translate, network: NetworkInfo): vscode.TreeItem {
  const item = new vscode.TreeItem(safeText(network.name), vscode.TreeItemCollapsibleState.Expanded);
  item.description = dots(capitalize(networkState(t, network)), network.peers > 0 && countPeers(t, network.peers));
  item.tooltip = lines(
    safeText(network.name),
    capitalize(networkState(t, network)),
    network.problem !== undefined && safeText(network.problem),
    network.trackers.length === 0
      ? t('No tracker: peers are added by address')
      : t('Trackers: {0}', network.trackers.map(safeText).join(', ')),
    network.creator
      ? t('You created this network: you can remove members, make admins and change its settings.')
      : network.admin && t('You are an admin: you can remove members and change the settings.'),
  );
  item.iconPath = new vscode.ThemeIcon('organization');
  item.contextValue = ['network', network.creator && 'creator', network.admin && 'admin'].filter(Boolean).join(':');
  item.accessibilityInformation = { label: networkLabel(t, network) };
  return item;
}

export function hintItem(t: Translate, hint: Hint, network: NetworkInfo): vscode.TreeItem {
  const item = new vscode.TreeItem(hintText(t, hint), vscode.TreeItemCollapsibleState.None);
  item.contextValue = 'hint';
  item.accessibilityInformation = { label: hintText(t, hint) };
  switch (hint) {
    case 'empty': {
      const reason = emptyReason(t, network);
      item.description = reason;
      item.tooltip = lines(hintText(t, hint), reason, t('Works on a local network without internet, too.'));
      item.iconPath = new vscode.ThemeIcon(network.problem === undefined ? 'search' : 'warning');
      item.accessibilityInformation = { label: `${hintText(t, hint)}, ${reason}` };
      return item;
    }
    case 'invite':
      item.tooltip = t('Copies an invite. Send it to a colleague: it is a link and a code in one.');
      item.iconPath = new vscode.ThemeIcon('link');
      item.command = command('peerwire.copyInvite', hintText(t, hint), network);
      return item;
    case 'diagnose':
      item.tooltip = t('Checks why nobody can be reached, and says what to do.');
      item.iconPath = new vscode.ThemeIcon('pulse');
      item.command = command('peerwire.diagnose', hintText(t, hint), network);
      return item;
  }
}

function emptyReason(t: Translate, network: NetworkInfo): string {
  if (network.problem !== undefined) return safeText(network.problem);
  return network.state === 'offline' ? t('this machine is offline') : t('looking for peers');
}

function hintText(t: Translate, hint: Hint): string {
  switch (hint) {
    case 'empty':
      return t('Nobody Else Is Here');
    case 'invite':
      return t('Copy an Invite');
    case 'diagnose':
      return t('Diagnose Connection');
  }
}

function command(id: string, title: string, network: NetworkInfo): vscode.Command {
  return { command: id, title, arguments: [{ kind: 'hint', hint: 'invite', network }] };
}

export function personItem(t: Translate, person: Person, now: number): vscode.TreeItem {
  const { Collapsed, Expanded, None } = vscode.TreeItemCollapsibleState;
  const online = person.windows.length > 0;
  const unfolded = person.folded ? Collapsed : Expanded;
  const item = new vscode.TreeItem(personName(t, person), person.shares.length > 0 ? unfolded : None);
  item.description = dots(
    presence(t, person, now),
    ...membership(t, person),
    person.shares.length === 0 && t('shares nothing yet'),
    person.ambiguous && person.words.join(' '),
  );
  item.tooltip = lines(
    safeText(person.name),
    presence(t, person, now),
    ...describeMember(t, person, now),
    countShares(t, person.shares.length),
    person.words.length > 0 && t('Words to compare aloud: {0}', person.words.join(' ')),
    t('Device: {0}', formatDeviceId(person.device)),
    online && t('Address: {0}', person.windows.map((window) => safeText(window.address)).join(', ')),
  );
  item.iconPath = online
    ? new vscode.ThemeIcon('account')
    : new vscode.ThemeIcon('account', new vscode.ThemeColor('disabledForeground'));
  item.contextValue = ['person', person.self ? 'self' : 'other', ...person.may].join(':');
  item.accessibilityInformation = { label: personLabel(t, person) };
  return item;
}

/** “Online”, or “Away, seen 2 h ago”. */
function presence(t: Translate, { windows, member }: Person, now: number): string {
  if (windows.length > 0) return t('Online');
  return member?.lastSeen === undefined ? t('Away') : t('Away, seen {0}', formatAge(t, member.lastSeen, now));
}

function describeMember(t: Translate, person: Person, now: number): (string | false)[] {
  const { member } = person;
  if (member === undefined || member.self) return [];
  const { creator, admin, inviterName, joined } = member;
  return [
    creator && t('Creator: made this network'),
    admin && !creator && t('Admin: may remove members and change the settings'),
    isRelayed(person) && t('Connected through another member, who cannot read what passes'),
    inviterName !== undefined && t('Invited by {0}', safeText(inviterName)),
    joined !== undefined && t('Joined {0}', formatAge(t, joined, now)),
  ];
}

export function shareItem(
  t: Translate,
  share: ShareInfo,
  transfers: Iterable<TransferInfo>,
  now: number,
): vscode.TreeItem {
  const { Collapsed, None } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(safeText(share.name), share.kind === 'folder' ? Collapsed : None);
  const message = share.message === undefined ? undefined : safeText(share.message);
  item.description = dots(
    message !== undefined && `“${message}”`,
    formatBytes(share.size),
    share.kind === 'folder' && countFiles(t, share.files),
    formatAge(t, share.time, now),
    share.sources === 0 ? t('only offline sources') : countSources(t, share.sources),
    takenState(t, share, transfers),
  );
  item.tooltip = lines(
    safeText(share.name),
    message,
    dots(countFiles(t, share.files), formatBytes(share.size), t('version {0}', share.version)),
    t('Shared by {0}', safeText(share.ownerName)),
    share.path !== undefined && t('From {0}', safeText(share.path)),
    share.to !== undefined && t('Limited to chosen members'),
  );
  item.iconPath = shareIcon(share);
  if (share.kind === 'file') item.resourceUri = iconUri(share.name);
  item.contextValue = `share:${share.kind}`;
  item.accessibilityInformation = { label: shareLabel(t, share) };
  return item;
}

/** Stands for the shares that are not shown: the editor takes seconds for thousands of rows. */
export function moreItem(t: Translate, count: number): vscode.TreeItem {
  const label = t('{0} More…', formatCount(count));
  const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.None);
  item.description = t('find one by its name');
  item.iconPath = new vscode.ThemeIcon('search');
  item.contextValue = 'more';
  item.command = { command: 'peerwire.findShare', title: t('Find Share') };
  item.accessibilityInformation = { label: `${label}, ${t('find one by its name')}` };
  return item;
}

/** Is this version, or an earlier one, on this machine already? */
function takenState(t: Translate, share: ShareInfo, transfers: Iterable<TransferInfo>): string | undefined {
  let state: string | undefined;
  for (const transfer of transfers) {
    if (transfer.share !== share.share || transfer.direction !== 'download') continue;
    if (transfer.infohash === share.infohash) {
      if (isDownloading(transfer)) return t('downloading');
      if (transfer.state === 'done') state = t('downloaded');
    } else if (transfer.state === 'done') {
      state ??= t('updated');
    }
  }
  return state;
}

export function folderItem(t: Translate, share: ShareInfo, folder: FileTreeFolder): vscode.TreeItem {
  const item = new vscode.TreeItem(safeText(folder.name), vscode.TreeItemCollapsibleState.Collapsed);
  item.description = dots(countFiles(t, folder.files), formatBytes(folder.size));
  item.tooltip = lines(safeText(folder.path), dots(countFiles(t, folder.files), formatBytes(folder.size)));
  item.iconPath = FOLDER_ICON;
  item.contextValue = 'folder';
  item.accessibilityInformation = { label: folderLabel(t, share, folder.path, folder.files) };
  return item;
}

export function fileItem(t: Translate, share: ShareInfo, file: FileTreeFile): vscode.TreeItem {
  const item = new vscode.TreeItem(safeText(file.name), vscode.TreeItemCollapsibleState.None);
  item.description = formatBytes(file.size);
  item.tooltip = lines(safeText(file.path), formatBytes(file.size));
  item.iconPath = vscode.ThemeIcon.File;
  item.resourceUri = iconUri(file.name);
  item.contextValue = 'file';
  item.accessibilityInformation = { label: fileLabel(t, share, file) };
  return item;
}

export function problemItem(t: Translate, message: string): vscode.TreeItem {
  const item = new vscode.TreeItem(t('The file list cannot be read now'), vscode.TreeItemCollapsibleState.None);
  item.description = safeText(message);
  item.tooltip = safeText(message);
  item.iconPath = new vscode.ThemeIcon('warning');
  item.accessibilityInformation = { label: `${t('The file list cannot be read now')}, ${safeText(message)}` };
  return item;
}

/** Not `ThemeIcon.Folder`: themes without folder icons would leave it out and set the rows beside it askew. */
const FOLDER_ICON = new vscode.ThemeIcon('file-directory');

export function shareIcon(share: Pick<ShareInfo, 'kind'>): vscode.ThemeIcon {
  switch (share.kind) {
    case 'file':
      return vscode.ThemeIcon.File;
    case 'folder':
      return FOLDER_ICON;
    case 'patch':
      return new vscode.ThemeIcon('git-pull-request');
    case 'snippet':
      return new vscode.ThemeIcon('code');
  }
}

/** Lets the icon theme choose by name. A scheme of our own, so that no Git colour or problem mark is put on the row. */
export function iconUri(name: string): vscode.Uri {
  return vscode.Uri.from({ scheme: 'peerwire-icon', path: `/${name}` });
}

export function lines(...parts: (string | false | undefined)[]): string {
  return parts.filter(Boolean).join('\n');
}
