/**
 * The peer of this window, in a worker thread: started on first use, started again when it dies, ended so that its state
 * is on disk. Knows nothing of the editor.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Disposable } from '../common/disposable.ts';
import { errorMessage, PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { Logger } from '../common/log.ts';
import type { PeerApi } from '../peer/api.ts';
import { type PeerThread, type PeerWorkerData, startPeerThread } from '../peer/peer-thread.ts';

export type PeerClientState = 'stopped' | 'starting' | 'running' | 'failed';

export interface PeerSecrets {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  delete(key: string): Promise<void>;
}

export interface PeerLauncher {
  /** Path of the worker's entry. */
  readonly entry: string;
  readonly logger: Logger;
  prepare(): Promise<PeerLaunch>;
}

/** Made anew for each start. */
export interface PeerLaunch {
  readonly data: PeerWorkerData;
  /** Of the peer's thread; default: that of the process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly secrets: PeerSecrets;
  /** Gives back what the peer holds alone, once it has ended. */
  readonly release: Disposable;
}

export interface PeerDeath {
  readonly error: PeerwireError;
  /** False when it died too often: then somebody has to ask for it. */
  readonly restarting: boolean;
}

/** Milliseconds for the peer to store everything; the editor gives an extension 5 s to end. */
const STOP_TIME = 4_000;
/** A peer that dies this often within the period is not started again by itself. */
const MOST_DEATHS = 3;
const DEATH_PERIOD = 5 * 60_000;

interface Session {
  readonly thread: PeerThread;
  /** It came up: until then its end is told by `open`. */
  open: boolean;
  /** Its end is our doing. */
  ending: boolean;
}

export class PeerClient implements Disposable {
  readonly onState: Event<PeerClientState>;
  /** The peer that answers from now on; undefined when there is none. */
  readonly onApi: Event<PeerApi | undefined>;
  readonly onDeath: Event<PeerDeath>;
  readonly #states = new Emitter<PeerClientState>();
  readonly #apis = new Emitter<PeerApi | undefined>();
  readonly #deathEvents = new Emitter<PeerDeath>();
  readonly #launcher: PeerLauncher;
  #state: PeerClientState = 'stopped';
  #session: Promise<Session> | undefined;
  /** The one whose thread runs, also while it does not answer yet. */
  #current: Session | undefined;
  #stopping: Promise<void> | undefined;
  #deaths: number[] = [];
  #disposed = false;

  constructor(launcher: PeerLauncher) {
    this.#launcher = launcher;
    this.onState = this.#states.event;
    this.onApi = this.#apis.event;
    this.onDeath = this.#deathEvents.event;
  }

  get state(): PeerClientState {
    return this.#state;
  }

  /** The running peer; starts it when there is none. */
  async api(): Promise<PeerApi> {
    if (this.#stopping !== undefined) await this.#stopping;
    if (this.#disposed) throw new PeerwireError('closed', 'Peerwire is closing.');
    this.#session ??= this.#start();
    return (await this.#session).thread.api;
  }

  async restart(): Promise<void> {
    this.#deaths = [];
    await this.stop();
    await this.api();
  }

  /** Ends the peer in good order, by force after `STOP_TIME`. Idempotent; `api` starts another one. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  dispose(): void {
    this.#disposed = true;
    void this.stop();
    this.#states.dispose();
    this.#apis.dispose();
    this.#deathEvents.dispose();
  }

  async #start(): Promise<Session> {
    this.#enter('starting');
    try {
      const session = await this.#launch();
      this.#enter('running');
      this.#apis.fire(session.thread.api);
      return session;
    } catch (error) {
      // Taken away by `stop`, it did not fail.
      if (this.#session !== undefined) this.#enter('failed');
      this.#session = undefined;
      throw error;
    }
  }

  async #launch(): Promise<Session> {
    const { entry, logger } = this.#launcher;
    const { data, env, secrets, release } = await this.#launcher.prepare();
    const thread = startPeerThread({ entry, data, ...(env && { env }), secrets, logger });
    const session: Session = { thread, open: false, ending: false };
    this.#current = session;
    void thread.exited.then((failure) => {
      release.dispose();
      if (failure !== undefined) logger.error(`[peer] failed: ${errorMessage(failure)}`);
      if (session.open && !session.ending) this.#onDeath(failure);
    });
    await thread.open();
    session.open = true;
    return session;
  }

  async #stop(): Promise<void> {
    const starting = this.#session;
    if (starting === undefined) return;
    const deadline = delay(STOP_TIME, undefined, { ref: false });
    // One that is just starting is ended once it is up. One that could not start has ended itself.
    const up = await Promise.race([starting.catch(() => undefined), deadline]);
    const session = up ?? this.#current;
    this.#session = undefined;
    this.#current = undefined;
    if (session === undefined) return;
    session.ending = true;
    this.#apis.fire(undefined);
    const closed = session.thread.close().catch((error: unknown) => {
      this.#launcher.logger.warn(`[peer] did not close in good order: ${errorMessage(error)}`);
    });
    await Promise.race([closed, session.thread.exited, deadline]);
    await session.thread.terminate();
    this.#enter('stopped');
  }

  #onDeath(failure: unknown): void {
    const reason = failure === undefined ? 'its thread ended' : errorMessage(failure);
    this.#launcher.logger.error(`[peer] died: ${reason}`);
    const error = new PeerwireError('closed', `Peerwire stopped unexpectedly (${reason}).`, { cause: failure });
    const now = performance.now();
    this.#deaths = [...this.#deaths.filter((time) => now - time < DEATH_PERIOD), now];
    const restarting = this.#deaths.length < MOST_DEATHS;
    this.#session = undefined;
    this.#apis.fire(undefined);
    this.#enter('failed');
    this.#deathEvents.fire({ error, restarting });
    // A start that fails is told by its own death or by whoever asks next.
    if (restarting) this.api().catch((again: unknown) => this.#launcher.logger.error(`[peer] ${errorMessage(again)}`));
  }

  #enter(state: PeerClientState): void {
    this.#state = state;
    this.#states.fire(state);
  }
}
