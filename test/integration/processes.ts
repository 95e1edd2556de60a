/** Real `peerwire` processes; each test has its own homes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
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
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of JSON on stdout. */
  readonly lines: readonly Line[];
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which it is ended. */
  readonly timeout?: number;
  /** A command, and its first arguments, that becomes it: `ip netns exec NAME`. */
  readonly via?: readonly string[];
}

/** Milliseconds that an event may be waited for. */
const PATIENCE = 120_000;

/** A process of the command. */
export class Running {
  readonly child: ChildProcess;
  /** When it has ended and all that it said was read. */
  readonly result: Promise<Result>;
  /** The lines of JSON on stdout so far. */
  readonly events: Line[] = [];
  readonly #arrivals = new EventEmitter();
  stdout = '';
  stderr = '';

  constructor(main: string, args: readonly string[], { cwd, input, env, timeout, via = [] }: CommandOptions = {}) {
    const [command = process.execPath, ...rest] = [...via, process.execPath, main, ...args];
    this.child = spawn(command, rest, {
      cwd,
      timeout,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stdin!.end(input ?? '');
    this.child.stdout!.on('data', (chunk) => {
      this.stdout += chunk;
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      if (line.startsWith('{')) this.events.push(JSON.parse(line));
      this.#arrivals.emit('arrival');
    });
    this.child.stderr!.on('data', (chunk) => {
      this.stderr += chunk;
      this.#arrivals.emit('arrival');
    });
    this.result = once(this.child, 'close').then(([code, signal]) => {
      const { stdout, stderr, events } = this;
      this.#arrivals.emit('arrival');
      return { code, signal, stdout, stderr, lines: events };
    });
  }

  /** The first event, past or to come, that passes; rejects when the process ends without one or after two minutes. */
  async event(test: (event: Line) => boolean): Promise<Line> {
    return await this.#until(() => this.events.find(test));
  }

  /** Resolves when stderr passes; rejects when the process ends before, or after two minutes. */
  async says(test: (stderr: string) => boolean): Promise<void> {
    await this.#until(() => test(this.stderr) || undefined);
  }

  /** Resolves with what became of it, also when it had ended before. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Result> {
    if (!this.#ended) this.child.kill(signal);
    return await this.result;
  }

  get #ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    const deadline = AbortSignal.timeout(PATIENCE);
    let closed = false;
    void this.result.then(() => {
      closed = true;
    });
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (closed) throw new Error(`It ended with ${this.child.exitCode ?? this.child.signalCode}: ${this.stderr}`);
      try {
        await once(this.#arrivals, 'arrival', { signal: deadline });
      } catch {
        throw new Error(`In vain; there were ${JSON.stringify(this.events.slice(-5))}; ${this.stderr}`);
      }
    }
  }
}

/** Bytes that a download with `--json` has, by the last that it said on stderr. */
export function progressOf(stderr: string): number {
  return Math.max(0, ...[...stderr.matchAll(/"done":(\d+)/g)].map((match) => Number(match[1])));
}

/** A peer that stays up, and how it said that it is ready. */
export type RunningPeer = Running & { readonly ready: Line };

/** Where others can dial it. */
export function addressOf({ ready }: RunningPeer): string {
  return `127.0.0.1:${ready.port}`;
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

  /** Runs a command to its end, with `--json`. */
  run(home: string, ...args: string[]): Promise<Result> {
    return this.start(['--home', this.path(home), '--json', ...args], { timeout: this.#timeout }).result;
  }

  /** Runs a command that must succeed; resolves with its first line. */
  async ok(home: string, ...args: string[]): Promise<Line> {
    const { code, lines, stderr } = await this.run(home, ...args);
    if (code !== 0) throw new Error(`peerwire ${args.join(' ')} ended with ${code}: ${stderr}`);
    return lines[0] ?? {};
  }

  start(args: readonly string[], options: CommandOptions = {}): Running {
    const running = new Running(this.#main, args, options);
    this.#running.push(running);
    return running;
  }

  async tracker(host = '127.0.0.1'): Promise<{ url: string; process: Running; ready: Line }> {
    const process = this.start(['tracker', '--host', host, '--port', '0', '--json']);
    const ready = await process.event(({ event }) => event === 'ready');
    return { url: String(ready.http), process, ready };
  }

  /** A peer that stays up in a home, ready when this resolves. */
  async peer(home: string, ...options: string[]): Promise<RunningPeer> {
    const listen = options.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    const running = this.start(['run', '--home', this.path(home), '--no-lan', ...listen, ...options]);
    const ready = await running.event(({ event }) => event === 'ready');
    return Object.assign(running, { ready });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.end('SIGKILL')));
    rmSync(this.dir, { recursive: true, force: true });
  }
}
