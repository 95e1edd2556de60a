import { TRANSFER_PRIORITIES, type TransferPriority } from '../bittorrent/bandwidth-manager.ts';
import { PeerwireError } from '../common/errors.ts';
import type { RateLimits } from './api.ts';

/** What a person set for one transfer. */
export interface TransferSettings {
  /** Its own limits, within those of the peer. */
  readonly limits: RateLimits;
  readonly priority: TransferPriority;
}

export const DEFAULT_SETTINGS: TransferSettings = { limits: { upload: 0, download: 0 }, priority: 'normal' };

/** The limits and nothing else. Throws `usage` unless both are numbers of bytes per second, or 0 for none. */
export function checkLimits({ upload, download }: RateLimits): RateLimits {
  if (![upload, download].every((limit) => Number.isFinite(limit) && limit >= 0))
    throw new PeerwireError('usage', 'A rate limit is a number of bytes per second, or 0 for none.');
  return { upload, download };
}

export function checkPriority(priority: TransferPriority): TransferPriority {
  if (!TRANSFER_PRIORITIES.includes(priority))
    throw new PeerwireError('usage', 'A priority is one of high, normal and low.');
  return priority;
}
