import { type ChildProcess, spawn } from 'node:child_process';
import { hostname, networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import type { Logger } from '../common/log.ts';
import { lanAddress } from './lan-address.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

/** The customary port of trackers. The same one every time, because invites carry the address. */
const DEFAULT_PORT = 6969;
/** The editor's memory is the same in all remote windows; a tracker runs on one machine. */
const HOSTED_PORT = `peerwire.hostedTrackerPort:${hostname()}`;
/** Milliseconds to wait for the tracker's ready line. */
const START_TIME = 10_000;

interface RunningTracker {
  readonly child: ChildProcess;
  readonly url: string;
  readonly port: number;
}

/** The bundled tracker as a child process of this window; started again with the window until it is stopped by hand. */
export class TrackerHost implements Disposable {
  readonly onDidChange: vscode.Event<void>;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #script: string;
  readonly #memory: vscode.Memento;
  readonly #log: Logger;
  readonly #t: Translate;
  #running: RunningTracker | undefined;

  constructor(script: string, memory: vscode.Memento, log: Logger, t: Translate) {
    this.#script = script;
    this.#memory = memory;
    this.#log = log;
    this.#t = t;
    this.onDidChange = this.#changed.event;
  }

  /** Where peers announce, as other machines reach it. */
  get url(): string | undefined {
    return this.#running?.url;
  }

  get wasHosting(): boolean {
    return this.#memory.get(HOSTED_PORT) !== undefined;
  }

  /** Takes the port of last time, else the customary one, else any; resolves with the announce URL. */
  async start(): Promise<string> {
    if (this.#running !== undefined) return this.#running.url;
    const preferred = this.#memory.get(HOSTED_PORT, DEFAULT_PORT);
    let running: RunningTracker;
    try {
      running = await this.#launch(preferred);
    } catch (error) {
      this.#log.info(`port ${preferred} cannot be used (${String(error)}), taking any`);
      running = await this.#launch(0);
    }
    this.#adopt(running);
    await this.#memory.update(HOSTED_PORT, running.port);
    return running.url;
  }

  /** After a reload. Another window that hosts it already is as good. */
  async resume(): Promise<void> {
    const port = this.#memory.get<number>(HOSTED_PORT);
    if (port === undefined || this.#running !== undefined) return;
    try {
      this.#adopt(await this.#launch(port));
    } catch (error) {
      this.#log.info(`not hosting the tracker in this window: ${String(error)}`);
    }
  }

  async stop(): Promise<void> {
    await this.#memory.update(HOSTED_PORT, undefined);
    this.dispose();
  }

  dispose(): void {
    const running = this.#running;
    this.#running = undefined;
    running?.child.kill();
    if (running !== undefined) this.#changed.fire();
  }

  #adopt(running: RunningTracker): void {
    this.#running = running;
    running.child.once('exit', (code) => {
      if (this.#running !== running) return;
      this.#running = undefined;
      this.#log.warn(`the hosted tracker ended with code ${code}`);
      this.#changed.fire();
    });
    this.#log.info(`hosting a tracker at ${running.url}`);
    this.#changed.fire();
  }

  #launch(port: number): Promise<RunningTracker> {
    // The editor's own executable is Node when this variable says so; elsewhere it is Node anyway.
    const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
    const args = [this.#script, '--port', String(port)];
    // It stops by itself when the IPC channel closes, so a window that is killed leaves no tracker behind.
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const { stdout, stderr } = child;
    let complaint = '';
    stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-1000);
    });
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => {
        clearTimeout(timer);
        child.kill();
        reject(new PeerwireError('tracker', this.#t('The tracker could not start: {0}', complaint.trim() || reason)));
      };
      const timer = setTimeout(() => fail(this.#t('it did not get ready')), START_TIME);
      child.once('error', (error) => fail(error.message));
      child.once('exit', (code) => fail(this.#t('it ended with code {0}', code ?? -1)));
      if (stdout === null) return fail(this.#t('its output cannot be read'));
      createInterface(stdout).on('line', (line) => {
        const ready = readyPort(line);
        if (ready === undefined) return;
        clearTimeout(timer);
        resolve({ child, port: ready, url: `http://${lanAddress(networkInterfaces())}:${ready}/announce` });
      });
    });
  }
}

/** The port in `{"event":"ready","http":"http://…:6969/announce",…}`. */
function readyPort(line: string): number | undefined {
  try {
    const message: unknown = JSON.parse(line);
    if (typeof message !== 'object' || message === null || !('event' in message) || !('http' in message))
      return undefined;
    return message.event === 'ready' ? Number(new URL(String(message.http)).port) || 80 : undefined;
  } catch {
    return undefined;
  }
}
