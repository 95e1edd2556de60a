/** Real `peerwire` processes, as a person would start them. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

export type JsonLine = Readonly<Record<string, unknown>>;

/** Runs one command to its end and returns its last JSON line. */
export async function peerwire(home: string, ...args: string[]): Promise<JsonLine> {
  const child = spawn(process.execPath, [CLI, '--home', home, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  let last: JsonLine = {};
  for await (const line of createInterface({ input: child.stdout })) last = JSON.parse(line) as JsonLine;
  const code = child.exitCode ?? (await new Promise<number | null>((resolve) => child.once('close', resolve)));
  if (code !== 0) throw new Error(`peerwire ${args.join(' ')} ended with ${code}: ${errors}`);
  return last;
}

/** `peerwire run` (or `peerwire tracker`), up until disposed. */
export class PeerwireProcess {
  readonly pid: number;
  readonly ready: JsonLine;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: JsonLine) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.ready = ready;
  }

  static start(...args: string[]): Promise<PeerwireProcess> {
    const child = spawn(process.execPath, [CLI, '--json', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Promise((resolve, reject) => {
      let errors = '';
      child.stderr.on('data', (chunk: Buffer) => {
        errors = (errors + chunk.toString()).slice(-4000);
      });
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`peerwire ${args.join(' ')} ended with ${code}: ${errors}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const event = JSON.parse(line) as JsonLine;
        if (event.event === 'ready') resolve(new PeerwireProcess(child, event));
      });
    });
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(timer);
  }
}
