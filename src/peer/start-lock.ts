import { mkdir, rename, rmdir, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { PeerwireError, systemCode } from '../common/errors.ts';

/** Milliseconds after which a lock belongs to nobody: its holder needs a few of them, unless it was killed. */
const STALE = 10_000;
const PATIENCE = 30_000;

/**
 * Runs `action` while no other process of this machine does under the same path. For the moment of starting only: two
 * starters that both find a dead peer's socket must not remove each other's new one. (A directory is what every
 * platform creates atomically. Windows needs none of it: a pipe ends with its process.)
 */
export async function withStartLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  if (process.platform === 'win32') return action();
  const lock = `${path}.starting`;
  const deadline = performance.now() + PATIENCE;
  while (!(await acquire(lock))) {
    if (performance.now() > deadline)
      throw new PeerwireError('busy', `Another start holds ${lock}: remove it if none does.`);
    await delay(20 + Math.random() * 30);
  }
  try {
    return await action();
  } finally {
    await rmdir(lock).catch(() => undefined);
  }
}

async function acquire(lock: string): Promise<boolean> {
  try {
    await mkdir(lock, { mode: 0o700 });
    return true;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  const since = await stat(lock).catch(() => undefined);
  if (since !== undefined && Date.now() - since.mtimeMs > STALE) {
    // Of several that find it stale, one renames it; the others try again.
    const aside = `${lock}.${process.pid}-${Date.now()}`;
    await rename(lock, aside).then(
      () => rmdir(aside),
      () => undefined,
    );
  }
  return false;
}
