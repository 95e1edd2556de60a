/** Desktop VS Code: found, or downloaded by `@vscode/test-electron` where its download can be reached. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { downloadAndUnzipVSCode, resolveCliArgsFromVSCodeExecutablePath, runTests } from '@vscode/test-electron';
import { DEVELOPMENT } from '../../../src/extension/development-api.ts';
import { type HostReport, REPORT_FILE } from '../in-host/report.ts';
import { endGroup, run, spawnGroup } from './child.ts';
import { QUIET_SETTINGS } from './editor-server.ts';
import { bundleTests, type InHostOptions, writeTestDriver } from './in-host.ts';
import { CACHE, OUTPUT } from './paths.ts';
import { temporaryFolder } from './temporary-folder.ts';

const DOWNLOADS = 'https://update.code.visualstudio.com/api/releases/stable';

/** The path of an executable that starts here, or why there is none. `version`: like `1.101.0`, or `stable`. */
export async function findDesktop(
  version: string,
  chosen = process.env.VSCODE_EXECUTABLE,
): Promise<{ executable: string } | { reason: string }> {
  if (!chosen && !(await reaches(DOWNLOADS)))
    return { reason: 'desktop VS Code cannot be downloaded here; VSCODE_EXECUTABLE names one to use' };
  if (!hasScreen() && !(await works('Xvfb', ['-help']))) return { reason: 'desktop VS Code needs a display, or Xvfb' };
  const executable = chosen || (await downloadAndUnzipVSCode({ version, cachePath: CACHE }));
  const [cli = executable, ...args] = cliOf(executable);
  if (!(await works(cli, [...args, ...rootArguments(), '--version'])))
    return { reason: `${executable} does not start here; a library may be missing` };
  return { executable };
}

const INSTALLED: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['/usr/share/code/code', '/opt/visual-studio-code/code', '/snap/code/current/usr/share/code/code'],
  darwin: ['/Applications/Visual Studio Code.app/Contents/MacOS/Electron'],
  win32: [path.join(process.env.LOCALAPPDATA ?? '', 'Programs\\Microsoft VS Code\\Code.exe')],
};

/** The user's own VS Code, for trying things out; tests choose their version. */
export function installedDesktop(): string | undefined {
  return INSTALLED[process.platform]?.find((candidate) => existsSync(candidate));
}

function cliOf(executable: string): string[] {
  return resolveCliArgsFromVSCodeExecutablePath(executable, { reuseMachineInstall: true });
}

function reaches(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
    (response) => response.ok,
    () => false,
  );
}

function works(command: string, args: readonly string[]): Promise<boolean> {
  return run(command, args, { timeout: 20_000 }).then(
    () => true,
    () => false,
  );
}

/** Runs the tests of test/editor/in-host in desktop VS Code, on a virtual screen where there is none. */
export async function runOnDesktop(executable: string, options: InHostOptions): Promise<HostReport> {
  const entry = await bundleTests();
  const file = path.join(OUTPUT, 'in-host', 'report-desktop.json');
  await rm(file, { force: true });
  // Short, because the editor makes Unix sockets in it.
  const home = await temporaryFolder('desktop');
  const screen = await virtualScreen();
  try {
    const folders = await prepareDesktop(executable, home.path, [options.vsix]);
    const failed = await runTests({
      vscodeExecutablePath: executable,
      extensionDevelopmentPath: await writeTestDriver(),
      extensionTestsPath: entry,
      extensionTestsEnv: { ...options.env, ...screen?.env, [DEVELOPMENT]: '1', [REPORT_FILE]: file },
      launchArgs: [options.workspace, ...folders, ...desktopArguments()],
    }).then(
      () => undefined,
      (error: unknown) => error,
    );
    return await readFile(file, 'utf8').then(
      (text) => JSON.parse(text) as HostReport,
      () => Promise.reject(failed ?? new Error('Desktop VS Code ended without a report.')),
    );
  } finally {
    await screen?.stop();
    await home.remove();
  }
}

/** Writes settings and installs packaged extensions; returns the arguments that select these folders. */
export async function prepareDesktop(
  executable: string,
  home: string,
  extensions: readonly string[],
  settings: Record<string, unknown> = {},
): Promise<string[]> {
  const folders = [`--user-data-dir=${path.join(home, 'data')}`, `--extensions-dir=${path.join(home, 'extensions')}`];
  await mkdir(path.join(home, 'data/User'), { recursive: true });
  await writeFile(
    path.join(home, 'data/User/settings.json'),
    JSON.stringify({ ...QUIET_SETTINGS, ...settings }, null, 2),
  );
  const [cli = executable, ...args] = cliOf(executable);
  const install = extensions.flatMap((vsix) => ['--install-extension', vsix]);
  await run(cli, [...args, ...folders, ...rootArguments(), ...install, '--force']);
  return folders;
}

export function desktopArguments(): string[] {
  return [
    ...rootArguments(),
    '--disable-workspace-trust',
    '--disable-telemetry',
    '--disable-updates',
    '--skip-welcome',
    '--skip-release-notes',
  ];
}

/** Chromium's sandbox refuses root. */
function rootArguments(): string[] {
  return process.getuid?.() === 0 ? ['--no-sandbox'] : [];
}

export function hasScreen(): boolean {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

/** An Xvfb of our own on Linux without a display. */
async function virtualScreen(): Promise<{ env: NodeJS.ProcessEnv; stop(): Promise<void> } | undefined> {
  if (hasScreen()) return undefined;
  const child = spawnGroup('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x800x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const display = await displayOf(child);
  return { env: { DISPLAY: `:${display}` }, stop: () => endGroup(child) };
}

function displayOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error('Desktop VS Code needs a display or Xvfb.', { cause: error })));
    child.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}.`)));
    child.stdio[3]?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
  });
}
