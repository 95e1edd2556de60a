import type { Command } from 'commander';
import type { Logger } from '../common/log.ts';
import type { Output } from './output.ts';

/** Everything a command gets from outside, made from the options that all commands share. */
export interface CommandContext {
  readonly home: string;
  readonly output: Output;
  readonly logger: Logger;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Asks a person who is there; undefined when nobody is. */
  readonly confirm: ((question: string) => Promise<boolean>) | undefined;
  /** Reads all of stdin. */
  readonly readInput: () => Promise<string>;
  /** Raw bytes to stdout; resolves when they are taken, with false when nobody reads it any more. */
  readonly writeBytes: (bytes: Uint8Array) => Promise<boolean>;
}

/** What registers a command. */
export interface Cli {
  /** The context for an action; `command` is the last argument that it was called with. */
  context(command: Command): CommandContext;
  /** Ends with another exit code than 0, without a message. */
  setExitCode(code: number): void;
}
