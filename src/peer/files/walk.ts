import { accessSync, type BigIntStats, constants, type Dirent, lstatSync, readdirSync } from 'node:fs';
import { access, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve, sep } from 'node:path';
import { type FileStamp, stampOf } from '../../bittorrent/file-stamp.ts';
import { compareTreePaths } from '../../bittorrent/file-tree.ts';
import { checkBelow, foldName } from '../../bittorrent/safe-path.ts';
import { errorMessage, PeerwireError, systemCode } from '../../common/errors.ts';
import { fileError } from './file-error.ts';
import { IgnoreRules, readRules } from './ignore-rules.ts';
import { Pacer } from './pacer.ts';
import { isSecretName } from './secrets.ts';
import { isStagingName } from './staging-name.ts';
import { forEachLimit } from './work-limit.ts';

/** Folders read at the same time. */
const FOLDERS_AT_ONCE = 8;
/** Files of one folder examined at the same time. */
const FILES_AT_ONCE = 8;
/** Times in ns. */
const EXACT = { bigint: true } as const;

export interface WalkedFile {
  readonly absolute: string;
  /** Relative to the walked folder; for a single file its name. Safe (`checkTree`), but for the name of a single file. */
  readonly path: readonly string[];
  readonly size: number;
  readonly stamp: FileStamp;
}

export interface WalkResult {
  /** Real path of what was walked. */
  readonly root: string;
  /** Name of the file or folder. */
  readonly name: string;
  /** True when a file was named, not a folder. */
  readonly single: boolean;
  /** In the order of a torrent's files. Empty with `onFile`. */
  readonly files: readonly WalkedFile[];
  /** With `onFile`: where each of the files, in the order of a torrent, stands among those that were found. */
  readonly order?: Uint32Array;
  readonly size: number;
  /** Entries left out by ignore rules; a folder counts as one. */
  readonly ignored: number;
  /** `/`-separated relative paths left out because their names look like secrets. */
  readonly secrets: readonly string[];
  /** Left out for other reasons: links, special files, unreadable, names that other systems refuse. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
}

export interface WalkOptions {
  readonly includeSecrets?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly files: number; readonly size: number }) => void;
  /** Every file as it is found, in place of a list of all, which would take memory. `root`: that of the result. */
  readonly onFile?: (file: WalkedFile, root: string) => void;
  /** By blocking calls, several times faster: for a thread that has little else to do. */
  readonly blocking?: boolean;
}

/**
 * Lists what sharing a file or folder would send. Never follows a link, but for `path` itself, which may be one. Ignore rules
 * do not apply to `path` itself; names of secrets do. Rejects with 'not-found', 'permission', 'unsupported' (neither file nor
 * folder), 'cancelled' or 'io'.
 */
export async function walk(path: string, options: WalkOptions = {}): Promise<WalkResult> {
  return await walkUpTo(path, Number.POSITIVE_INFINITY, options);
}

/** The same, unless there are more than `most` files, or folders beside each other: then undefined, as soon as that is known. */
export async function walkFew(path: string, most: number, options: WalkOptions = {}): Promise<WalkResult | undefined> {
  try {
    return await walkUpTo(path, most, options);
  } catch (error) {
    if (error === MORE) return undefined;
    throw error;
  }
}

const MORE = Symbol('more files than asked for');

async function walkUpTo(path: string, most: number, options: WalkOptions): Promise<WalkResult> {
  const { root, stats } = await examineRoot(path);
  // The name that the user sees, also when it is a link to something of another name.
  const name = basename(resolve(path)).normalize('NFC');
  if (stats.isFile()) return walkFile(root, name, stats, options);
  if (stats.isDirectory()) return await new FolderWalk(root, name, most, options).run();
  throw new PeerwireError('unsupported', `${path} is neither a file nor a folder.`);
}

