/** Composition root of the command line: connects it to the process. */
import { createInterface } from 'node:readline/promises';
import { text as readAll } from 'node:stream/consumers';
import { abortable } from '../common/abort.ts';
import { systemCode, toPeerwireError } from '../common/errors.ts';
import { onInterrupt } from './interrupt.ts';
import { runCommandLine } from './run-command-line.ts';
import { safeText } from './text.ts';

/** Milliseconds in which everything should be closed after a command; what is left open then is a bug, not a reason to hang. */
const CLOSE_TIME = 3000;

const { stdin, stdout, stderr, env } = process;
const controller = new AbortController();
const { signal } = controller;

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: stdin, output: stderr });
  // Readline takes Ctrl-C for itself.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = terminal.question(`${safeText(question)} [y/N] `, { signal });
    return /^y(es)?$/i.test(await abortable(signal, answer));
  } finally {
    terminal.close();
  }
}

function writeBytes(bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve, reject) => {
    stdout.write(bytes, (error) => {
      if (!error) resolve(true);
      else if (stdout.destroyed || systemCode(error) === 'EPIPE') resolve(false);
      else reject(toPeerwireError(error, 'Writing to standard output'));
    });
  });
}

// A reader that has seen enough (`| head -1`) is no error of ours.
stdout.on('error', () => undefined);
stderr.on('error', () => undefined);
process.exitCode = await runCommandLine(process.argv.slice(2), {
  ...{ stdout, stderr, env, signal },
  onStart: () => void onInterrupt(controller),
  readInput: () => readAll(stdin),
  writeBytes,
  confirm: stdin.isTTY && stderr.isTTY ? confirm : undefined,
});
setTimeout(() => process.exit(), CLOSE_TIME).unref();
