/**
 * The accessible name of every row, status item and badge: what a screen reader says and what the editor tests look for
 * (`getByRole('treeitem', { name })`). Stable on purpose: each begins with the thing's own name, says its state in words,
 * and leaves out what changes by the second (rates, percentages, ages). Change one here and its tests change with it.
 *
 *   network      Team, network, connected, 2 peers
 *   hint         Nobody Else Is Here, <reason> | Copy an Invite | Diagnose Connection
 *   person       ann@laptop, online, creator, 3 shares          (or “admin”; then “via relay”; own: “Your other windows, online, 1 share”)
 *                ben@desktop, away, 0 shares
 *   share        report.pdf, file, 3.1 MB, from ann@laptop, 2 sources
 *                docs, folder, 214 files, 3.1 MB, from ann@laptop, only offline sources
 *   folder       guide, folder, 12 files, in docs
 *   file         guide/intro.md, file, 10 KB, in docs
 *   own share    report.pdf, file, 3.1 MB, shared by you        (+ “, only with ben, cleo” and “, publishing a change” | “, source is missing”)
 *   drop         Share Files or Folders…, or drop them here     (while nothing is shared)
 *   group        Active transfers, 2
 *   transfer     report.pdf, download, done, seeding
 *                report.pdf, download, failed, <reason>
 *   status bar   Peerwire: 2 peers, downloading at 48 MB/s
 */
import { formatBytes } from '../common/format-bytes.ts';
import type { NetworkInfo, ShareFile, ShareInfo, TransferInfo } from '../peer/api.ts';
import { countFiles, countPeers, countShares, countSources, formatRate } from './format.ts';
import type { Person } from './network-model.ts';
import { safeText } from './safe-text.ts';
import { groupName, stateName, type TransferGroup } from './transfer-model.ts';
import type { Translate } from './translate.ts';

export function networkLabel(t: Translate, network: NetworkInfo): string {
  return list(safeText(network.name), t('network'), networkState(t, network), countPeers(t, network.peers));
}

/** Not colour alone, but a word: connected, looking for peers, offline. */
export function networkState(t: Translate, network: NetworkInfo): string {
  switch (network.state) {
    case 'connected':
      return t('connected');
    case 'looking':
      return t('looking for peers');
    case 'offline':
      return t('offline');
  }
}

export function personLabel(t: Translate, person: Person): string {
  const state = person.windows.length > 0 ? t('online') : t('away');
  return list(personName(t, person), state, ...membership(t, person), countShares(t, person.shares.length));
}

/** What sets a member apart, in words. */
export function membership(t: Translate, person: Pick<Person, 'member' | 'self' | 'windows'>): (string | false)[] {
  const { member, self } = person;
  if (self) return [];
  return [
    member?.creator === true && t('creator'),
    member?.admin === true && !member.creator && t('admin'),
    isRelayed(person) && t('via relay'),
  ];
}

/** Connected, but to none of its windows directly. */
export function isRelayed({ windows }: Pick<Person, 'windows'>): boolean {
  return windows.length > 0 && windows.every(({ via }) => via === 'relay');
}

export function personName(t: Translate, person: Pick<Person, 'self' | 'name'>): string {
  if (person.self) return t('Your other windows');
  return safeText(person.name) || t('Unnamed device');
}

export function shareLabel(t: Translate, share: ShareInfo): string {
  const sources = share.sources === 0 ? t('only offline sources') : countSources(t, share.sources);
  return list(...shareFacts(t, share), t('from {0}', safeText(share.ownerName)), sources);
}

/** `audience`: the names of those that it is limited to. */
export function ownShareLabel(t: Translate, share: ShareInfo, audience?: string): string {
  const only = audience !== undefined && t('only with {0}', safeText(audience));
  return list(...shareFacts(t, share), t('shared by you'), only, ownShareState(t, share));
}

export function ownShareState(t: Translate, share: ShareInfo): string | undefined {
  if (share.state === 'hashing') return t('publishing a change');
  if (share.state === 'missing') return t('source is missing');
  return undefined;
}

export function folderLabel(t: Translate, share: ShareInfo, path: string, files: number): string {
  return list(safeText(path), t('folder'), countFiles(t, files), t('in {0}', safeText(share.name)));
}

export function fileLabel(t: Translate, share: ShareInfo, file: Pick<ShareFile, 'path' | 'size'>): string {
  return list(safeText(file.path), t('file'), formatBytes(file.size), t('in {0}', safeText(share.name)));
}

export function groupLabel(t: Translate, group: TransferGroup, count: number): string {
  return list(t('{0} transfers', groupName(t, group)), String(count));
}

export function transferLabel(t: Translate, transfer: TransferInfo): string {
  const direction = transfer.direction === 'upload' ? t('upload') : t('download');
  const reason = transfer.error === undefined ? undefined : safeText(transfer.error.message);
  return list(safeText(transfer.name), direction, stateName(t, transfer), reason);
}

export function statusLabel(t: Translate, peers: number, rates: { down: number; up: number }): string {
  return t(
    'Peerwire: {0}',
    list(
      peers === 0 ? t('no peers connected') : countPeers(t, peers),
      rates.down > 0 && t('downloading at {0}', formatRate(rates.down)),
      rates.up > 0 && t('uploading at {0}', formatRate(rates.up)),
    ),
  );
}

export function kindName(t: Translate, share: Pick<ShareInfo, 'kind'>): string {
  switch (share.kind) {
    case 'file':
      return t('file');
    case 'folder':
      return t('folder');
    case 'patch':
      return t('patch');
    case 'snippet':
      return t('snippet');
  }
}

function shareFacts(t: Translate, share: ShareInfo): (string | false)[] {
  return [
    safeText(share.name),
    kindName(t, share),
    share.kind === 'folder' && countFiles(t, share.files),
    formatBytes(share.size),
  ];
}

function list(...parts: (string | false | undefined)[]): string {
  return parts.filter(Boolean).join(', ');
}
