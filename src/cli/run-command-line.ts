import { homedir } from 'node:os';
import path from 'node:path';
import { type Command, CommanderError } from 'commander';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import type { Logger } from '../common/log.ts';
import type { Cli, CommandContext } from './cli.ts';
import { defaultHome } from './default-home.ts';
import { Output, type TextStream } from './output.ts';
import { createProgram, type GlobalOptions } from './program.ts';
import { safeText } from './text.ts';

/** The world that a command line runs in: the process, or a test's. */
export interface World {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Called when a command starts that takes care of Ctrl-C by `signal`. */
  readonly onStart: () => void;
  /** Reads all of standard input. */
  readonly readInput: () => Promise<string>;
  /** Writes to standard output; resolves when the bytes are taken, with false when nobody reads it any more. */
  readonly writeBytes: (bytes: Uint8Array) => Promise<boolean>;
  /** Asks a person, when there is one. */
  readonly confirm: ((question: string) => Promise<boolean>) | undefined;
}

/** Runs one command; resolves with the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function runCommandLine(args: readonly string[], world: World): Promise<number> {
  let code = 0;
  const cli: Cli = {
    context: (command) => {
      world.onStart();
      return createContext(command, world);
    },
    setExitCode(value) {
      code = value;
    },
  };
  const complain = (message: string): void => {
    // One line, whatever is in it.
    world.stderr.write(`peerwire: ${safeText(message.replaceAll(/\s*\n\s*/g, ' ').trim())}\n`);
  };
  const program = createProgram(cli, {
    out: (text) => world.stdout.write(text),
    err: (text) => world.stderr.write(text),
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

function createContext(command: Command, world: World): CommandContext {
  const { home, json, verbose } = command.optsWithGlobals<GlobalOptions>();
  const { env, stdout, stderr, signal, readInput, writeBytes, confirm } = world;
  return {
    home:
      home === undefined ? defaultHome({ platform: process.platform, env, homedir: homedir() }) : path.resolve(home),
    output: new Output({ json: json === true, stdout, stderr }),
    logger: streamLogger(stderr, verbose === true),
    confirm: json === true ? undefined : confirm,
    signal,
    readInput,
    writeBytes,
  };
}

function streamLogger(stream: TextStream, verbose: boolean): Logger {
  const write = (message: string): void => {
    stream.write(`${safeText(message)}\n`);
  };
  const quiet = (): void => undefined;
  return verbose
    ? { debug: write, info: write, warn: write, error: write }
    : { debug: quiet, info: quiet, warn: quiet, error: write };
}
