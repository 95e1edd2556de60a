import { closeSync, constants, linkSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { systemCode } from '../../common/errors.ts';
import type { SafeFolder } from './safe-folder.ts';
import { stagingNameFor } from './staging-name.ts';

/** How a file system without hard links answers `link`: FAT, exFAT, some network shares and Android's storage. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EISDIR', 'EINVAL']);

/** `link` as an argument: a test has no file system without it. */
export type Link = (from: string, to: string) => void;

// Calls that only change names are synchronous: they take microseconds where the thread pool's round trip takes ten times
// that, and nothing of ours runs between a folder's check and its use.

/**
 * Moves a file to a name that nothing has; false when something has it. A hard link is the one call that gives a
 * complete file a name and fails when the name is taken; `rename` would replace what is there.
 */
export async function moveExclusive(
  from: string,
  folder: SafeFolder,
  name: string,
  makeLink: Link = linkSync,
): Promise<boolean> {
  try {
    makeLink(from, folder.entry(name));
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (code === 'EEXIST') return false;
    if (code === 'EXDEV')
      return await viaCopy(from, folder, name, (copy) => moveExclusive(copy, folder, name, makeLink));
    if (NO_LINKS.has(code)) return renameExclusive(from, folder, name);
    throw error;
  }
  unlinkSync(from);
  return true;
}

/** Moves a file to a name, replacing the file that has it: whoever looks sees the old one or the new one. */
export async function moveOver(from: string, folder: SafeFolder, name: string): Promise<void> {
  try {
    renameSync(from, folder.entry(name));
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw error;
    await viaCopy(from, folder, name, async (copy) => {
      await moveOver(copy, folder, name);
      return true;
    });
  }
}

/** Reserves the name with an empty file that is certainly ours, and replaces that one. */
function renameExclusive(from: string, folder: SafeFolder, name: string): boolean {
  try {
    closeSync(openSync(folder.entry(name), 'wx', 0o600));
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    renameSync(from, folder.entry(name));
    return true;
  } catch (error) {
    unlinkSync(folder.entry(name));
    throw error;
  }
}

/** For a folder on another file system: copies beside the target, then moves the copy. A copy left by a crash is replaced. */
async function viaCopy(
  from: string,
  folder: SafeFolder,
  name: string,
  move: (copy: string) => Promise<boolean>,
): Promise<boolean> {
  const copyName = stagingNameFor(name);
  removeIfThere(folder.entry(copyName));
  try {
    await copyFile(from, folder.entry(copyName), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const handle = await open(folder.entry(copyName), 'r+');
    await handle.sync().finally(() => handle.close());
    if (!(await move(folder.entry(copyName)))) return false;
  } finally {
    removeIfThere(folder.entry(copyName));
  }
  unlinkSync(from);
  return true;
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