async function examineRoot(path: string): Promise<{ root: string; stats: BigIntStats }> {
  try {
    const root = await realpath(path);
    return { root, stats: await stat(root, { bigint: true }) };
  } catch (error) {
    throw fileError(error, 'read', path);
  }
}

function walkFile(root: string, name: string, stats: BigIntStats, options: WalkOptions): WalkResult {
  const nothing = { root, name, single: true, files: [], size: 0, ignored: 0, secrets: [], skipped: [] };
  if (!options.includeSecrets && isSecretName(name, 'file')) return { ...nothing, secrets: [name] };
  const size = Number(stats.size);
  options.onProgress?.({ files: 1, size });
  const file = { absolute: root, path: [name], size, stamp: stampOf(stats) };
  if (!options.onFile) return { ...nothing, files: [file], size };
  options.onFile(file, root);
  return { ...nothing, order: new Uint32Array(1), size };
}

interface FolderTask {
  readonly absolute: string;
  readonly path: readonly string[];
  readonly rules: IgnoreRules;
}

class FolderWalk {
  readonly #root: string;
  readonly #name: string;
  readonly #most: number;
  readonly #options: WalkOptions;
  readonly #pacer = new Pacer();
  readonly #files: WalkedFile[] = [];
  /** Of the files found, when they are not kept. */
  readonly #paths: (readonly string[])[] = [];
  readonly #secrets: string[] = [];
  readonly #skipped: { path: string; reason: string }[] = [];
  /** Files found, whether examined yet or not. */
  #found = 0;
  #size = 0;
  #ignored = 0;

  constructor(root: string, name: string, most: number, options: WalkOptions) {
    this.#root = root;
    this.#name = name;
    this.#most = most;
    this.#options = options;
  }

