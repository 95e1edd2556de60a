/** Editor windows as processes of their own, in homes of one test. */
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import type { PeerApi } from '../../src/peer/api.ts';
import type { Call, Message, WindowSettings } from './editor-window.ts';

/** Milliseconds that something may be waited for, on a machine that does much else. */
const PATIENCE = 60_000;

type Methods = Omit<PeerApi, 'onEvent'>;

export class EditorWindow {
  readonly log: string[] = [];
  readonly #child: ChildProcess;
  readonly #arrivals = new EventEmitter();
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  readonly #ended: Promise<unknown>;
  #next = 0;

  constructor(settings: WindowSettings) {
    this.#arrivals.setMaxListeners(0);
    this.#child = fork(path.join(import.meta.dirname, 'editor-window.ts'), [JSON.stringify(settings)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (chunk) => this.log.push(String(chunk)));
    this.#child.on('message', (message: Message) => this.#hear(message));
    this.#ended = once(this.#child, 'exit').then(() => {
      for (const { reject } of this.#calls.values()) reject(new Error(`The window ended: ${this.log.join('\n')}`));
      this.#calls.clear();
    });
  }

  /** A call of the peer's interface; the first starts the peer. */
  call<M extends keyof Methods>(method: M, ...args: Parameters<Methods[M]>): ReturnType<Methods[M]>;
  call(method: string, ...args: unknown[]): Promise<unknown>;
  call(method: string, ...args: unknown[]): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      const call: Call = { id, method, args };
      this.#child.send(call, (error) => {
        if (error === null) return;
        this.#calls.delete(id);
        reject(error);
      });
    });
  }

  /** What `look` finds, asked now and after each event. */
  async until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
    const deadline = AbortSignal.timeout(PATIENCE);
    for (;;) {
      // Before it asks: no event comes between.
      const changed = once(this.#arrivals, 'event', { signal: deadline });
      changed.catch(() => undefined);
      const found = await look();
      if (found !== undefined && found !== false) return found;
      await changed.catch(() => {
        throw new Error(`In vain: ${what}; ${this.log.join('\n')}`);
      });
    }
  }

  /** In good order, as when the editor closes a window. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await this.call('close');
    await this.#ended;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #hear(message: Message): void {
    if ('log' in message) this.log.push(message.log);
    else if ('event' in message) this.#arrivals.emit('event');
    else {
      const call = this.#calls.get(message.id);
      this.#calls.delete(message.id);
      if ('error' in message) call?.reject(new Error(message.error));
      else call?.resolve(message.value);
    }
  }
}

/** The windows of one test; `dispose` ends all. */
export class EditorWindows {
  readonly #dist: string;
  readonly #open: EditorWindow[] = [];

  /** `main`: the built command, beside which the workers lie. */
  constructor(main: string) {
    this.#dist = path.dirname(main);
  }

  /** `workspace`: see `WindowSettings`. */
  open(home: string, { workspace, port = 0 }: { workspace?: string; port?: number } = {}): EditorWindow {
    const window = new EditorWindow({
      home,
      port,
      dist: this.#dist,
      ...(workspace === undefined ? {} : { workspace }),
    });
    this.#open.push(window);
    return window;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#open.map((window) => window.kill()));
  }
}
