import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { launchBrowser } from './host/browser.ts';
import { findDesktop, runOnDesktop } from './host/desktop.ts';
import { runInServer } from './host/in-host.ts';
import { packagedExtension } from './host/packaged-extension.ts';
import { registerReport } from './host/register-report.ts';
import { temporaryFolder } from './host/temporary-folder.ts';
import type { HostReport } from './in-host/report.ts';

const TIMEOUT = 120_000;
/** The oldest version that package.json allows, and the newest. */
const DESKTOP_VERSIONS = process.env.VSCODE_EXECUTABLE ? ['named by VSCODE_EXECUTABLE'] : ['1.101.0', 'stable'];

async function inWorkspace(work: (vsix: string, workspace: string) => Promise<HostReport>): Promise<HostReport> {
  const folder = await temporaryFolder('in-host');
  try {
    const workspace = path.join(folder.path, 'workspace');
    await mkdir(workspace);
    return await work(await packagedExtension(), workspace);
  } finally {
    await folder.remove();
  }
}

describe('inside the extension host of the server build', function () {
  this.timeout(TIMEOUT * 2);
  let browser: Browser;
  let report: HostReport;

  before(async function () {
    browser = await launchBrowser();
    report = await inWorkspace((vsix, workspace) => runInServer(browser, { vsix, workspace, timeout: TIMEOUT }));
    registerReport(this.test!.parent!, report);
  });

  after(() => browser?.close());

  it('runs all tests', () => {
    assert.equal(report.failure, undefined);
    assert.ok(report.tests.length > 0);
  });
});

for (const version of DESKTOP_VERSIONS)
  describe(`inside the extension host of desktop VS Code ${version}`, function () {
    this.timeout(TIMEOUT * 3);
    let report: HostReport;

    before(async function () {
      const desktop = await findDesktop(version);
      if ('reason' in desktop) {
        console.log(`      ${desktop.reason}`);
        this.skip();
      }
      report = await inWorkspace((vsix, workspace) =>
        runOnDesktop(desktop.executable, { vsix, workspace, timeout: TIMEOUT }),
      );
      registerReport(this.test!.parent!, report);
    });

    it('runs all tests', () => {
      assert.equal(report.failure, undefined);
      assert.ok(report.tests.length > 0);
    });
  });
