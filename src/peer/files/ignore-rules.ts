import { lstat, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import ignore, { type Ignore } from 'ignore';

/** A rule file larger than this (bytes) is no rule file. */
const MAX_RULES_SIZE = 1 << 20;

/**
 * The ignore rules of git that hold in one folder: those of its `.gitignore`, of the folders above it up to the
 * repository's root, and of `.git/info/exclude`; the nearest file decides. All of them are kept as one list relative to
 * one base folder, since that is what makes a nested `!pattern` win over a rule from above, as in git.
 */
export class IgnoreRules {
  /** Path of the folder where the rules of this walk begin, relative to the base. */
  readonly #prefix: string;
  readonly #rules: Ignore;
  /** There is none: nothing need be asked for each of many files. */
  readonly #none: boolean;

  private constructor(prefix: string, { rules, none }: RuleSet) {
    this.#prefix = prefix;
    this.#rules = rules;
    this.#none = none;
  }

  /** Rules from outside a folder (absolute, real path) that hold in it; its own `.gitignore` comes by `within`. */
  static async above(folder: string): Promise<IgnoreRules> {
    const base = await repositoryRoot(folder);
    const none = new IgnoreRules('', newRules());
    if (base === undefined || base === folder) {
      return base === undefined ? none : new IgnoreRules('', newRules(await excludeFile(base)));
    }
    const path = relative(base, folder).split(sep);
    let rules = new IgnoreRules('', newRules(await excludeFile(base)));
    for (const [depth] of path.entries()) {
      const above = path.slice(0, depth);
      rules = rules.#with(above, await readRules(join(base, ...above, '.gitignore')));
    }
    // Whoever names an ignored folder wants what is in it: rules that would leave out all of it do not count.
    if (rules.#rules.ignores(`${path.join('/')}/`)) return none;
    return new IgnoreRules(`${path.join('/')}/`, { rules: rules.#rules, none: rules.#none });
  }

  /** These rules and those of a `.gitignore` in a folder; `path` is relative to the folder that the walk began with. */
  within(path: readonly string[], gitignore: string): IgnoreRules {
    return this.#with([...this.#prefix.split('/').slice(0, -1), ...path], gitignore);
  }

  /** `path` relative to the folder that the walk began with; of a folder whose parents are not ignored. */
  ignores(path: readonly string[], kind: 'file' | 'folder'): boolean {
    return !this.#none && this.#rules.ignores(`${this.#prefix}${path.join('/')}${kind === 'folder' ? '/' : ''}`);
  }

  #with(folder: readonly string[], text: string): IgnoreRules {
    const patterns = rebase(text, folder);
    if (patterns.length === 0) return this;
    return new IgnoreRules(this.#prefix, { rules: newRules().rules.add(this.#rules).add(patterns), none: false });
  }
}

/** Reads a rule file; nothing there, a link (git does not follow it either) or a monster: no rules. */
export async function readRules(path: string): Promise<string> {
  try {
    const stats = await lstat(path);
    if (!stats.isFile() || stats.size > MAX_RULES_SIZE) return '';
    return await readFile(path, 'utf8');
  } catch {
    // Rules that cannot be read cannot be honored; git goes on without them as well.
    return '';
  }
}

interface RuleSet {
  readonly rules: Ignore;
  readonly none: boolean;
}

function newRules(text = ''): RuleSet {
  const patterns = rebase(text, []);
  // Git's `core.ignorecase` is set where the file system ignores case.
  const rules = ignore({ ignorecase: process.platform === 'win32' || process.platform === 'darwin' }).add(patterns);
  return { rules, none: patterns.length === 0 };
}

/** The patterns of a rule file in `folder`, rewritten so that they mean the same in the base folder (gitignore(5)). */
function rebase(text: string, folder: readonly string[]): string[] {
  const prefix = folder.map((name) => `/${name.replaceAll(/[\\*?[\]]/g, '\\$&')}`).join('');
  const patterns: string[] = [];
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (prefix === '') {
      patterns.push(line);
      continue;
    }
    const negated = line.startsWith('!');
    const pattern = negated ? line.slice(1) : line;
    // A slash at the beginning or in the middle ties the pattern to its folder; otherwise it holds at any depth.
    const anchored = pattern.trimEnd().slice(0, -1).includes('/');
    const middle = anchored ? (pattern.startsWith('/') ? '' : '/') : '/**/';
    patterns.push(`${negated ? '!' : ''}${prefix}${middle}${pattern}`);
  }
  return patterns;
}

async function repositoryRoot(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    if (await exists(join(at, '.git'))) return at;
    if (dirname(at) === at) return undefined;
  }
}

/** `info/exclude` of the repository; in a worktree or submodule `.git` is a file that says where it lies. */
async function excludeFile(root: string): Promise<string> {
  const git = join(root, '.git');
  const pointer = /^gitdir: (.+?)\s*$/.exec(await readRules(git))?.[1];
  if (pointer === undefined) return await readRules(join(git, 'info', 'exclude'));
  const gitDir = resolve(root, pointer);
  const common = (await readRules(join(gitDir, 'commondir'))).trim();
  return await readRules(join(common === '' ? gitDir : resolve(gitDir, common), 'info', 'exclude'));
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
