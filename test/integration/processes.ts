import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** What `npm run package` and `npm run build` make. */
export const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

/** A line of JSON that a command printed. */
export type Line = Record<string, unknown>;

export interface Result {
  readonly code: number | null;
  readonly lines: readonly Line[];
  readonly stderr: string;
}

/** A process that stays up and prints events. */
export class Running {
  readonly child: ChildProcess;
  readonly events: Line[] = [];
  readonly #arrivals = new EventEmitter();
  stderr = '';

  constructor(main: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.events.push(JSON.parse(line));
      this.#arrivals.emit('event');
    });
    this.child.stderr!.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.child.on('exit', () => this.#arrivals.emit('event'));
  }

  /** The first event, past or to come, that passes; rejects when the process ends or after two minutes. */
  async event(test: (event: Line) => boolean): Promise<Line> {
    const deadline = AbortSignal.timeout(120_000);
    for (;;) {
      const found = this.events.find(test);
      if (found) return found;
      if (this.child.exitCode !== null) throw new Error(`It ended with ${this.child.exitCode}: ${this.stderr}`);
      await new Promise<void>((resolve, reject) => {
        const abort = (): void =>
          reject(new Error(`No such event; there were ${JSON.stringify(this.events.slice(-5))}; ${this.stderr}`));
        deadline.addEventListener('abort', abort, { once: true });
        this.#arrivals.once('event', () => {
          deadline.removeEventListener('abort', abort);
          resolve();
        });
      });
    }
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await ended;
  }
}

/** Processes, homes and files of one test; everything ends and goes with `dispose`. */
export class Stage {
  readonly dir: string;
  readonly #main: string;
  readonly #timeout: number;
  readonly #running: Running[] = [];

  /** `main`: the command's bundle. `parent`: where homes and files are made. `timeout`: of one command, ms. */
  constructor(main: string, parent = tmpdir(), timeout = 150_000) {
    this.#main = main;
    this.#timeout = timeout;
    this.dir = mkdtempSync(path.join(parent, 'peerwire-stage-'));
  }

  path(...parts: string[]): string {
    return path.join(this.dir, ...parts);
  }

  /** Runs a command to its end. */
  run(home: string, ...args: string[]): Promise<Result> {
    return new Promise((resolve) => {
      const command = [this.#main, ...args, '--home', this.path(home), '--json'];
      execFile(process.execPath, command, { timeout: this.#timeout, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        const lines = stdout.split('\n').filter((line) => line !== '');
        const code = error ? (typeof error.code === 'number' ? error.code : null) : 0;
        resolve({ code, lines: lines.map((line) => JSON.parse(line)), stderr });
      });
    });
  }

  /** Runs a command that must succeed; resolves with its first line. */
  async ok(home: string, ...args: string[]): Promise<Line> {
    const { code, lines, stderr } = await this.run(home, ...args);
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
    return lines[0] ?? {};
  }

  start(...args: string[]): Running {
    const running = new Running(this.#main, args);
    this.#running.push(running);
    return running;
  }

  async tracker(): Promise<{ url: string; process: Running }> {
    const process = this.start('tracker', '--host', '127.0.0.1', '--port', '0', '--json');
    const ready = await process.event(({ event }) => event === 'ready');
    return { url: String(ready.http), process };
  }

  /** A peer that stays up in a home. */
  async peer(home: string, ...options: string[]): Promise<Running> {
    const running = this.start('run', '--home', this.path(home), '--listen', '127.0.0.1:0', '--no-lan', ...options);
    await running.event(({ event }) => event === 'ready');
    return running;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.end('SIGKILL')));
    rmSync(this.dir, { recursive: true, force: true });
  }
}
