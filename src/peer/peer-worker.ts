/**
 * Entry of the worker thread that a peer lives in; `startPeerThread` of peer-thread.ts starts it.
 *
 * `workerData` is `PeerWorkerData`. Over the port, in channels made by `subchannel(portChannel(worker), name)`:
 *
 * | channel     | served by   | what                                                                                |
 * |-------------|-------------|-------------------------------------------------------------------------------------|
 * | `lifecycle` | worker      | `open()` resolves when the peer is up, or rejects with the reason; `close()` resolves when its state is on disk, then the owner may terminate the worker |
 * | `peer`      | worker      | `PeerApi` (`PEER_API_METHODS`); calls made before `open` has ended wait for it      |
 * | `secrets`   | main thread | `SecretStore` (`SECRET_STORE_METHODS`)                                              |
 * | `log`       | nobody      | messages `{ level: 'debug' \| 'info' \| 'warn' \| 'error', message }` to the main thread |
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PeerwireError } from '../common/errors.ts';
import { Emitter } from '../common/event.ts';
import type { Logger } from '../common/log.ts';
import { portChannel } from '../common/port-channel.ts';
import { connect, type MessageChannelLike, serve, subchannel } from '../common/rpc.ts';
import type { PeerEvent } from './api.ts';
import {
  PEER_API_METHODS,
  PEER_LIFECYCLE_METHODS,
  type PeerApiMethod,
  type PeerLifecycle,
  SECRET_STORE_METHODS,
} from './api-methods.ts';
import { type OpenPeer, openPeer } from './open-peer.ts';
import type { PeerWorkerData } from './peer-thread.ts';
import type { SecretStore } from './secret-store.ts';

/** The peer of this worker, which may be used before it is open. */
class PeerWorker implements PeerLifecycle {
  readonly #events = new Emitter<PeerEvent>();
  readonly #open: () => Promise<OpenPeer>;
  #peer: Promise<OpenPeer> | undefined;

  constructor(open: () => Promise<OpenPeer>) {
    this.#open = open;
  }

  async open(): Promise<void> {
    this.#peer ??= this.#open().then((peer) => {
      peer.onEvent((event) => this.#events.fire(event));
      return peer;
    });
    await this.#peer;
  }

  async close(): Promise<void> {
    const peer = this.#peer;
    this.#peer = Promise.reject(new PeerwireError('closed', 'The peer was closed.'));
    this.#peer.catch(() => undefined);
    const opened = await peer?.catch(() => undefined); // Nothing to close when it did not open.
    await opened?.close();
  }

  /** `PeerApi` with calls that wait for the peer. */
  get api() {
    const call = async (name: PeerApiMethod, args: unknown[]): Promise<unknown> => {
      await this.open();
      const peer = await this.#peer;
      return peer && Reflect.apply(peer[name], peer, args);
    };
    // Object.fromEntries forgets its keys; these are exactly the listed names.
    const methods = Object.fromEntries(
      PEER_API_METHODS.map((name) => [name, (...args: unknown[]) => call(name, args)]),
    ) as Record<PeerApiMethod, (...args: unknown[]) => Promise<unknown>>;
    return { ...methods, onEvent: this.#events.event };
  }
}

function portLogger(channel: MessageChannelLike): Logger {
  const at = (level: keyof Logger) => (message: string) => channel.post({ level, message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

if (parentPort === null) throw new PeerwireError('internal', 'peer-worker is the entry of a worker thread.');
const channel = portChannel(parentPort);
const data: PeerWorkerData = workerData;
const secrets = connect<SecretStore>(subchannel(channel, 'secrets'), SECRET_STORE_METHODS);
const logger = portLogger(subchannel(channel, 'log'));
const worker = new PeerWorker(() => openPeer({ ...data, secrets, logger }));
serve(worker, PEER_LIFECYCLE_METHODS, subchannel(channel, 'lifecycle'));
serve(worker.api, PEER_API_METHODS, subchannel(channel, 'peer'));
