/** Folders whose contents editors, agents or git act upon. */
const FOLDERS = new Set([
  '.git',
  '.githooks',
  '.husky',
  '.vscode',
  '.vscode-server',
  '.vs',
  '.idea',
  '.run',
  '.fleet',
  '.zed',
  '.devcontainer',
  '.direnv',
  '.yarn',
  '.claude',
  '.codex',
  '.cursor',
  '.gemini',
  '.windsurf',
  '.continue',
  '.kiro',
  '.roo',
  '.clinerules',
  '.junie',
  '.augment',
  '.amazonq',
  '.agents',
]);

/** Below `.github`: what agents obey and what runs in CI. */
const GITHUB = new Set([
  'actions',
  'agents',
  'chatmodes',
  'copilot-instructions.md',
  'hooks',
  'instructions',
  'prompts',
  'skills',
  'workflows',
]);

const FILES = new Set([
  // Editors and debuggers read these from the folder that they are started in.
  '.devcontainer.json',
  '.dir-locals.el',
  '.exrc',
  '.gdbinit',
  '.lldbinit',
  '.nvim.lua',
  '.nvimrc',
  '.vimrc',
  // Shells and tools that run by entering a folder, or on the next ordinary command.
  '.bash_login',
  '.bash_logout',
  '.bash_profile',
  '.bashrc',
  '.cshrc',
  '.envrc',
  '.gitconfig',
  '.gitmodules',
  '.kshrc',
  '.login',
  '.mise.toml',
  '.npmrc',
  '.pnpmfile.cjs',
  '.pre-commit-config.yaml',
  '.pre-commit-config.yml',
  '.profile',
  '.tcshrc',
  '.yarnrc',
  '.yarnrc.yml',
  '.zlogin',
  '.zprofile',
  '.zshenv',
  '.zshrc',
  'lefthook.yaml',
  'lefthook.yml',
  'mise.toml',
  'sitecustomize.py',
  'usercustomize.py',
  // Agents take instructions or start servers from these.
  '.aider.conf.yml',
  '.cursorrules',
  '.goosehints',
  '.mcp.json',
  '.windsurfrules',
  'agent.md',
  'agents.md',
  'claude.md',
  'claude.local.md',
  'copilot-instructions.md',
  'gemini.md',
  'mcp.json',
  'skill.md',
  // File managers act on these when they show the folder.
  'autorun.inf',
  'desktop.ini',
]);

const ENDINGS = new Set([
  '.code-workspace',
  '.instructions.md',
  '.prompt.md',
  '.chatmode.md',
  '.agent.md',
  '.desktop',
  '.lnk',
  '.pth',
  '.scf',
  '.url',
  '.webloc',
]);

/**
 * True for content that editors, shells, file managers or agents execute or obey without being asked again: a person
 * confirms it before it is placed. Case does not matter, since it does not on Windows and macOS.
 */
export function isRisky(path: readonly string[]): boolean {
  return new RiskJudge().isRisky(path);
}

/** The same for one of many files after another: those that follow each other are mostly in the same folder. */
export class RiskJudge {
  /** Whose folder was judged. */
  #path: readonly string[] = [];
  #risky = false;
  /** Name of the folder, in lower case. */
  #above = '';

  isRisky(path: readonly string[]): boolean {
    if (!isBeside(path, this.#path)) this.#judgeFolder(path);
    if (this.#risky) return true;
    const name = (path.at(-1) ?? '').toLowerCase();
    // It may be a folder's name, too: a file `.git` points git to a repository elsewhere.
    return FOLDERS.has(name) || isRiskyFile(name) || (this.#above === '.github' && GITHUB.has(name));
  }

  #judgeFolder(path: readonly string[]): void {
    this.#path = path;
    this.#risky = false;
    this.#above = '';
    for (const original of path.slice(0, -1)) {
      const name = original.toLowerCase();
      if (FOLDERS.has(name) || (this.#above === '.github' && GITHUB.has(name))) this.#risky = true;
      // Hooks of a bare repository.
      if (name === 'hooks' && this.#above.endsWith('.git')) this.#risky = true;
      this.#above = name;
    }
  }
}

function isBeside(path: readonly string[], other: readonly string[]): boolean {
  if (path.length !== other.length) return false;
  for (let depth = path.length - 2; depth >= 0; depth--) if (path[depth] !== other[depth]) return false;
  return true;
}

/** `name` in lower case. */
function isRiskyFile(name: string): boolean {
  if (FILES.has(name)) return true;
  for (let dot = name.lastIndexOf('.'); dot >= 0; dot = dot === 0 ? -1 : name.lastIndexOf('.', dot - 1))
    if (ENDINGS.has(name.slice(dot))) return true;
  return false;
}
