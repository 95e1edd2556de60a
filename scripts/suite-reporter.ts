import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

export interface SuiteResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly skippedTitles: readonly string[];
}

/** Environment variable that names the file for the result. */
export const RESULT_FILE = 'PEERWIRE_SUITE_RESULT';

/** Mocha's `spec` output, and the counts in a file for scripts/test.ts. */
export default class SuiteReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    // An orderly exit, so that editors and browsers end with us when the suite is cut off.
    process.once('SIGTERM', () => process.exit(143));
    const skippedTitles: string[] = [];
    runner.on('pending', (test) => skippedTitles.push(test.fullTitle()));
    runner.once('end', () => {
      const file = process.env[RESULT_FILE];
      if (file === undefined) return;
      const { passes, failures, pending } = this.stats;
      const result: SuiteResult = { passed: passes, failed: failures, skipped: pending, skippedTitles };
      writeFileSync(file, JSON.stringify(result));
    });
  }
}
