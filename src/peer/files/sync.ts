import { open } from 'node:fs/promises';
import { systemCode, toPeerwireError } from '../../common/errors.ts';

/** What is not there, or cannot be synced where it is. */
const NOTHING_TO_SYNC = new Set(['ENOENT', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * Resolves when the content of a file would survive a power loss, as far as its file system can tell; one that is not there
 * is left out. In the thread pool, for as long as it takes. Rejects where the disk says only now that it could not write:
 * 'disk-full', 'io'.
 */
export async function syncFile(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r+');
    try {
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!NOTHING_TO_SYNC.has(systemCode(error) ?? '')) throw toPeerwireError(error, 'Writing a file to disk');
  }
}

/** The same for the names in a folder. Never rejects: not every system syncs folders, and names alone lose no content. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // As said above.
  }
}
