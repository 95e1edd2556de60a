import { errorMessage } from '../common/errors.ts';
import type { CommandId } from './command-ids.ts';
import { explain, type Remedy, remedyTitle } from './problems.ts';
import { iconlessText, messageText } from './safe-text.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

const REMEDY_COMMANDS: Record<Exclude<Remedy, 'retry'>, CommandId> = {
  diagnose: 'peerwire.diagnose',
  join: 'peerwire.joinNetwork',
  log: 'peerwire.showLog',
  restart: 'peerwire.restartPeer',
};

/** Milliseconds for which a message stays in the status bar. */
const STATUS_TIME = 5_000;

/** Tells the user what went wrong, with a button for each way out. What was cancelled on purpose is not told. */
export class Reporter {
  readonly #log: vscode.LogOutputChannel;
  readonly #t: Translate;

  constructor(log: vscode.LogOutputChannel, t: Translate) {
    this.#log = log;
    this.#t = t;
  }

  /** `what`: the thing that failed, such as a share's name. Resolves when the message is closed. */
  async error(error: unknown, options: { what?: string; retry?: () => unknown } = {}): Promise<void> {
    const problem = explain(this.#t, error);
    if (problem === undefined) return;
    this.#log.error(`[ui] ${problem.code}: ${errorMessage(error)}`);
    if (problem.code === 'internal' && error instanceof Error && error.stack) this.#log.debug(error.stack);
    const message = options.what === undefined ? problem.message : `${messageText(options.what)}: ${problem.message}`;
    const remedies: Remedy[] = [...(options.retry ? ['retry' as const] : []), ...problem.remedies];
    const items = remedies.map((remedy) => ({ title: remedyTitle(this.#t, remedy), remedy }));
    const chosen = await vscode.window.showErrorMessage(message, ...items);
    if (chosen === undefined) return;
    if (chosen.remedy === 'retry') await options.retry?.();
    else await vscode.commands.executeCommand(REMEDY_COMMANDS[chosen.remedy]);
  }

  /** Says in the status bar, for a moment, that a command did what it was asked. */
  done(message: string): void {
    vscode.window.setStatusBarMessage(`$(check) ${iconlessText(message)}`, STATUS_TIME);
  }

  /** What the peer has to say without being asked. Only what needs the user's attention leaves the log. */
  notice(notice: { level: 'info' | 'warning' | 'error'; message: string }): void {
    const text = messageText(notice.message);
    switch (notice.level) {
      case 'info':
        this.#log.info(`[peer] ${text}`);
        return;
      case 'warning':
        this.#log.warn(`[peer] ${text}`);
        void vscode.window.showWarningMessage(text);
        return;
      case 'error':
        this.#log.error(`[peer] ${text}`);
        void vscode.window.showErrorMessage(text);
        return;
    }
  }

  secretsForgotten(): void {
    void vscode.window.showWarningMessage(
      this.#t(
        'The editor forgot the keys of Peerwire, because this system has no keyring. From now on they are kept in a file that only you can read. Ask for a new invite to each network.',
      ),
    );
  }

  /** The peer died and comes back by itself: no harm done, but no secret either. */
  restarted(): void {
    vscode.window.setStatusBarMessage(
      this.#t('$(warning) Peerwire stopped unexpectedly and was started again'),
      10_000,
    );
  }
}
