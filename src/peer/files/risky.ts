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

const ENDINGS = [
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
];

/**
 * True for content that editors, shells, file managers or agents execute or obey without being asked again: a person
 * confirms it before it is placed. Case does not matter, since it does not on Windows and macOS.
 */
export function isRisky(path: readonly string[]): boolean {
  const names = path.map((name) => name.toLowerCase());
  const file = names.at(-1) ?? '';
  if (FILES.has(file) || ENDINGS.some((ending) => file.endsWith(ending))) return true;
  return names.some((name, depth) => {
    const next = names[depth + 1];
    // The last name may be a folder's too: a file `.git` points git to a repository elsewhere.
    if (FOLDERS.has(name)) return true;
    if (name === '.github') return next !== undefined && GITHUB.has(next);
    // Hooks of a bare repository.
    return name === 'hooks' && next !== undefined && (names[depth - 1]?.endsWith('.git') ?? false);
  });
}
