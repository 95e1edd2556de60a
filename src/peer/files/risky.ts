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
  // By plain loops: it is asked for each of many files.
  let above = '';
  for (const [depth, original] of path.entries()) {
    const name = original.toLowerCase();
    const last = depth === path.length - 1;
    // The last name may be a folder's too: a file `.git` points git to a repository elsewhere.
    if (FOLDERS.has(name) || (last && isRiskyFile(name))) return true;
    if (above === '.github' && GITHUB.has(name)) return true;
    // Hooks of a bare repository.
    if (!last && name === 'hooks' && above.endsWith('.git')) return true;
    above = name;
  }
  return false;
}

/** `name` in lower case. */
function isRiskyFile(name: string): boolean {
  if (FILES.has(name)) return true;
  for (let dot = name.lastIndexOf('.'); dot >= 0; dot = dot === 0 ? -1 : name.lastIndexOf('.', dot - 1))
    if (ENDINGS.has(name.slice(dot))) return true;
  return false;
}
