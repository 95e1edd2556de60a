/** Runs the tests of test/editor/in-host in an extension host and returns their report. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { DEVELOPMENT } from '../../../src/extension/development-api.ts';
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
    env: { ...options.env, [DEVELOPMENT]: '1', [REPORT_FILE]: file },
  });
  try {
    const remote = `vscode-remote://${new URL(server.origin).host}`;
    const { context } = await openWindow(
      browser,
      server.url(options.workspace, [
        ['extensionDevelopmentPath', `${remote}${await writeTestDriver()}`],
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

/** An empty extension: editors run tests only beside an extension under development, and ours is to run as users get it. */
export async function writeTestDriver(): Promise<string> {
  const folder = path.join(OUTPUT, 'in-host', 'driver');
  await mkdir(folder, { recursive: true });
  const manifest = { name: 'test-driver', publisher: 'peerwire', version: '0.0.1', engines: { vscode: '*' } };
  await writeFile(path.join(folder, 'package.json'), JSON.stringify(manifest));
  return folder;
}

async function readReport(file: string, timeout: number, log: () => string): Promise<HostReport> {
  for (const deadline = Date.now() + timeout; Date.now() < deadline; ) {
    if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as HostReport;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`The extension host did not report within ${timeout / 1000} s:\n${log().slice(-4000)}`);
}
