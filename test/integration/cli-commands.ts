/** Real `peerwire` processes, built from the sources of the moment; each test has its own homes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { build } from 'esbuild';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** The folder of the bundles, as `npm run build` makes them in dist/; `main` is the command. */
export class CliBuild {
  readonly #folder: string;

  static async create(): Promise<CliBuild> {
    const folder = await mkdtemp(path.join(tmpdir(), 'peerwire-cli-build-'));
    await build({
      absWorkingDir: ROOT,
      entryPoints: {
        ...{ cli: 'src/cli/main.ts', tracker: 'tracker/main.ts' },
        ...{ 'peer-worker': 'src/peer/peer-worker.ts', 'hash-worker': 'src/peer/hash-worker.ts' },
      },
      outdir: path.join(folder, 'dist'),
      ...{ bundle: true, splitting: true, platform: 'node', target: 'node22', format: 'esm', logLevel: 'warning' },
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
    // As in the package: the files are ES modules by its word.
    await copyFile(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
    return new CliBuild(folder);
  }

  private constructor(folder: string) {
    this.#folder = folder;
  }

  get main(): string {
    return path.join(this.#folder, 'dist', 'cli.js');
  }

  async dispose(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export type Line = Record<string, unknown>;

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout, parsed: only for `--json`. */
  readonly lines: Line[];
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class CommandProcess {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  readonly #lines: Interface;
  readonly #seen: Line[] = [];
  stdout = '';
  stderr = '';

  constructor(main: string, args: readonly string[], options: CommandOptions = {}) {
    const { cwd, env } = options;
    this.child = spawn(process.execPath, [main, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stdin?.end(options.input ?? '');
    this.child.stdout?.on('data', (chunk) => (this.stdout += String(chunk)));
    this.child.stderr?.on('data', (chunk) => (this.stderr += String(chunk)));
    this.#lines = createInterface({ input: this.child.stdout! });
    this.#lines.on('line', (line) => {
      if (line.startsWith('{')) this.#seen.push(JSON.parse(line));
    });
    this.outcome = once(this.child, 'close').then(([code, signal]) => ({
      code,
      signal,
      stdout: this.stdout,
      stderr: this.stderr,
      lines: this.#seen,
    }));
  }

  /** The first JSON line on stdout, past or to come, that passes. Rejects when the process ends without one. */
  async line(test: (line: Line) => boolean): Promise<Line> {
    for (;;) {
      const found = this.#seen.find(test);
      if (found !== undefined) return found;
      const ended = await Promise.race([this.outcome.then(() => true), once(this.#lines, 'line').then(() => false)]);
      if (ended && !this.#seen.some(test)) throw new Error(`It ended with ${this.child.exitCode}: ${this.stderr}`);
    }
  }

  /** Resolves when stderr has it. */
  async says(text: string): Promise<void> {
    while (!this.stderr.includes(text)) {
      const ended = await Promise.race([
        this.outcome.then(() => true),
        once(this.child.stderr!, 'data').then(() => false),
      ]);
      if (ended && !this.stderr.includes(text)) throw new Error(`It ended with ${this.child.exitCode}: ${this.stderr}`);
    }
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Outcome> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return await this.outcome;
  }
}

/** Homes, files and processes of one test. */
export class Workplace {
  readonly folder: string;
  readonly #main: string;
  readonly #processes: CommandProcess[] = [];

  static async create({ main }: CliBuild): Promise<Workplace> {
    return new Workplace(main, await mkdtemp(path.join(tmpdir(), 'peerwire-cli-')));
  }

  private constructor(main: string, folder: string) {
    this.#main = main;
    this.folder = folder;
  }

  path(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  start(args: readonly string[], options: CommandOptions = {}): CommandProcess {
    const child = new CommandProcess(this.#main, args, options);
    this.#processes.push(child);
    return child;
  }

  /** Runs a command to its end, with `--json`. */
  run(home: string, ...args: string[]): Promise<Outcome> {
    return this.start(['--home', this.path(home), '--json', ...args]).outcome;
  }

  /** Runs a command that must succeed; resolves with its first result. */
  async ok(home: string, ...args: string[]): Promise<Line> {
    const { code, lines, stderr } = await this.run(home, ...args);
    if (code !== 0) throw new Error(`peerwire ${args.join(' ')} ended with ${code}: ${stderr}`);
    return lines[0] ?? {};
  }

  /** `peerwire run`, up when this resolves. */
  async peer(home: string, ...args: string[]): Promise<CommandProcess & { ready: Line }> {
    const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    const child = this.start(['run', '--home', this.path(home), '--no-lan', ...listen, ...args]);
    const ready = await child.line(({ event }) => event === 'ready');
    return Object.assign(child, { ready });
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.end('SIGKILL')));
    await rm(this.folder, { recursive: true, force: true });
  }
}
