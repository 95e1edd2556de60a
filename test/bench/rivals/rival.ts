import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface, type Interface } from 'node:readline';

/** Another program that moves a file from one process to another on this machine, to be measured beside us. */
export interface Rival {
  readonly name: string;
  /** Why it cannot run here, with the way to get it; undefined when it can. */
  missing(): string | undefined;
  /** Everything that is not the transfer itself: torrents, certificates, configuration. `folder` is ours, on tmpfs. */
  prepare(source: RivalSource): Promise<RivalRun>;
}

export interface RivalSource {
  /** The file to move. */
  readonly file: string;
  readonly size: number;
  /** An empty folder for whatever is needed; the caller removes it. */
  readonly folder: string;
  /** Key and certificate (P-256) in one PEM file. */
  readonly pem: string;
}

export interface RivalRun {
  /** Starts both sides anew, moves the file into an empty folder, ends both. Returns the transfer's seconds. */
  transfer(): Promise<number>;
}

export function hasCommand(command: string): boolean {
  return spawnSync('which', [command]).status === 0;
}

/** A child that prints lines; `dispose` ends it. */
export class Child {
  readonly process: ChildProcess;
  readonly lines: Interface;
  readonly #lines: string[] = [];
  #stderr = '';

  constructor(command: string, args: readonly string[]) {
    // No pipe for input: rsync would take it for a client's socket.
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stderr?.on('data', (data: Buffer) => {
      this.#stderr = `${this.#stderr}${data}`.slice(-2000);
    });
    if (!this.process.stdout) throw new Error('There is no standard output.');
    this.lines = createInterface({ input: this.process.stdout });
    this.lines.on('line', (line) => this.#lines.push(line));
  }

  /** The first line that matches, past or to come. */
  async line(pattern: RegExp, timeout = 60_000): Promise<RegExpExecArray> {
    const deadline = AbortSignal.timeout(timeout);
    for (let next = 0; ; ) {
      for (; next < this.#lines.length; next++) {
        const match = pattern.exec(this.#lines[next] ?? '');
        if (match) return match;
      }
      if (this.process.exitCode !== null) throw new Error(`It ended with ${this.process.exitCode}: ${this.#stderr}`);
      await Promise.race([once(this.lines, 'line', { signal: deadline }), once(this.process, 'exit')]);
    }
  }

  /** Resolves when the process ended well. */
  async success(): Promise<void> {
    if (this.process.exitCode === null) await once(this.process, 'exit');
    if (this.process.exitCode !== 0) throw new Error(`It ended with ${this.process.exitCode}: ${this.#stderr}`);
  }

  async dispose(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const closed = once(server, 'close');
  server.close();
  await closed;
  if (typeof address !== 'object' || !address) throw new Error('There is no port.');
  return address.port;
}

/** Resolves when somebody listens on the port. */
export async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Nobody listens on port ${port}.`);
}
