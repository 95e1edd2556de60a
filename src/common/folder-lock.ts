import { lstat, mkdir, rename, rm, rmdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PeerwireError, systemCode } from './errors.ts';

/** Milliseconds after which a lock belongs to nobody: its holder says so often enough that it lives, unless it was killed. */
const STALE = 10_000;
const HEARTBEAT = 2_000;
const PATIENCE = 30_000;

/**
 * Runs `action` while no other process does under the same path: for moments, in which what several windows of one device
 * share is read and written. A directory is the lock: every platform, and every file system that machines or containers
 * share, creates one atomically; and no process id is ever mistaken for another. Rejects with `busy` after half a minute.
 */
export async function withFolderLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE;
  let lock = await acquire(path);
  while (lock === undefined) {
    if (performance.now() > deadline)
      throw new PeerwireError('busy', `Another process holds ${path}: remove it if none does.`);
    await delay(10 + Math.random() * 20);
    lock = await acquire(path);
  }
  try {
    return await action();
  } finally {
    await lock.release();
  }
}

async function acquire(path: string): Promise<{ release(): Promise<void> } | undefined> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    await removeStale(path);
    return undefined;
  }
  const mark = join(path, `${process.pid}-${Math.random().toString(36).slice(2)}`);
  await writeFile(mark, '', { mode: 0o600 });
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), HEARTBEAT);
  heartbeat.unref();
  return {
    async release() {
      clearInterval(heartbeat);
      // Without our mark we were held up for too long, and it is another's by now.
      await rm(mark).then(
        () => rmdir(path).catch(() => undefined),
        () => undefined,
      );
    },
  };
}

async function removeStale(path: string): Promise<void> {
  if (!(await isStale(path))) return;
  // Of several that find it stale, one renames it; the others try again.
  const aside = `${path}.${process.pid}-${Date.now()}`;
  try {
    await rename(path, aside);
    // Somebody was faster, and this is the lock that they made.
    if (!(await isStale(aside))) await rename(aside, path);
    else await rm(aside, { recursive: true, force: true });
  } catch {
    // Whoever asks next looks again.
  }
}

async function isStale(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.mtimeMs > STALE;
}
