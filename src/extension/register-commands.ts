import { type Disposable, DisposableList } from '../common/disposable.ts';
import { COMMAND_IDS, type CommandHandler, type CommandId } from './command-ids.ts';
import type { Reporter } from './reporter.ts';
import { vscode } from './vscode.ts';

/** Registers a handler for every command; what it throws is told to the user, not to the editor's own error toast. */
export function registerCommands(handlers: Record<CommandId, CommandHandler>, report: Reporter): Disposable {
  const owned = new DisposableList();
  for (const id of COMMAND_IDS) {
    const run = async (...args: unknown[]): Promise<void> => {
      try {
        await handlers[id](...args);
      } catch (error) {
        // Not awaited: a command is done when its work is, not when its message is closed.
        void report.error(error);
      }
    };
    owned.add(vscode.commands.registerCommand(id, run));
  }
  return owned;
}
