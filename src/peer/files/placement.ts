import { type BigIntStats, lstatSync } from 'node:fs';
import { chmod, lstat, mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { type FileStamp, stampOf } from '../../bittorrent/file-stamp.ts';
import { fileAt, type Info } from '../../bittorrent/metainfo.ts';
import { escapeName, foldName } from '../../bittorrent/safe-path.ts';
import { PeerwireError, systemCode } from '../../common/errors.ts';
import type { ConflictPolicy } from '../api.ts';
import type { HashPool } from '../hash-pool.ts';
import { fileError } from './file-error.ts';
import { placedFileMode } from './file-mode.ts';
import { finishStagedFile } from './finish-staged.ts';
import { freeNames } from './free-names.ts';
import { moveExclusive, moveOver } from './move-file.ts';
import { Pacer } from './pacer.ts';
import { RiskJudge } from './risky.ts';
import { SafeFolder } from './safe-folder.ts';
import { isStagingName, newStagingName } from './staging-name.ts';
import { type Found, type SurveyOptions, survey, surveyFolder } from './survey.ts';
import { type TargetFile, targetPath, targetTree, visitTargets } from './target-tree.ts';
import { placeWholeFolder } from './whole-folder.ts';
import { forEachLimit } from './work-limit.ts';

const FILES_AT_ONCE = 16;
/** Looks at a place this often when somebody else keeps changing it. */
const ATTEMPTS = 5;
/** Files named in one message. */
const SHOWN = 3;

export interface PlaceOptions {
  readonly info: Info;
  /** File indexes to place. */
  readonly files: readonly number[];
  /** Where the complete, verified file lies: a path inside the staging directory. Empty files need not exist there. */
  readonly stagedPath: (fileIndex: number) => string;
  /** The staging directory, if all of it may be used: a share that has no folder yet is then placed by one rename. */
  readonly staging?: string;
  /** What a staged file looked like when it was made and written, of those of which that is known: those need no look. */
  readonly stampOf?: (fileIndex: number) => FileStamp | undefined;
  /** Folder that receives the share under its own name. Created if missing; may itself be a link that the user chose. */
  readonly destination: string;
  readonly policy: ConflictPolicy;
  /** The user confirmed the files that `isRisky` names; otherwise they are refused with 'usage'. */
  readonly allowRisky: boolean;
  /** Compares files that are there already. */
  readonly pool: HashPool;
  readonly signal?: AbortSignal;
}

export interface PlacedFile {
  readonly fileIndex: number;
  /** Absolute path of the result; for `skipped` what was left as it is. */
  readonly path: string;
  readonly outcome: 'placed' | 'same' | 'skipped' | 'overwritten' | 'kept-both';
  /** What it looks like with this content. Undefined for `skipped`, and when it may have been changed in this moment. */
  readonly stamp: FileStamp | undefined;
}

/** Makes a new private (0700) directory on the file system of `destination`, which is created if missing. */
export async function stagingDir(destination: string): Promise<string> {
  try {
    await mkdir(destination, { recursive: true });
    const path = join(await realpath(destination), newStagingName());
    await mkdir(path, { mode: 0o700 });
    // It may lie in somebody's repository for as long as the download takes.
    await writeFile(join(path, '.gitignore'), '*\n', { flag: 'wx' });
    return path;
  } catch (error) {
    throw fileError(error, 'write', destination);
  }
}

/** True while `path` is a staging directory of this user and no link: what a resumed transfer asks first. */
export async function isStagingDir(path: string): Promise<boolean> {
  try {
    if (!isStagingName(basename(path))) return false;
    const stats = await lstat(path);
    if (!stats.isDirectory() || stats.uid !== (process.getuid?.() ?? stats.uid)) return false;
    // Some file systems know no modes: there it cannot be made more private than the disk is.
    if ((stats.mode & 0o077) !== 0) await chmod(path, 0o700);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false;
    throw fileError(error, 'read', path);
  }
}

/** Deletes a staging directory and all in it; none there is fine, and anything else is left alone. */
export async function removeStaging(path: string): Promise<void> {
  try {
    if (await isStagingDir(path)) await rm(path, { recursive: true, force: true });
  } catch (error) {
    throw fileError(error, 'write', path);
  }
}

/**
 * Moves verified files into place: never over another file unless the policy is `overwrite`, never through a link, never
 * out of the destination. What is there with the same content counts as placed, so a second run after a crash finishes the
 * first. Rejects with 'exists' (policy `fail`: nothing was placed), 'unsafe-path' (a link is in the way: nothing was placed),
 * 'usage' (risky), 'corrupt' or 'not-found' (the staged file), 'disk-full', 'permission', 'cancelled', 'io'.
 */
export async function place(options: PlaceOptions): Promise<PlacedFile[]> {
  const placement = new Placement(options);
  placement.checkRisk();
  try {
    await mkdir(options.destination, { recursive: true });
  } catch (error) {
    throw fileError(error, 'write', options.destination);
  }
  const root = await SafeFolder.root(options.destination);
  try {
    return await placement.run(root);
  } finally {
    await root.close();
  }
}

class Placement {
  readonly #options: PlaceOptions;
  readonly #survey: SurveyOptions;
  readonly #indexes: readonly number[];
  readonly #placed = new Map<number, PlacedFile>();
  readonly #mode = placedFileMode();
  readonly #pacer = new Pacer();
  /** Folded target paths of the whole version: names that `keep-both` must not take. */
  #reserved: ReadonlySet<string> | undefined;

  constructor(options: PlaceOptions) {
    const { info, pool, signal } = options;
    this.#options = options;
    this.#survey = { info, pool, ...(signal && { signal }) };
    this.#indexes = [...new Set(options.files)];
  }

  checkRisk(): void {
    const { info, allowRisky } = this.#options;
    if (allowRisky) return;
    const judge = new RiskJudge();
    const risky = this.#indexes.map((index) => targetPath(info, index)).filter((path) => judge.isRisky(path));
    if (risky.length === 0) return;
    throw new PeerwireError('usage', `${list(risky)} can run or steer programs; confirm that you want to have it.`);
  }

  async run(root: SafeFolder): Promise<PlacedFile[]> {
    this.#checkCancelled();
    const whole = this.#isNewFolder(root) ? await this.#placeWhole(root) : undefined;
    if (whole) return whole;
    const tree = targetTree(this.#options.info, this.#indexes);
    const found = await survey(tree, root, this.#survey);
    this.#checkObstacles(found);
    await visitTargets(tree, root, {
      create: true,
      visit: async (folder, files) => {
        await forEachLimit(files, FILES_AT_ONCE, async (file) => {
          await this.#pacer.pause();
          this.#checkCancelled();
          const state = found.get(file.fileIndex) ?? { state: 'missing' };
          try {
            this.#placed.set(file.fileIndex, await this.#placeFile(folder, file, state));
          } catch (error) {
            throw fileError(error, 'place', join(folder.path, file.name));
          }
        });
      },
      absent: () => undefined,
    });
    return this.#indexes.flatMap((index) => this.#placed.get(index) ?? []);
  }

  /** Nothing has its name: no look at the place of each file is needed. */
  #isNewFolder(root: SafeFolder): boolean {
    const { info } = this.#options;
    if (info.single || this.#indexes.length < info.files.length) return false;
    try {
      return lstatSync(root.entry(info.name), { throwIfNoEntry: false }) === undefined;
    } catch {
      return false;
    }
  }

  /** Places a new folder with all its files at once; undefined when that cannot be. */
  async #placeWhole(root: SafeFolder): Promise<PlacedFile[] | undefined> {
    const { info, staging } = this.#options;
    const stamps = staging === undefined ? undefined : await placeWholeFolder({ ...this.#options, staging }, root);
    const folder = join(root.path, info.name, sep);
    return (
      stamps &&
      this.#indexes.map((fileIndex) => {
        const path = folder + fileAt(info, fileIndex).path.join(sep);
        return { fileIndex, path, outcome: 'placed', stamp: stamps[fileIndex] };
      })
    );
  }

  /** Whatever will certainly fail, fails before anything is placed. */
  #checkObstacles(found: ReadonlyMap<number, Found>): void {
    const { info, policy } = this.#options;
    const conflicts: (readonly string[])[] = [];
    for (const [fileIndex, state] of found) {
      if (state.state === 'obstacle') {
        const avoidable = policy === 'skip' || policy === 'keep-both';
        if (!avoidable || state.above || state.problem.code === 'unsafe-path') throw state.problem;
      } else if (state.state === 'different') conflicts.push(targetPath(info, fileIndex));
    }
    if (policy === 'fail' && conflicts.length > 0) throw existsError(conflicts);
  }

  async #placeFile(folder: SafeFolder, file: TargetFile, found: Found): Promise<PlacedFile> {
    const { fileIndex, name } = file;
    const path = join(folder.path, name);
    const { policy } = this.#options;
    let now = found;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (now.state === 'same') return { fileIndex, path, outcome: 'same', stamp: now.stamp };
      if (now.state === 'missing') {
        const staged = await this.#staged(fileIndex);
        if (await moveExclusive(staged.path, folder, name))
          return { fileIndex, path, outcome: 'placed', stamp: stampOfMoved(staged.stats, folder, name) };
        // Somebody was faster: what is it?
        now = await this.#look(folder, file);
        continue;
      }
      if (now.state === 'obstacle' && now.problem.code === 'unsafe-path') throw now.problem;
      if (policy === 'skip') return { fileIndex, path, outcome: 'skipped', stamp: undefined };
      if (policy === 'keep-both') return await this.#keepBoth(folder, file);
      if (now.state === 'obstacle') throw now.problem;
      if (policy === 'fail') throw existsError([targetPath(this.#options.info, fileIndex)]);
      const staged = await this.#staged(fileIndex);
      await moveOver(staged.path, folder, name);
      return { fileIndex, path, outcome: 'overwritten', stamp: stampOfMoved(staged.stats, folder, name) };
    }
    throw new PeerwireError(
      'busy',
      `Another program keeps changing ${escapeName(name)}; try again when it is at rest.`,
    );
  }

  async #keepBoth(folder: SafeFolder, file: TargetFile): Promise<PlacedFile> {
    const { fileIndex } = file;
    const { info } = this.#options;
    const parents = targetPath(info, fileIndex).slice(0, -1);
    this.#reserved ??= new Set(info.files.map((_, index) => foldPath(targetPath(info, index))));
    for (const name of freeNames(file.name)) {
      this.#checkCancelled();
      if (this.#reserved.has(foldPath([...parents, name]))) continue;
      const found = await this.#look(folder, { fileIndex, name });
      const path = join(folder.path, name);
      if (found.state === 'same') return { fileIndex, path, outcome: 'kept-both', stamp: found.stamp };
      if (found.state !== 'missing') continue;
      const staged = await this.#staged(fileIndex);
      if (await moveExclusive(staged.path, folder, name))
        return { fileIndex, path, outcome: 'kept-both', stamp: stampOfMoved(staged.stats, folder, name) };
    }
    throw new PeerwireError('internal', 'There is always another name.');
  }

  async #look(folder: SafeFolder, file: TargetFile): Promise<Found> {
    const found = await surveyFolder(folder, [file], this.#survey);
    return found.get(file.fileIndex) ?? { state: 'missing' };
  }

  /** The staged file, as it shall be in its place. */
  async #staged(fileIndex: number): Promise<{ readonly path: string; readonly stats: BigIntStats }> {
    const path = this.#options.stagedPath(fileIndex);
    const { length } = fileAt(this.#options.info, fileIndex);
    return { path, stats: await finishStagedFile(path, length, this.#mode) };
  }

  #checkCancelled(): void {
    if (this.#options.signal?.aborted) throw new PeerwireError('cancelled', 'Placing the files was cancelled.');
  }
}

/** Undefined unless it is, but for its name, the file that was staged: somebody may have been fast. */
function stampOfMoved(staged: BigIntStats, folder: SafeFolder, name: string): FileStamp | undefined {
  const now = lstatSync(folder.entry(name), { bigint: true, throwIfNoEntry: false });
  const same = now?.ino === staged.ino && now.size === staged.size && now.mtimeNs === staged.mtimeNs;
  return same ? stampOf(now) : undefined;
}

function existsError(paths: readonly (readonly string[])[]): PeerwireError {
  const verb = paths.length === 1 ? 'is there already with other content' : 'are there already with other content';
  return new PeerwireError('exists', `${list(paths)} ${verb}; choose to skip, overwrite or keep both.`);
}

function list(paths: readonly (readonly string[])[]): string {
  const shown = paths.slice(0, SHOWN).map((path) => `“${path.map(escapeName).join('/')}”`);
  const more = paths.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function foldPath(path: readonly string[]): string {
  return path.map(foldName).join('/');
}
