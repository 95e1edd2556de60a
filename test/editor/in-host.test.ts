import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { startSource } from '../bench/share-source.ts';
import { launchBrowser } from './host/browser.ts';
import { findDesktop, runOnDesktop } from './host/desktop.ts';
import { type InHostOptions, runInServer } from './host/in-host.ts';
import { packagedExtension } from './host/packaged-extension.ts';
import { registerReport } from './host/register-report.ts';
import { temporaryFolder } from './host/temporary-folder.ts';
import type { HostReport } from './in-host/report.ts';
import { SOURCE } from './in-host/transfer-source.ts';

const TIMEOUT = 120_000;
const GB = 1e9;
/** The oldest version that package.json allows, and the newest. */
const DESKTOP_VERSIONS = process.env.VSCODE_EXECUTABLE ? ['named by VSCODE_EXECUTABLE'] : ['1.101.0', 'stable'];

/** With a peer to download from. */
async function prepared(work: (options: InHostOptions) => Promise<HostReport>): Promise<HostReport> {
  const vsix = await packagedExtension();
  const folder = await temporaryFolder('in-host');
  const { source, dispose } = await startSource(GB, folder.path);
  try {
    const workspace = path.join(folder.path, 'workspace');
    await mkdir(workspace);
    return await work({ vsix, workspace, env: { [SOURCE]: JSON.stringify(source) }, timeout: TIMEOUT });
  } finally {
    await dispose();
    await folder.remove();
  }
}

describe('inside the extension host of the server build', function () {
  this.timeout(TIMEOUT * 2);
  let browser: Browser;
  let report: HostReport;

  before(async function () {
    browser = await launchBrowser();
    report = await prepared((options) => runInServer(browser, options));
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
      report = await prepared((options) => runOnDesktop(desktop.executable, options));
      registerReport(this.test!.parent!, report);
    });

    it('runs all tests', () => {
      assert.equal(report.failure, undefined);
      assert.ok(report.tests.length > 0);
    });
  });