  async run(): Promise<WalkResult> {
    const rules = await IgnoreRules.above(this.#root);
    let level: FolderTask[] = [{ absolute: this.#root, path: [], rules }];
    while (level.length > 0) {
      // Each holds one at least, mostly.
      if (level.length > this.#most) throw MORE;
      const next: FolderTask[] = [];
      await forEachLimit(level, FOLDERS_AT_ONCE, async (task) => {
        if (this.#options.blocking) await this.#pacer.pause();
        this.#checkCancelled();
        next.push(...(await this.#readFolder(task)));
        this.#options.onProgress?.({ files: this.#files.length + this.#paths.length, size: this.#size });
      });
      level = next;
    }
    this.#files.sort((a, b) => compareTreePaths(a.path, b.path));
    const paths = this.#paths;
    const order = Uint32Array.from(paths.keys()).sort((a, b) => compareTreePaths(paths[a] ?? [], paths[b] ?? []));
    return {
      root: this.#root,
      name: this.#name,
      single: false,
      files: this.#files,
      ...(this.#options.onFile && { order }),
      size: this.#size,
      ignored: this.#ignored,
      secrets: this.#secrets.sort(),
      skipped: this.#skipped.sort((a, b) => (a.path < b.path ? -1 : 1)),
    };
  }

  /** Takes the files of one folder and returns its folders. */
  async #readFolder(task: FolderTask): Promise<FolderTask[]> {
    let entries: Dirent[];
    try {
      entries = await this.#list(task.absolute);
    } catch (error) {
      // What the user named must be readable; further down the rest is worth having.
      if (task.path.length === 0) throw fileError(error, 'read', task.absolute);
      this.#skip(task.path, `The folder cannot be read (${systemCode(error) ?? errorMessage(error)}).`);
      return [];
    }
    let { rules } = task;
    if (entries.some(({ name }) => name === '.gitignore')) {
      rules = rules.within(task.path, await readRules(join(task.absolute, '.gitignore')));
    }
    // In a fixed order, so that of two names that collide elsewhere always the same one is taken.
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    const taken = new Map<string, string>();
    const folders: FolderTask[] = [];
    const files: { readonly absolute: string; readonly path: readonly string[] }[] = [];
    const prefix = task.absolute.endsWith(sep) ? task.absolute : `${task.absolute}${sep}`;
    for (const entry of entries) {
      if (entry.name.toLowerCase() === '.git' || isStagingName(entry.name)) continue;
      const absolute = `${prefix}${entry.name}`;
      const kind = entry.isDirectory() ? 'folder' : 'file';
      // macOS hands out names in another normal form than everyone else.
      const name = entry.name.normalize('NFC');
      const path = [...task.path, name];
      if (rules.ignores(name === entry.name ? path : [...task.path, entry.name], kind)) {
        this.#ignored++;
        continue;
      }
      const problem = entryProblem(entry, path, taken);
      if (problem !== undefined) this.#skip(path, problem);
      else if (!this.#options.includeSecrets && isSecretName(entry.name, kind)) this.#secrets.push(path.join('/'));
      else if (kind === 'folder') folders.push({ absolute, path, rules });
      else files.push({ absolute, path });
    }
    this.#found += files.length;
    if (this.#found > this.#most) throw MORE;
    if (this.#options.blocking) {
      for (const { absolute, path } of files) this.#takeFileNow(absolute, path);
    } else {
      await forEachLimit(files, FILES_AT_ONCE, async ({ absolute, path }) => await this.#takeFile(absolute, path));
    }
    return folders;
  }

  #list(folder: string): Dirent[] | Promise<Dirent[]> {
    return (this.#options.blocking ? readdirSync : readdir)(folder, { withFileTypes: true });
  }

  async #takeFile(absolute: string, path: readonly string[]): Promise<void> {
    try {
      const stats = await lstat(absolute, EXACT);
      if (!isReadableByAll(stats)) await access(absolute, constants.R_OK);
      this.#take(absolute, path, stats);
    } catch (error) {
      this.#skipUnreadable(path, error);
    }
  }

  #takeFileNow(absolute: string, path: readonly string[]): void {
    try {
      const stats = lstatSync(absolute, EXACT);
      if (!isReadableByAll(stats)) accessSync(absolute, constants.R_OK);
      this.#take(absolute, path, stats);
    } catch (error) {
      this.#skipUnreadable(path, error);
    }
  }

  #take(absolute: string, path: readonly string[], stats: BigIntStats): void {
    if (!stats.isFile()) {
      this.#skip(path, 'It was replaced while the folder was read.');
      return;
    }
    const size = Number(stats.size);
    const file = { absolute, path, size, stamp: stampOf(stats) };
    this.#size += size;
    if (this.#options.onFile) {
      this.#paths.push(path);
      this.#options.onFile(file, this.#root);
    } else {
      this.#files.push(file);
    }
  }

  #skipUnreadable(path: readonly string[], error: unknown): void {
    this.#skip(path, `The file cannot be read (${systemCode(error) ?? errorMessage(error)}).`);
  }

  #skip(path: readonly string[], reason: string): void {
    this.#skipped.push({ path: path.join('/'), reason });
  }

  #checkCancelled(): void {
    if (this.#options.signal?.aborted) throw new PeerwireError('cancelled', 'Reading the folder was cancelled.');
  }
}

/** Needs no closer look, and that is nearly every file. */
function isReadableByAll({ mode }: BigIntStats): boolean {
  return (Number(mode) & 0o444) === 0o444;
}

/** Why an entry cannot be shared; otherwise it is put down as taken, by the name that it folds to. */
function entryProblem(entry: Dirent, path: readonly string[], taken: Map<string, string>): string | undefined {
  if (entry.isSymbolicLink()) return 'It is a link; links are not shared.';
  if (!entry.isFile() && !entry.isDirectory()) return 'It is neither a file nor a folder.';
  try {
    checkBelow(path);
  } catch (error) {
    return errorMessage(error);
  }
  const folded = foldName(entry.name);
  const other = taken.get(folded);
  if (other !== undefined) return `On some systems its name is the same as “${other}” beside it.`;
  taken.set(folded, entry.name);
  return undefined;
}
