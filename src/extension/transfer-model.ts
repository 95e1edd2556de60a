/** Which group a transfer stands in, what can be done with it, and its row in words. */
import { formatBytes } from '../common/format-bytes.ts';
import type { TransferInfo, TransferPriority } from '../peer/api.ts';
import {
  countPeers,
  countSources,
  formatDuration,
  formatRate,
  formatTimeLeft,
  percent,
  progressBar,
} from './format.ts';
import { safeText } from './safe-text.ts';
import type { Translate } from './translate.ts';

export type TransferGroup = 'active' | 'waiting' | 'failed' | 'done';
/** In the order of the view: what moves, what needs a hand, what is over. */
export const TRANSFER_GROUPS: readonly TransferGroup[] = ['active', 'waiting', 'failed', 'done'];

export type TransferAbility =
  | 'pausable'
  | 'resumable'
  | 'retryable'
  | 'cancellable'
  | 'removable'
  | 'seeding'
  | 'verifiable'
  | 'placed';

export function groupOf(transfer: TransferInfo): TransferGroup {
  switch (transfer.state) {
    case 'metadata':
    case 'checking':
    case 'downloading':
    case 'placing':
    case 'uploading':
      return 'active';
    case 'waiting':
    case 'paused':
      return 'waiting';
    case 'failed':
      return 'failed';
    case 'done':
      return 'done';
  }
}

export function abilitiesOf(transfer: TransferInfo): TransferAbility[] {
  switch (transfer.state) {
    case 'waiting':
    case 'metadata':
    case 'downloading':
      return ['pausable', 'cancellable'];
    case 'checking':
      // The message that shows its progress ends a recheck.
      return transfer.rechecking === true ? [] : ['pausable', 'cancellable'];
    case 'placing':
      return ['cancellable'];
    case 'paused':
      return ['resumable', 'cancellable', 'verifiable'];
    case 'failed':
      return ['retryable', 'cancellable', 'verifiable'];
    case 'done': {
      const placed: TransferAbility[] = transfer.path === undefined ? [] : ['placed'];
      return [...placed, transfer.seeding ? 'seeding' : 'removable', 'verifiable'];
    }
    case 'uploading':
      return [];
  }
}

export function groupName(t: Translate, group: TransferGroup): string {
  switch (group) {
    case 'active':
      return t('Active');
    case 'waiting':
      return t('Waiting');
    case 'failed':
      return t('Failed');
    case 'done':
      return t('Done');
  }
}

/** The state in a word or two: stable, so that it can be part of the row's accessible name. */
export function stateName(t: Translate, transfer: TransferInfo): string {
  switch (transfer.state) {
    case 'waiting':
      return t('waiting');
    case 'metadata':
      return t('asking peers for the file list');
    case 'checking':
      return transfer.rechecking === true ? t('verifying files') : t('checking what is here already');
    case 'downloading':
      return t('downloading');
    case 'placing':
      return t('moving into place');
    case 'paused':
      return t('paused');
    case 'done':
      return transfer.seeding ? t('done, seeding') : t('done');
    case 'failed':
      return t('failed');
    case 'uploading':
      return t('uploading');
  }
}

/** What stands beside the name in the row. */
export function describeTransfer(t: Translate, transfer: TransferInfo): string {
  const connected = transfer.sources.filter((source) => source.connected).length;
  const share = percent(transfer.done, transfer.size);
  const bar = progressBar(transfer.size > 0 ? transfer.done / transfer.size : 0);
  switch (transfer.state) {
    case 'waiting':
      return dots(transfer.done > 0 && `${bar} ${share}%`, t('Waiting for a source'));
    case 'metadata':
      return capitalize(stateName(t, transfer));
    case 'downloading':
      return dots(
        `${bar} ${share}%`,
        formatRate(transfer.rate),
        transfer.eta !== undefined && t('{0} left', formatTimeLeft(t, transfer.eta)),
        connected === 0 ? t('looking for sources') : countSources(t, connected),
        describeSettings(t, transfer),
      );
    case 'checking':
    case 'placing':
      return dots(`${bar} ${share}%`, capitalize(stateName(t, transfer)));
    case 'paused':
      return dots(`${bar} ${share}%`, reasonOf(transfer) ?? capitalize(stateName(t, transfer)));
    case 'failed':
      return reasonOf(transfer) ?? capitalize(stateName(t, transfer));
    case 'done':
      return dots(
        formatBytes(transfer.size),
        transfer.fetched === 0 && transfer.size > 0
          ? t('already had it')
          : transfer.elapsed !== undefined && t('in {0}', formatDuration(t, transfer.elapsed)),
        transfer.seeding && t('seeding'),
      );
    case 'uploading':
      return dots(
        transfer.rate > 0 ? `↑ ${formatRate(transfer.rate)}` : t('{0} sent', formatBytes(transfer.done)),
        t('to {0}', countPeers(t, connected)),
      );
  }
}

export function priorityName(t: Translate, priority: TransferPriority): string {
  switch (priority) {
    case 'high':
      return t('High');
    case 'normal':
      return t('Normal');
    case 'low':
      return t('Low');
  }
}

/** What was set for this transfer alone; undefined when nothing was. */
export function describeSettings(t: Translate, { limits, priority, direction }: TransferInfo): string | undefined {
  const limit = direction === 'upload' ? limits.upload : limits.download;
  const text = dots(
    priority === 'high' && t('high priority'),
    priority === 'low' && t('low priority'),
    limit > 0 && t('limited to {0}', formatRate(limit)),
  );
  return text === '' ? undefined : text;
}

function reasonOf(transfer: TransferInfo): string | undefined {
  return transfer.error === undefined ? undefined : safeText(transfer.error.message);
}

/** Downloads and uploads together, bytes per second. */
export function totalRates(transfers: Iterable<TransferInfo>): { readonly down: number; readonly up: number } {
  let down = 0;
  let up = 0;
  for (const transfer of transfers) {
    if (groupOf(transfer) !== 'active') continue;
    if (transfer.direction === 'upload') up += transfer.rate;
    else down += transfer.rate;
  }
  return { down, up };
}

export function isDownloading(transfer: TransferInfo): boolean {
  return transfer.direction === 'download' && groupOf(transfer) === 'active';
}

/** Joins what is there with middle dots. */
export function dots(...parts: (string | false | undefined)[]): string {
  return parts.filter(Boolean).join(' · ');
}

export function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
