/**
 * A real VS Code without a download: the server build that the npm package `code-server` ships, installed without
 * compiling anything. Its native modules are missing; only logging to files and the terminal need them.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './child.ts';
import { CACHE } from './paths.ts';

const CODE_SERVER = '4.139.1';

/** Returns the path of `server-main.js`, installing the build on first use (about a minute, then cached). */
export async function installServerBuild(report: (line: string) => void = () => {}): Promise<string> {
  const prefix = path.join(CACHE, 'server');
  const vscode = path.join(prefix, 'node_modules/code-server/lib/vscode');
  const main = path.join(vscode, 'out/server-main.js');
  // npm writes node_modules/.package-lock.json last, so these tell a complete install from an interrupted one.
  const steps = [prefix, vscode, path.join(vscode, 'extensions')].map((folder) =>
    path.join(folder, 'node_modules/.package-lock.json'),
  );
  if ((await installedVersion(prefix)) === CODE_SERVER && steps.every(existsSync)) return main;

  report(
    `Installing a VS Code server build (code-server ${CODE_SERVER}) into ${path.relative(process.cwd(), prefix)}…`,
  );
  await rm(prefix, { recursive: true, force: true });
  await mkdir(prefix, { recursive: true });
  await writeFile(path.join(prefix, 'package.json'), JSON.stringify({ private: true }));
  const npm = async (cwd: string, ...args: string[]): Promise<void> => {
    await run('npm', ['install', ...args, '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd,
      env: environmentForNpm(),
    });
  };
  await npm(prefix, `code-server@${CODE_SERVER}`);
  await npm(vscode);
  await npm(path.join(vscode, 'extensions'));
  return main;
}

async function installedVersion(prefix: string): Promise<string | undefined> {
  try {
    const text = await readFile(path.join(prefix, 'node_modules/code-server/package.json'), 'utf8');
    return (JSON.parse(text) as { version?: string }).version;
  } catch {
    return undefined;
  }
}

/** Inside `npm test`, npm's own variables would point the inner npm at this project instead of the server's folder. */
function environmentForNpm(): NodeJS.ProcessEnv {
  const local = ['npm_config_local_prefix', 'npm_config_prefix', 'npm_package_json', 'INIT_CWD'];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !local.includes(name)));
}
