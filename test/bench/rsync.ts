import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { processorTime } from './processor-time.ts';

const RSYNC = '/usr/bin/rsync';
const START_TIME = 5_000;

export function hasRsync(): boolean {
  return existsSync(RSYNC);
}

/** An `rsync --daemon` on loopback that offers one folder. */
export class RsyncDaemon {
  readonly #child: ChildProcess;
  readonly #port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  /** `folder` holds its configuration; `offered` is what `copy` copies. */
  static async start(folder: string, offered: string): Promise<RsyncDaemon> {
    const port = await freePort();
    const config = path.join(folder, 'rsyncd.conf');
    const lines = ['use chroot = no', 'address = 127.0.0.1', `pid file = ${folder}/rsyncd.pid`, 'reverse lookup = no'];
    await writeFile(config, [...lines, '[tree]', `path = ${offered}`, 'read only = yes', ''].join('\n'));
    const args = ['--daemon', '--no-detach', `--port=${port}`, `--config=${config}`];
    const child = spawn(RSYNC, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    await accepts(port, child);
    return new RsyncDaemon(child, port);
  }

  /** Copies everything to a new folder; seconds, and processor seconds of both sides. */
  async copy(destination: string): Promise<{ seconds: number; processor: number }> {
    const processor = async (): Promise<number> => {
      const daemon = await processorTime(this.#child.pid ?? 0);
      return daemon.own + daemon.children + (await processorTime(process.pid)).children;
    };
    const before = await processor();
    const started = performance.now();
    await promisify(execFile)(RSYNC, ['-a', `rsync://127.0.0.1:${this.#port}/tree/`, `${destination}/`]);
    const seconds = (performance.now() - started) / 1000;
    return { seconds, processor: (await processor()) - before };
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('There is no free port.');
  return address.port;
}

/** Resolves when somebody answers on the port. */
async function accepts(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIME;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error('The rsync daemon does not start.', { cause: error });
      await delay(20);
    } finally {
      socket.destroy();
    }
  }
}
