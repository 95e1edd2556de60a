import { Command, CommanderError } from 'commander';
import type { Cli } from './cli.ts';
import { addDiagnoseCommand } from './commands/diagnose.ts';
import { addGetCommand } from './commands/get.ts';
import { addIdCommand } from './commands/id.ts';
import { addInviteCommand } from './commands/invite.ts';
import { addMembersCommand } from './commands/members.ts';
import { addNetworkCommand } from './commands/network.ts';
import { addPeersCommand } from './commands/peers.ts';
import { addReadCommand } from './commands/read.ts';
import { addRunCommand } from './commands/run.ts';
import { addShareCommands } from './commands/share.ts';
import { addSharesCommand } from './commands/shares.ts';
import { addTrackerCommand } from './commands/tracker.ts';
import { installedVersion } from './installation.ts';

/** Options that every command takes, before or after its name. */
export interface GlobalOptions {
  readonly home?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export interface ProgramOutput {
  out(text: string): void;
  err(text: string): void;
  /** Gets what is wrong with the usage. */
  complain(message: string): void;
}

/** The command line of DESIGN §6. */
export function createProgram(cli: Cli, output: ProgramOutput): Command {
  const program = new Command('peerwire')
    .description('Share files directly with your peers: the same peer as in the editor, without one.')
    .option('-V, --version', 'print the version')
    .option('--home <dir>', "identity and state (default: the platform's state directory)")
    .option('--json', 'results as one JSON object a line; progress on stderr')
    .option('--verbose', 'say on stderr what goes on inside')
    .helpCommand(false)
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.out(text),
      writeErr: (text) => output.err(text),
      outputError: (text) => output.complain(text.replace(/^error: /, '').trim()),
    });
  // Read only when asked for: nothing else depends on the manifest.
  program.on('option:version', () => {
    output.out(`${installedVersion()}\n`);
    throw new CommanderError(0, 'commander.version', '');
  });
  addIdCommand(program, cli);
  addNetworkCommand(program, cli);
  addMembersCommand(program, cli);
  addInviteCommand(program, cli);
  addShareCommands(program, cli);
  addRunCommand(program, cli);
  addPeersCommand(program, cli);
  addSharesCommand(program, cli);
  addGetCommand(program, cli);
  addReadCommand(program, cli);
  addDiagnoseCommand(program, cli);
  addTrackerCommand(program, cli);
  return program;
}
