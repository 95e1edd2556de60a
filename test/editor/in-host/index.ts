/**
 * Runs mocha inside an extension host. The editor loads this module because `--extensionTestsPath` (desktop) or the
 * payload of the same name (server) says so, calls `run`, and takes a rejection as failure.
 */
import { rename, writeFile } from 'node:fs/promises';
import Mocha from 'mocha';
import * as vscode from 'vscode';
import { recordedFigures } from './figures.ts';
import { type HostReport, type HostTest, REPORT_FILE } from './report.ts';

export async function run(): Promise<void> {
  const report = await runTests();
  const file = process.env[REPORT_FILE];
  if (file !== undefined) {
    await writeFile(`${file}.part`, JSON.stringify(report));
    await rename(`${file}.part`, file);
  }
  const failed = report.tests.filter((test) => test.state === 'failed');
  if (report.failure !== undefined || failed.length > 0)
    throw new Error(report.failure ?? `${failed.length} tests failed: ${failed[0]?.error}`);
}

async function runTests(): Promise<HostReport> {
  const tests: HostTest[] = [];
  const { node, openssl, electron } = process.versions;
  const editor = `VS Code ${vscode.version} (Node ${node}, ${electron ? `Electron ${electron}` : `OpenSSL ${openssl}`})`;
  try {
    const mocha = new Mocha({ ui: 'bdd', timeout: 30_000, reporter: 'min' });
    // The test files register themselves through mocha's globals, so they load after these exist.
    mocha.suite.emit('pre-require', globalThis, '', mocha);
    await import('./extension.ts');
    await import('./crypto.ts');
    await import('./transfer.ts');
    await new Promise<void>((resolve) => {
      const runner = mocha.run(() => resolve());
      const add = (test: Mocha.Runnable, state: HostTest['state'], error?: unknown): void => {
        tests.push({ title: test.titlePath(), state, ...(error === undefined ? {} : { error: describeError(error) }) });
      };
      runner.on('pass', (test) => add(test, 'passed'));
      runner.on('fail', (test, error) => add(test, 'failed', error));
      runner.on('pending', (test) => add(test, 'skipped'));
    });
    return { editor, tests, figures: recordedFigures() };
  } catch (error) {
    return { editor, tests, figures: recordedFigures(), failure: describeError(error) };
  }
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
