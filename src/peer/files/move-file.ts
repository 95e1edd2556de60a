import { constants } from 'node:fs';
import { copyFile, link, open, rename, unlink } from 'node:fs/promises';
import { systemCode } from '../../common/errors.ts';
import type { SafeFolder } from './safe-folder.ts';
import { stagingNameFor } from './staging-name.ts';

/** How a file system without hard links answers `link`: FAT, exFAT, some network shares and Android's storage. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EISDIR', 'EINVAL']);

/** `link` as an argument: a test has no file system without it. */
export type Link = (from: string, to: string) => Promise<void>;

/**
 * Moves a file to a name that nothing has; false when something has it. A hard link is the one call that gives a
 * complete file a name and fails when the name is taken; `rename` would replace what is there.
 */
export async function moveExclusive(
  from: string,
  folder: SafeFolder,
  name: string,
  makeLink: Link = link,
): Promise<boolean> {
  try {
    await makeLink(from, await folder.entry(name));
  } catch (error) {
    const code = systemCode(error) ?? '';
    if (code === 'EEXIST') return false;
    if (code === 'EXDEV')
      return await viaCopy(from, folder, name, (copy) => moveExclusive(copy, folder, name, makeLink));
    if (NO_LINKS.has(code)) return await renameExclusive(from, folder, name);
    throw error;
  }
  await unlink(from);
  return true;
}

/** Moves a file to a name, replacing the file that has it: whoever looks sees the old one or the new one. */
export async function moveOver(from: string, folder: SafeFolder, name: string): Promise<void> {
  try {
    await rename(from, await folder.entry(name));
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw error;
    await viaCopy(from, folder, name, async (copy) => {
      await moveOver(copy, folder, name);
      return true;
    });
  }
}

/** Reserves the name with an empty file that is certainly ours, and replaces that one. */
async function renameExclusive(from: string, folder: SafeFolder, name: string): Promise<boolean> {
  try {
    const reserved = await open(await folder.entry(name), 'wx', 0o600);
    await reserved.close();
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    await rename(from, await folder.entry(name));
    return true;
  } catch (error) {
    await unlink(await folder.entry(name));
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
  await removeIfThere(await folder.entry(copyName));
  try {
    await copyFile(from, await folder.entry(copyName), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const handle = await open(await folder.entry(copyName), 'r+');
    await handle.sync().finally(() => handle.close());
    if (!(await move(await folder.entry(copyName)))) return false;
  } finally {
    await removeIfThere(await folder.entry(copyName));
  }
  await unlink(from);
  return true;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
