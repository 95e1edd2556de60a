import { lstat, readFile } from 'node:fs/promises';
import type { DownloadRecord } from './download-record.ts';
import { examineCopies, type RecheckOptions, recordCopies } from './recheck.ts';
import type { Version } from './version-store.ts';

/** Milliseconds after which a system has written what it was given: Linux does after 30 s, and 5 s more to notice. */
const WRITTEN_AFTER = 60_000;
/** How much later than its placing, in ms, a file that nobody has edited may have been written: clocks of file systems are coarse. */
const SLACK = 5_000;

/** Files were placed without being synced: which boot of the system has them in memory, and since when (wall time, ms). */
export interface Unsynced {
  readonly boot: string;
  readonly at: number;
}

/** Names the time since the system was started; undefined where the system has no name for it. */
export async function bootId(): Promise<string | undefined> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return text.trim() || undefined;
}

/** `now`: wall time, ms. `doubtful`: the system was started anew, perhaps before it had written them. */
export function fateOf({ boot, at }: Unsynced, current: string | undefined, now: number): Fate {
  if (boot !== current) return 'doubtful';
  return now - at > WRITTEN_AFTER ? 'written' : 'open';
}

export type Fate = 'open' | 'written' | 'doubtful';

/**
 * Hashes what a finished download placed and takes it into its record. `damaged`: how many files are wrong though nobody wrote
 * to them since. `differs`: what is seeded is not what it was. Rejects with 'cancelled', 'closed'.
 */
export async function recheckDoubtful(
  record: DownloadRecord,
  { info }: Version,
  options: RecheckOptions,
): Promise<{ readonly damaged: number; readonly differs: boolean }> {
  const paths = new Map(Object.entries(record.placed).map(([index, { path }]) => [Number(index), path]));
  const found = await examineCopies(info, paths, options);
  let damaged = 0;
  for (const [index, path] of paths)
    if (found.get(index) === 'changed' && (await isAsPlaced(path, record.unsynced))) damaged++;
  const differs = recordCopies(record, found);
  delete record.unsynced;
  return { damaged, differs };
}

/** Nobody wrote to the file after it was placed. False when it is not there. */
async function isAsPlaced(path: string, unsynced: Unsynced | undefined): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  return stats !== undefined && unsynced !== undefined && stats.mtimeMs <= unsynced.at + SLACK;
}
