import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { endGroup, run, spawnGroup } from './child.ts';
import { installServerBuild } from './server-build.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Quiet and the same on every machine: nothing phones home, nothing pops up by itself. */
export const QUIET_SETTINGS = {
  'telemetry.telemetryLevel': 'off',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.settings.enableNaturalLanguageSearch': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'security.workspace.trust.enabled': false,
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'update.mode': 'none',
  'git.openRepositoryInParentFolders': 'never',
  'chat.disableAIFeatures': true,
  // Light and dark as the browser says.
  'window.autoDetectColorScheme': true,
  // Every port that a peer opens would be a toast.
  'remote.autoForwardPorts': false,
};

export interface EditorServerOptions {
  /** Names the temporary folder and the log lines. */
  readonly name: string;
  /** Packaged extensions to install. */
  readonly extensions: readonly string[];
  /** Allows tests inside the extension host. Such an editor shows no toasts. */
  readonly runsTests?: boolean;
  readonly settings?: Record<string, unknown>;
  readonly env?: NodeJS.ProcessEnv;
  /** Keeps data between runs; absent: a temporary folder, deleted by `dispose`. */
  readonly home?: string;
}

/** One user's VS Code: the server build with a data folder, an extensions folder and a home of its own. */
export class EditorServer {
  readonly origin: string;
  readonly home: string;
  readonly #token: string;
  readonly #child: ChildProcess;
  readonly #removeHome: () => Promise<void>;
  readonly #log: () => string;

  private constructor(
    origin: string,
    token: string,
    home: string,
    child: ChildProcess,
    removeHome: () => Promise<void>,
    log: () => string,
  ) {
    this.origin = origin;
    this.#token = token;
    this.home = home;
    this.#child = child;
    this.#removeHome = removeHome;
    this.#log = log;
  }

  static async start(options: EditorServerOptions): Promise<EditorServer> {
    const main = await installServerBuild((line) => console.error(line));
    const temporary = options.home === undefined ? await temporaryFolder(options.name) : undefined;
    const home = options.home ?? temporary?.path ?? '';
    const data = path.join(home, 'data');
    const folders = ['--server-data-dir', data, '--extensions-dir', path.join(home, 'extensions')];
    const env = {
      ...process.env,
      HOME: home,
      XDG_STATE_HOME: undefined,
      XDG_CONFIG_HOME: undefined,
      // What a killed editor leaves behind goes with its home. (Elsewhere such paths get too long for its sockets.)
      ...(process.platform === 'linux' ? { TMPDIR: path.join(home, 'tmp') } : {}),
      EXTENSIONS_GALLERY: JSON.stringify({ serviceUrl: '' }),
      ...options.env,
    };
    try {
      // Settings of the user; and those of the machine, which only the machine's own file may set.
      for (const scope of ['User', 'Machine']) {
        const folder = path.join(data, 'data', scope);
        await mkdir(folder, { recursive: true });
        const settings = JSON.stringify({ ...QUIET_SETTINGS, ...options.settings }, null, 2);
        await writeFile(path.join(folder, 'settings.json'), settings);
      }
      await mkdir(path.join(home, 'tmp'), { recursive: true });
      const terms = '--accept-server-license-terms';
      const install = options.extensions.flatMap((vsix) => ['--install-extension', vsix]);
      if (install.length > 0) await run(process.execPath, [main, ...folders, terms, '--force', ...install], { env });

      // Whoever reaches an editor runs commands as its user: other users of this machine, or a web page, must not.
      const token = randomBytes(16).toString('hex');
      const listen = ['--host', '127.0.0.1', '--port', '0', '--connection-token', token];
      const mode = ['--disable-telemetry', '--disable-workspace-trust'];
      if (options.runsTests) mode.push('--enable-smoke-test-driver');
      const child = spawnGroup(process.execPath, [main, ...folders, terms, ...listen, ...mode], {
        cwd: home,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const { port, log } = await listening(child, 30_000);
      return new EditorServer(`http://127.0.0.1:${port}`, token, home, child, async () => temporary?.remove(), log);
    } catch (error) {
      await temporary?.remove();
      throw error;
    }
  }

  /** Where a browser opens this editor on a folder. `payload`: workbench options, for tests inside the extension host. */
  url(folder: string, payload: readonly (readonly [string, string])[] = []): string {
    const url = new URL(this.origin);
    url.searchParams.set('tkn', this.#token);
    url.searchParams.set('folder', folder);
    if (payload.length > 0) url.searchParams.set('payload', JSON.stringify(payload));
    return url.href;
  }

  /** Changes settings of the machine while the editor runs, as its user does in the file. */
  async changeSettings(change: Record<string, unknown>): Promise<void> {
    const file = path.join(this.home, 'data/data/Machine/settings.json');
    const settings = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    await writeFile(file, JSON.stringify({ ...settings, ...change }, null, 2));
  }

  /** The last output of the server and its extension hosts, for failures. */
  get log(): string {
    return readable(this.#log());
  }

  async dispose(): Promise<void> {
    await endGroup(this.#child);
    await this.#removeHome();
  }
}

/** Without the long complaint about the native logger that this build does without. */
function readable(log: string): string {
  const lines = log.split('\n').filter((line) => !/spdlog|Could not locate the bindings/i.test(line));
  return lines.join('\n');
}

function listening(child: ChildProcess, timeout: number): Promise<{ port: number; log: () => string }> {
  return new Promise((resolve, reject) => {
    let log = '';
    const fail = (reason: string): void => {
      clearTimeout(timer);
      endGroup(child).then(
        () => reject(new Error(`The editor server ${reason}:\n${readable(log).slice(-4000)}`)),
        reject,
      );
    };
    const timer = setTimeout(() => fail('did not get ready'), timeout);
    const read = (chunk: Buffer): void => {
      log = (log + chunk.toString()).slice(-200_000);
      const port = /agent listening on (\d+)/.exec(log)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve({ port: Number(port), log: () => log });
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', (error) => fail(`could not start (${error.message})`));
    child.once('exit', (code) => fail(`ended with code ${code}`));
  });
}
