import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { PeerwireError } from '../../common/errors.ts';
import type { Cli } from '../cli.ts';
import { TRACKER } from '../installation.ts';

/** Options of the tracker that are handed on as they are: it checks them itself. */
const OPTIONS = ['host', 'port', 'udpPort', 'interval', 'maxPeers'] as const;
type TrackerOptions = Partial<Record<(typeof OPTIONS)[number], string>>;

export function addTrackerCommand(program: Command, cli: Cli): void {
  program
    .command('tracker')
    .description('introduce peers to each other: a tracker over HTTP and UDP')
    .option('--host <host>', 'address to listen on (default: ::, all interfaces, IPv4 and IPv6)')
    .option('--port <port>', 'TCP and UDP port (default: 6969; 0: any)')
    .option('--udp-port <port>', 'another port for UDP, or "none"')
    .option('--interval <seconds>', 'between announces (default: 300); peers are forgotten after twice as long')
    .option('--max-peers <count>', 'peers over all swarms')
    .action(async (options: TrackerOptions) => {
      const args = OPTIONS.flatMap((name) => {
        const value = options[name];
        return value === undefined
          ? []
          : [`--${name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}=${value}`];
      });
      cli.setExitCode(await runTracker(args));
    });
}

/** Runs the tracker as a child on our own input and output; resolves with its exit code. */
function runTracker(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    // It ends by itself when the channel closes: a killed parent leaves no tracker behind.
    const child = spawn(process.execPath, [TRACKER, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
    const forward = (signal: NodeJS.Signals): void => {
      child.kill(signal);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward);
    child.once('error', (error) => {
      reject(new PeerwireError('io', `The tracker could not be started: ${error.message}`, { cause: error }));
    });
    child.once('exit', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, forward);
      resolve(code ?? (signal === null ? 1 : 128 + constants.signals[signal]));
    });
  });
}
