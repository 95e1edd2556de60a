import { abortable } from '../common/abort.ts';
import { PeerwireError } from '../common/errors.ts';
import type { ShareFile, ShareInfo } from '../peer/api.ts';
import type { CommandContext } from './cli.ts';
import { findShare, unknownShare } from './find-share.ts';
import type { Session } from './session.ts';
import { settle } from './settle.ts';

/** Waits until the share is known here: catalogues come from members, one after another. */
export async function awaitShare(
  { signal }: CommandContext,
  { api }: Session,
  text: string,
  wait: number,
): Promise<ShareInfo> {
  const known = await settle(
    api,
    () => api.shares(),
    (shares) => findShare(shares, text) !== undefined,
    {
      wait,
      quiet: 0,
      signal,
    },
  );
  const share = findShare(known, text);
  if (share === undefined) throw unknownShare(known, text);
  return share;
}

/** Waits until it is known what the share consists of: from what is stored, else from a source. */
export async function awaitMetadata(
  context: CommandContext,
  { api }: Session,
  share: ShareInfo,
  wait: number,
): Promise<void> {
  await untilKnown(context, share, wait, () => api.awaitMetadata(share.share));
}

/** The same, for its files. */
export async function awaitFiles(
  context: CommandContext,
  { api }: Session,
  share: ShareInfo,
  wait: number,
): Promise<ShareFile[]> {
  return await untilKnown(context, share, wait, () => api.shareFiles(share.share));
}

async function untilKnown<T>(
  { signal }: CommandContext,
  share: ShareInfo,
  wait: number,
  ask: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + wait;
  for (;;) {
    try {
      return await abortable(
        signal,
        beforeDeadline(ask(), end, () => nobodyHas(share)),
      );
    } catch (error) {
      const again = error instanceof PeerwireError && (error.code === 'no-sources' || error.code === 'timeout');
      if (!again || performance.now() >= end) throw error;
    }
  }
}

/** At least this many milliseconds, so that what is stored here is found without waiting for others. */
const LOCAL_TIME = 1000;

async function beforeDeadline<T>(promise: Promise<T>, end: number, late: () => Error): Promise<T> {
  promise.catch(() => undefined); // When it loses the race.
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), Math.max(LOCAL_TIME, end - performance.now()));
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

export function nobodyHas({ name, ownerName }: ShareInfo): PeerwireError {
  return new PeerwireError(
    'no-sources',
    `Nobody who has “${name}” is online (it is shared by ${ownerName}): try again later.`,
  );
}
