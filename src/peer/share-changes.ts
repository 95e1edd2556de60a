import type { ShareInfo, SharesEvent } from './api.ts';
import { MAX_LISTED_CHANGES, shareKey } from './api.ts';

/** What became different between one listing of all shares and the next. */
export class ShareChanges {
  /** Undefined before the first event: who asked before that may know anything. */
  #listed: ReadonlyMap<string, ShareInfo> | undefined;

  /** The event that leads who knows the listing before to this one. Of 10,000 shares it takes a few milliseconds. */
  next(listing: readonly ShareInfo[]): SharesEvent {
    const before = this.#listed;
    const now = new Map(listing.map((share) => [shareKey(share), share]));
    this.#listed = now;
    if (before === undefined) return { event: 'shares' };
    const changed = listing.filter((share) => !isSame(share, before.get(shareKey(share))));
    const removed = [...before].filter(([key]) => !now.has(key)).map(([, { owner, share }]) => ({ owner, share }));
    return changed.length + removed.length > MAX_LISTED_CHANGES
      ? { event: 'shares' }
      : { event: 'shares', changed, removed };
  }
}

/** Lists (`to`) are the same objects as long as they say the same. */
function isSame(a: ShareInfo, b: ShareInfo | undefined): boolean {
  if (b === undefined) return false;
  const names = Object.keys(a) as (keyof ShareInfo)[];
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
