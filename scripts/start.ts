/**
 * `npm start`: a tracker and two editors, A and B, with sample workspaces on one network; Ctrl-C ends all of it and
 * deletes what it made. Desktop VS Code where there is one (or `VSCODE_EXECUTABLE`) and a screen, else VS Code's server
 * build, opened in your browser. `npm start -- --check` does without a person: it shares a file from A to B through the
 * UI, compares the bytes, prints one line and exits. `--server` insists on the server build.
 */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { DEVELOPMENT } from '../src/extension/development-api.ts';
import { launchBrowser } from '../test/editor/host/browser.ts';
import { endGroup, run, spawnGroup } from '../test/editor/host/child.ts';
import {
  desktopArguments,
  findDesktop,
  hasScreen,
  installedDesktop,
  prepareDesktop,
} from '../test/editor/host/desktop.ts';
import { EditorServer } from '../test/editor/host/editor-server.ts';
import { packagedExtension } from '../test/editor/host/packaged-extension.ts';
import { PeerwireWindow } from '../test/editor/host/peerwire-window.ts';
import { temporaryFolder } from '../test/editor/host/temporary-folder.ts';
import { startTracker } from '../test/editor/host/tracker-process.ts';
import { writeSampleWorkspaces } from './sample-workspaces.ts';

/** The editor of one user of the demo. */
interface DemoEditor {
  readonly role: 'A' | 'B';
  readonly workspace: string;
  readonly home: string;
  readonly extensions: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly settings: Record<string, unknown>;
}

const { values: options } = parseArgs({
  options: { check: { type: 'boolean', default: false }, server: { type: 'boolean', default: false } },
});
const closers: (() => Promise<unknown>)[] = [];
const stopped = new Promise<void>((resolve) => {
  process.once('SIGINT', resolve);
  process.once('SIGTERM', resolve);
});

try {
  await Promise.race([main(), stopped]);
} catch (error) {
  console.error(options.check ? `peerwire check: FAILED – ${error instanceof Error ? error.message : error}` : error);
  process.exitCode = 1;
} finally {
  // A second Ctrl-C while this runs ends the process at once.
  for (const close of closers.splice(0).reverse()) await close().catch(console.error);
}
process.exit();

async function main(): Promise<void> {
  say('Packaging the extension…');
  const packaging = spawnSync(process.execPath, ['scripts/package.ts'], { encoding: 'utf8' });
  if (packaging.status !== 0)
    throw new Error(`The extension cannot be packaged:\n${packaging.stdout}${packaging.stderr}`);

  const folder = await temporaryFolder('demo');
  closers.push(folder.remove);
  const workspaces = await writeSampleWorkspaces(folder.path);
  const tracker = await startTracker();
  closers.push(tracker.dispose);
  const extensions = [await packagedExtension(), await packageDemoExtension(folder.path)];
  const editor = (role: 'A' | 'B', workspace: string): DemoEditor => ({
    role,
    workspace,
    home: path.join(folder.path, `home-${role}`),
    extensions,
    env: {
      [DEVELOPMENT]: '1',
      PEERWIRE_DEMO_ROLE: role,
      PEERWIRE_DEMO_INVITE: path.join(folder.path, 'invite'),
      PEERWIRE_DEMO_TRACKER: tracker.url,
    },
    settings: { 'peerwire.device.name': role, 'window.title': `${role} · \${rootName}` },
  });
  const a = editor('A', workspaces.a);
  const b = editor('B', workspaces.b);

  if (options.check) return check(await startServer(a), a, await startServer(b), b);
  const desktop =
    options.server || !hasScreen()
      ? { reason: 'no screen' }
      : await findDesktop('stable', process.env.VSCODE_EXECUTABLE ?? installedDesktop());
  say(`The tracker is at ${tracker.url}`);
  if ('executable' in desktop) {
    const windows = await Promise.all([a, b].map((one) => startDesktop(desktop.executable, one)));
    say('Two editors are open, A and B, both on the network “Demo”. Share a file in A, download it in B.');
    say('Close them, or press Ctrl-C here, to end it all.');
    await Promise.all(windows.map((child) => once(child, 'exit')));
  } else {
    say(`Using VS Code's server build (${desktop.reason}). Open these in two browser windows, A first:`);
    for (const one of [a, b]) say(`  ${one.role}  ${(await startServer(one)).url(one.workspace)}`);
    say('Both join the network “Demo”. Share a file in A, download it in B. Ctrl-C ends it all.');
    await stopped;
  }
}

async function startServer(editor: DemoEditor): Promise<EditorServer> {
  const server = await EditorServer.start({ name: `demo-${editor.role}`, ...editor });
  closers.push(() => server.dispose());
  return server;
}

async function startDesktop(executable: string, editor: DemoEditor): Promise<ChildProcess> {
  const folders = await prepareDesktop(executable, editor.home, editor.extensions, editor.settings);
  const child = spawnGroup(executable, [editor.workspace, ...folders, ...desktopArguments(), '--new-window'], {
    env: { ...process.env, ...editor.env },
    stdio: 'ignore',
  });
  closers.push(() => endGroup(child));
  return child;
}

async function check(serverA: EditorServer, a: DemoEditor, serverB: EditorServer, b: DemoEditor): Promise<void> {
  const browser = await launchBrowser();
  closers.push(() => browser.close());
  const file = 'dataset.bin';
  const windowA = await PeerwireWindow.open(browser, serverA.url(a.workspace));
  const windowB = await PeerwireWindow.open(browser, serverB.url(b.workspace));
  try {
    await windowA.personRow('B', 'online').waitFor();
    await windowA.share(file);
    await windowB.download('A', file);
    await windowB.transferRow(file, 'done').waitFor();
  } finally {
    await windowA.workbench.screenshot('check-a');
    await windowB.workbench.screenshot('check-b');
  }
  const [sent, received] = await Promise.all([a, b].map((one) => readFile(path.join(one.workspace, file))));
  if (!sent || !received?.equals(sent)) throw new Error(`${file} arrived with other content`);
  console.log(`peerwire check: ok – ${file} (${sent.length} bytes) went from editor A to editor B, byte for byte`);
}

async function packageDemoExtension(folder: string): Promise<string> {
  const vsix = path.join(folder, 'demo.vsix');
  const vsce = path.resolve('node_modules/@vscode/vsce/vsce');
  const flags = ['--no-dependencies', '--allow-missing-repository', '--skip-license', '--out', vsix];
  await run(process.execPath, [vsce, 'package', ...flags], { cwd: path.resolve('scripts/demo-extension') });
  return vsix;
}

function say(line: string): void {
  if (!options.check) console.log(line);
}
