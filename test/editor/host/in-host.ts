/** Runs the tests of test/editor/in-host in an extension host and returns their report. */
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { type HostReport, REPORT_FILE } from '../in-host/report.ts';
import { openWindow } from './browser.ts';
import { EditorServer } from './editor-server.ts';
import { OUTPUT, PROJECT } from './paths.ts';

export interface InHostOptions {
  readonly vsix: string;
  readonly workspace: string;
  /** Seen by the tests as process.env. */
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds for the whole run. */
  readonly timeout: number;
}

/** In the server build. */
export async function runInServer(browser: Browser, options: InHostOptions): Promise<HostReport> {
  const entry = await bundleTests();
  const file = path.join(OUTPUT, 'in-host', 'report-server.json');
  await rm(file, { force: true });
  const server = await EditorServer.start({
    name: 'in-host',
    extensions: [options.vsix],
    runsTests: true,
    env: { ...options.env, [REPORT_FILE]: file },
  });
  try {
    const remote = `vscode-remote://${new URL(server.origin).host}`;
    const { context } = await openWindow(
      browser,
      server.url(options.workspace, [
        ['extensionDevelopmentPath', `${remote}${await installedExtension(path.join(server.home, 'extensions'))}`],
        ['extensionTestsPath', `${remote}${entry}`],
      ]),
    );
    try {
      return await readReport(file, options.timeout, () => server.log);
    } finally {
      await context.close();
    }
  } finally {
    await server.dispose();
  }
}

/** Makes a CommonJS module with `run()` and returns its path. */
export async function bundleTests(): Promise<string> {
  const folder = path.join(OUTPUT, 'in-host');
  const entry = path.join(folder, 'index.cjs');
  const source = (name: string): string => path.join(PROJECT, 'test/editor/in-host', name);
  const common = { bundle: true, platform: 'node', target: 'node22', logLevel: 'warning' } as const;
  await Promise.all([
    build({
      ...common,
      format: 'cjs',
      entryPoints: [source('index.ts')],
      outfile: entry,
      external: ['vscode', 'mocha'],
    }),
    build({
      ...common,
      format: 'esm',
      entryPoints: [source('crypto-worker.ts')],
      outfile: path.join(folder, 'crypto-worker.mjs'),
    }),
  ]);
  return entry;
}

/**
 * The unpacked package. Editors run tests only beside an extension under development: that is the installed one, so the
 * bits under test are those that users get.
 */
export async function installedExtension(extensions: string): Promise<string> {
  const [folder] = (await readdir(extensions)).filter((name) => name.startsWith('peerwire.peerwire-'));
  if (folder === undefined) throw new Error(`Peerwire is not installed in ${extensions}.`);
  return path.join(extensions, folder);
}

async function readReport(file: string, timeout: number, log: () => string): Promise<HostReport> {
  for (const deadline = Date.now() + timeout; Date.now() < deadline; ) {
    if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as HostReport;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`The extension host did not report within ${timeout / 1000} s:\n${log().slice(-4000)}`);
}
