/** Composition root of the command line: reads arguments, runs one command, ends with 0 (done), 1 (failed) or 2 (wrong usage). */
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { text as readAll } from 'node:stream/consumers';
import { type Command, CommanderError } from 'commander';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import type { Logger } from '../common/log.ts';
import type { Cli, CommandContext } from './cli.ts';
import { defaultHome } from './default-home.ts';
import { abortable, onInterrupt } from './interrupt.ts';
import { Output } from './output.ts';
import { createProgram, type GlobalOptions } from './program.ts';
import { safeText } from './text.ts';

/** Milliseconds in which everything should be closed after a command; what is left open then is a bug, not a reason to hang. */
const CLOSE_TIME = 3000;

async function main(args: readonly string[]): Promise<number> {
  const controller = new AbortController();
  let code = 0;
  const cli: Cli = {
    context(command) {
      onInterrupt(controller);
      return createContext(command, controller.signal);
    },
    setExitCode(value) {
      code = value;
    },
  };
  const program = createProgram(cli, {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    complain,
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has complained itself; it "fails" also after showing help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    complain(errorMessage(error));
    return error instanceof PeerwireError && error.code === 'usage' ? 2 : 1;
  }
}

function createContext(command: Command, signal: AbortSignal): CommandContext {
  const { home, json, verbose } = command.optsWithGlobals<GlobalOptions>();
  const { stdin, stdout, stderr, env, platform } = process;
  const present = stdin.isTTY === true && stderr.isTTY === true && json !== true;
  return {
    home: home === undefined ? defaultHome({ platform, env, homedir: homedir() }) : path.resolve(home),
    output: new Output({ json: json === true, stdout, stderr }),
    logger: stderrLogger(verbose === true),
    signal,
    confirm: present ? (question) => confirm(question, signal) : undefined,
    readInput: () => readAll(stdin),
  };
}

async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Readline takes Ctrl-C for itself.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = terminal.question(`${safeText(question)} [y/N] `, { signal });
    return /^y(es)?$/i.test(await abortable(signal, answer));
  } finally {
    terminal.close();
  }
}

function stderrLogger(verbose: boolean): Logger {
  const write = (message: string): void => {
    process.stderr.write(`${safeText(message)}\n`);
  };
  const quiet = (): void => undefined;
  return verbose
    ? { debug: write, info: write, warn: write, error: write }
    : { debug: quiet, info: quiet, warn: quiet, error: write };
}

/** One line, whatever is in it. */
function complain(message: string): void {
  process.stderr.write(`peerwire: ${safeText(message.replaceAll(/\s*\n\s*/g, ' ').trim())}\n`);
}

// A reader that has seen enough (`| head -1`) is no error of ours.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
process.exitCode = await main(process.argv.slice(2));
setTimeout(() => process.exit(), CLOSE_TIME).unref();
