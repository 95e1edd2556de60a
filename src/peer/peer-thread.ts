/**
 * A peer in a worker thread of its own, seen from the thread that starts it: the editor's, or the command line's.
 * `peer-worker.ts` is the other side.
 */
import { Worker } from 'node:worker_threads';
import { DisposableList } from '../common/disposable.ts';
import type { Logger } from '../common/log.ts';
import { portChannel } from '../common/port-channel.ts';
import { connect, serve, subchannel } from '../common/rpc.ts';
import type { PeerApi } from './api.ts';
import { PEER_API_METHODS, PEER_LIFECYCLE_METHODS, type PeerLifecycle, SECRET_STORE_METHODS } from './api-methods.ts';
import type { PeerOptions } from './open-peer.ts';

/** MB for short-lived objects in the worker: at full speed V8 would let them take three times as much, to no advantage. */
const YOUNG_GENERATION = 16;

/** What crosses as `workerData`: the rest of `PeerOptions` stays on this side and is called back. */
export type PeerWorkerData = Omit<PeerOptions, 'secrets' | 'logger'>;

export interface PeerThreadOptions extends Pick<PeerOptions, 'secrets' | 'logger'> {
  /** Path of the worker's entry: src/peer/peer-worker.ts, or dist/peer-worker.js. */
  readonly entry: string;
  readonly data: PeerWorkerData;
  /** Environment of the thread; default: that of the process. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface PeerThread {
  /** Calls made before the peer is open wait for it; they reject with `closed` when the thread has ended. */
  readonly api: PeerApi;
  /** Resolves when the peer is up. Otherwise rejects with the reason, once the thread has ended. */
  open(): Promise<void>;
  /** Resolves when everything is stored; `terminate` may follow. */
  close(): Promise<void>;
  /** Ends the thread, whatever it does; resolves when it has ended. */
  terminate(): Promise<void>;
  /** Resolves when the thread has ended, with what it died of. */
  readonly exited: Promise<unknown>;
}

export function startPeerThread({ entry, data, env, secrets, logger }: PeerThreadOptions): PeerThread {
  const worker = new Worker(entry, {
    name: 'peerwire-peer',
    workerData: data,
    ...(env && { env }),
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION },
  });
  const owned = new DisposableList();
  const channel = portChannel(worker);
  owned.add(serve(secrets, SECRET_STORE_METHODS, subchannel(channel, 'secrets')));
  owned.add(subchannel(channel, 'log').onMessage((message) => relay(message, logger)));
  const lifecycle = owned.add(connect<PeerLifecycle>(subchannel(channel, 'lifecycle'), PEER_LIFECYCLE_METHODS));
  const api = owned.add(connect<PeerApi>(subchannel(channel, 'peer'), PEER_API_METHODS));
  let failure: unknown;
  worker.on('error', (error) => {
    failure ??= error;
  });
  const exited = new Promise<unknown>((resolve) => {
    worker.once('exit', () => {
      owned.dispose();
      resolve(failure);
    });
  });
  const terminate = async (): Promise<void> => {
    await worker.terminate();
    await exited;
  };
  return {
    api,
    exited,
    terminate,
    close: () => lifecycle.close(),
    async open() {
      try {
        await lifecycle.open();
      } catch (error) {
        await terminate();
        throw failure ?? error;
      }
    },
  };
}

/** Messages of the worker's `log` channel. */
function relay(message: unknown, logger: Logger): void {
  if (typeof message !== 'object' || message === null || !('level' in message) || !('message' in message)) return;
  const { level } = message;
  if (level === 'debug' || level === 'info' || level === 'warn' || level === 'error')
    logger[level](String(message.message));
}
