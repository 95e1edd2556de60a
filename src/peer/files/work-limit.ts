import { allOf } from '../../common/all-of.ts';

/**
 * Runs `action` on every item, at most `limit` at a time. When one fails, no new ones begin; rejects with the first error
 * once all that began have ended, so that nothing goes on behind the caller's back.
 */
export async function forEachLimit<T>(
  items: readonly T[],
  limit: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (const item of rest) {
      if (failed) return;
      try {
        await action(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await allOf(Array.from({ length: Math.min(limit, items.length) }, lane));
}

/** The same for batches of up to `size` items. `first`: the position of the first among all. */
export async function forEachBatch<T>(
  items: readonly T[],
  size: number,
  limit: number,
  action: (batch: readonly T[], first: number) => Promise<void>,
): Promise<void> {
  const starts = Array.from({ length: Math.ceil(items.length / size) }, (_, batch) => batch * size);
  await forEachLimit(starts, limit, (first) => action(items.slice(first, first + size), first));
}
