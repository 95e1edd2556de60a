import { constants, lstatSync, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { escapeName, foldName } from '../../bittorrent/safe-path.ts';
import { PeerwireError, systemCode } from '../../common/errors.ts';
import { fileError } from './file-error.ts';

const READ_FOLDER = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

/**
 * A folder inside a destination, reached without following a link, and entries of it that are used by name only. This is
 * where "a name never leaves the destination" is kept.
 *
 * Node has no `openat`. On Linux, `/proc/self/fd/N/name` does the same: it means the folder that was opened, whatever has
 * been put in its path since. Elsewhere every use first compares the whole chain of folders with what was opened; a
 * program that swaps a folder for a link within the microseconds after that is not defended against there.
 */
export class SafeFolder {
  /** Absolute path; for messages and results. */
  readonly path: string;
  readonly #parent: SafeFolder | undefined;
  readonly #handle: FileHandle | undefined;
  readonly #device: number;
  readonly #inode: number;

  private constructor(path: string, parent: SafeFolder | undefined, handle: FileHandle | undefined, stats: Stats) {
    this.path = path;
    this.#parent = parent;
    this.#handle = handle;
    this.#device = stats.dev;
    this.#inode = stats.ino;
  }

  /** Opens a destination. It may itself be reached through links: the user chose it. */
  static async root(path: string, options = { anchored: process.platform === 'linux' }): Promise<SafeFolder> {
    try {
      const real = await realpath(path);
      const stats = await stat(real);
      if (!stats.isDirectory()) throw new PeerwireError('exists', `${path} is not a folder; choose another one.`);
      if (!options.anchored) return new SafeFolder(real, undefined, undefined, stats);
      const handle = await open(real, READ_FOLDER);
      const anchored = await stat(`/proc/self/fd/${handle.fd}/.`).catch(() => undefined);
      if (anchored?.ino === stats.ino) return new SafeFolder(real, undefined, handle, stats);
      // No /proc here.
      await handle.close();
      return new SafeFolder(real, undefined, undefined, stats);
    } catch (error) {
      throw fileError(error, 'read', path);
    }
  }

  /**
   * A folder in this one. With `create` it is made when missing, otherwise the result is undefined. Rejects with
   * 'unsafe-path' when a link has the name and 'exists' when a file has.
   */
  async folder(name: string, options: { readonly create: boolean }): Promise<SafeFolder | undefined> {
    const path = join(this.path, name);
    const entry = this.entry(name);
    try {
      if (options.create) await mkdir(entry, 0o755).catch(ignoreExisting);
      const handle = this.#handle && (await open(entry, READ_FOLDER));
      const stats = handle ? await handle.stat() : await lstat(entry);
      if (stats.isDirectory()) return new SafeFolder(path, this, handle, stats);
      throw obstacle(path, stats);
    } catch (error) {
      if (systemCode(error) === 'ENOENT' && !options.create) return undefined;
      if (['ELOOP', 'ENOTDIR', 'EMLINK'].includes(systemCode(error) ?? '')) {
        const stats = await lstat(entry).catch(() => undefined);
        throw stats ? obstacle(path, stats) : fileError(error, 'place', path);
      }
      throw fileError(error, 'place', path);
    }
  }

  /** A path of the entry `name` for one call of `node:fs` that does not follow links itself; ask again for the next. */
  entry(name: string): string {
    if (this.#handle) return `/proc/self/fd/${this.#handle.fd}/${name}`;
    this.#verify();
    return join(this.path, name);
  }

  /** Names in the folder, as `foldName` makes them: what is not among them is not there on any file system. */
  async foldedNames(): Promise<Set<string>> {
    const names = await readdir(this.#handle ? `/proc/self/fd/${this.#handle.fd}` : this.entry('.'));
    return new Set(names.map(foldName));
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  #verify(): void {
    if (this.#parent) this.#parent.#verify();
    const stats = lstatSync(this.path, { throwIfNoEntry: false });
    if (stats?.isDirectory() && stats.ino === this.#inode && stats.dev === this.#device) return;
    throw new PeerwireError(
      'unsafe-path',
      `${this.path} was replaced by something else while files were placed; try again.`,
    );
  }
}

/** What stands where a folder or file should be, as an error. */
export function obstacle(path: string, stats: Pick<Stats, 'isSymbolicLink' | 'isDirectory' | 'isFile'>): PeerwireError {
  const shown = path.split('/').map(escapeName).join('/');
  if (stats.isSymbolicLink()) {
    return new PeerwireError(
      'unsafe-path',
      `${shown} is a link, and nothing is placed through links; remove it or choose another folder.`,
    );
  }
  const kind = stats.isDirectory() ? 'folder' : stats.isFile() ? 'file' : 'special file';
  return new PeerwireError('exists', `A ${kind} is in the way at ${shown}; move it or choose another folder.`);
}

function ignoreExisting(error: unknown): void {
  if (systemCode(error) !== 'EEXIST') throw error;
}
