/** What the tests inside an extension host report to the process that started the editor. */
export interface HostReport {
  /** Which editor ran: `vscode.version` and the run time below it. */
  readonly editor: string;
  readonly tests: readonly HostTest[];
  /** What the tests measured, by name and unit. */
  readonly figures: Readonly<Record<string, number>>;
  /** Set when the tests could not run to their end. */
  readonly failure?: string;
}

export interface HostTest {
  /** Titles of the suites around it, then its own. */
  readonly title: readonly string[];
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly error?: string;
}

/** Environment variable that names the file for the report. */
export const REPORT_FILE = 'PEERWIRE_TEST_REPORT';
