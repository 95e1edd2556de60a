/**
 * How commands reach the peer that runs in a home, and how a home has one running peer at most: who holds the control
 * socket is the peer. A socket that a killed process left behind refuses connections and is taken over.
 *
 * On each connection the peer first sends `{ peerwire: PROTOCOL, pid, temporary }`, then serves `PeerApi`
 * (common/rpc.ts), one JSON message a line. The socket is 0600 and trusts whoever can open it.
 */
import { chmod, lstat, rm } from 'node:fs/promises';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError, systemCode } from '../common/errors.ts';
import { type Event, once } from '../common/event.ts';
import { withFolderLock } from '../common/folder-lock.ts';
import { connect, serve } from '../common/rpc.ts';
import type { PeerApi } from './api.ts';
import { PEER_API_METHODS } from './api-methods.ts';
import { controlPath } from './control-path.ts';
import { lineChannel } from './line-channel.ts';

/** Raised when old commands cannot talk to a new peer, or the other way round. */
const PROTOCOL = 1;
/** Milliseconds that a peer may take to start or to stop while a command waits for it. */
const PATIENCE = 30_000;

/** A peer in another process of the same home. */
export interface RunningPeer extends PeerApi, Disposable {
  readonly pid: number;
  /** It was opened for one command and ends with it, unless others still use it. */
  readonly temporary: boolean;
  readonly onClose: Event<void>;
}

/** The peer's end. */
export class ControlSocket {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #waiting = new Set<Socket>();
  #accept: ((socket: Socket) => void) | 'not yet' | 'no more' = 'not yet';
  #onIdle: (() => void) | undefined;

  /** Makes this process the peer of the home. Throws `busy` when it has one. */
  static async claim(home: string): Promise<ControlSocket> {
    const path = await controlPath(home);
    const take = async (): Promise<ControlSocket> => {
      const control = new ControlSocket();
      try {
        await control.#listen(path);
      } catch (error) {
        if (systemCode(error) !== 'EADDRINUSE') throw error;
        const alive = await knock(path);
        alive?.destroy();
        if (alive !== undefined) throw new PeerwireError('busy', 'A peer is running in this home already.');
        await removeStale(path);
        await control.#listen(path);
      }
      return control;
    };
    // Two starters that both find a dead peer's socket must not remove each other's new one. (A pipe ends with its process.)
    return process.platform === 'win32' ? take() : withFolderLock(`${path}.starting`, take);
  }

  private constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => undefined);
      if (this.#accept === 'no more') socket.destroy();
      else if (this.#accept === 'not yet') {
        this.#waiting.add(socket);
        socket.once('close', () => this.#waiting.delete(socket));
      } else this.#accept(socket);
    });
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Begins to answer; commands that came earlier have been waiting. */
  serve(api: PeerApi, options: { readonly temporary: boolean }): void {
    this.#accept = (socket) => {
      this.#clients.add(socket);
      const channel = lineChannel(socket);
      channel.post({ peerwire: PROTOCOL, pid: process.pid, temporary: options.temporary });
      serve(api, PEER_API_METHODS, channel);
      channel.onClose(() => {
        this.#clients.delete(socket);
        if (this.#clients.size === 0) this.#onIdle?.();
      });
    };
    for (const socket of this.#waiting) this.#accept(socket);
    this.#waiting.clear();
  }

  /** Resolves when no command uses the peer. From then on new ones are sent away, to wait until `close` has ended. */
  async retire(): Promise<void> {
    if (this.#clients.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#accept = 'no more';
  }

  /** Gives the home free: call it when the peer's state is stored. Idempotent. */
  async close(): Promise<void> {
    this.#accept = 'no more';
    for (const socket of [...this.#clients, ...this.#waiting]) socket.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #listen(path: string): Promise<void> {
    // The socket is created with the right permissions, not changed to them after somebody could have connected.
    const umask = isMainThread && process.platform !== 'win32' ? process.umask(0o177) : undefined;
    const listening = new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    if (umask !== undefined) process.umask(umask);
    await listening;
    if (process.platform !== 'win32') await chmod(path, 0o600);
  }
}

/** The running peer of a home; undefined when there is none. Waits for one that is starting or stopping. */
export async function connectToHome(home: string): Promise<RunningPeer | undefined> {
  const path = await controlPath(home);
  const deadline = performance.now() + PATIENCE;
  while (performance.now() < deadline) {
    const socket = await knock(path);
    if (socket === undefined) return undefined;
    const peer = await greet(socket, deadline - performance.now());
    if (peer !== undefined) return peer;
    await delay(50);
  }
  throw new PeerwireError('busy', 'The peer that runs in this home does not answer: end it and try again.');
}

/** Connects; undefined when nobody listens. */
function knock(path: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = dial(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => {
      if (['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(systemCode(error) ?? '')) resolve(undefined);
      else reject(error);
    });
  });
}

/** Waits for the greeting; undefined when the peer hangs up or says nothing in time. */
async function greet(socket: Socket, timeout: number): Promise<RunningPeer | undefined> {
  const channel = lineChannel(socket);
  const timer = setTimeout(() => socket.destroy(), timeout);
  const hello = await Promise.race([once(channel.onMessage), once(channel.onClose)]);
  clearTimeout(timer);
  if (hello === undefined) return undefined;
  const { protocol, pid, temporary } = readHello(hello);
  if (protocol !== PROTOCOL) {
    socket.destroy();
    throw new PeerwireError(
      'unsupported',
      `The peer that runs in this home (process ${pid}) is of another version: restart it.`,
    );
  }
  const api = connect<PeerApi>(channel, PEER_API_METHODS);
  return {
    ...api,
    pid,
    temporary,
    onClose: channel.onClose,
    dispose() {
      api.dispose();
      socket.destroy();
    },
  };
}

function readHello(hello: unknown): { protocol: unknown; pid: number; temporary: boolean } {
  const fields: { peerwire?: unknown; pid?: unknown; temporary?: unknown } =
    typeof hello === 'object' && hello !== null ? hello : {};
  return { protocol: fields.peerwire, pid: Number(fields.pid), temporary: fields.temporary === true };
}

async function removeStale(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats !== undefined && !stats.isSocket()) {
    throw new PeerwireError('exists', `${path} is in the way: it is not a socket of ours.`);
  }
  await rm(path, { force: true });
}
