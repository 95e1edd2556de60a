import assert from 'node:assert/strict';
import Mocha from 'mocha';
import type { HostReport } from '../in-host/report.ts';

/** Adds every test that ran in an extension host to the suite, so that it is counted and shown like any other. */
export function registerReport(suite: Mocha.Suite, report: HostReport): void {
  for (const test of report.tests) {
    const title = test.title.join(' › ');
    const body = (): void => assert.equal(test.error, undefined, test.error);
    suite.addTest(test.state === 'skipped' ? new Mocha.Test(title) : new Mocha.Test(title, body));
  }
}
