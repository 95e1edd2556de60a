import type * as vscode from 'vscode';
import type { Reporter } from './reporter.ts';

/** `vscode://peerwire.peerwire/join?…`: any web page can open one, so it leads to the question, never past it. */
export class JoinUriHandler implements vscode.UriHandler {
  readonly #join: (invite: string) => Promise<void>;
  readonly #report: Reporter;

  constructor(join: (invite: string) => Promise<void>, report: Reporter) {
    this.#join = join;
    this.#report = report;
  }

  async handleUri(uri: vscode.Uri): Promise<void> {
    if (uri.path !== '/join') return;
    try {
      // Not `uri.toString()`, which writes `=` as `%3D`.
      await this.#join(`${uri.scheme}://${uri.authority}${uri.path}?${uri.query}`);
    } catch (error) {
      await this.#report.error(error);
    }
  }
}
