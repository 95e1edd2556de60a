import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A script of this folder in a process of its own; ended with the test. */
export class Child {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  #errors = '';

  constructor(script: string, args: readonly string[]) {
    const path = new URL(script, import.meta.url).pathname;
    this.#process = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = once(this.#process, 'close');
    this.#process.stderr?.on('data', (text) => {
      this.#errors += text;
    });
  }

  /** Calls back with each line of output until the process ends. */
  async lines(onLine: (line: string) => void): Promise<void> {
    if (!this.#process.stdout) throw new Error('no output');
    for await (const line of createInterface({ input: this.#process.stdout })) onLine(line);
    await this.#ended;
  }

  /** kill -9. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Exit code, or null when it was killed; resolves when all output is read. */
  async exit(): Promise<number | null> {
    await this.#ended;
    if (this.#process.exitCode !== 0 && this.#process.exitCode !== null) throw new Error(this.#errors);
    return this.#process.exitCode;
  }

  get errors(): string {
    return this.#errors;
  }
}
