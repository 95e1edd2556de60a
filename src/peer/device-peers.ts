import { type FSWatcher, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { ANY_ADDRESS } from '../common/any-address.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList, toDisposable } from '../common/disposable.ts';
import { errorMessage, systemCode } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import { type PeerInstance, parsePeerInstance } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import type { StateStore } from './state-store.ts';

/** How often to look, ms, where the system does not tell that something changed. */
const LOOK_INTERVAL = 1_000;
/** Milliseconds for one that runs on this machine to accept a connection. */
const KNOCK_TIMEOUT = 1_000;
/** More windows than anyone has open. */
const MOST_PEERS = 256;

/** Another running peer of this device, on this machine. */
export interface DevicePeer {
  readonly instance: PeerInstance;
  /** Where it can be dialled from here. */
  readonly host: string;
  readonly port: number;
}

export interface DevicePeersOptions {
  /** The folder where all peers of the device say where they listen. */
  readonly store: StateStore;
  readonly instance: PeerInstance;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Entry extends DevicePeer {
  /** Its networks run: whoever dials it is not sent away. */
  readonly ready: boolean;
}

/**
 * The running peers of one device – editor windows, a command line –, each of which says in a file of its own where it
 * listens. So they find each other at once, without a tracker or multicast, and know who of them has a port.
 */
export class DevicePeers implements Disposable {
  readonly #options: DevicePeersOptions;
  readonly #owned = new DisposableList();
  readonly #known = new Map<PeerInstance, Entry>();
  readonly #found = new Emitter<DevicePeer>();
  /** What this peer says of itself. */
  #own: Omit<Entry, 'instance'> | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** A look that has not begun: it sees all that there is. */
  #next: Promise<void> | undefined;
  #removing: Promise<void> | undefined;
  #closed = false;
  /** One that started, or moved to another port. */
  readonly onFound: Event<DevicePeer> = this.#found.event;

  constructor(options: DevicePeersOptions) {
    this.#options = options;
  }

  /** Those that can be dialled. */
  list(): DevicePeer[] {
    return [...this.#known.values()].filter(({ ready }) => ready);
  }

  /** The one that listens at the port, as far as it has said so. */
  async at(port: number): Promise<DevicePeer | undefined> {
    await this.#look();
    return [...this.#known.values()].find((peer) => peer.port === port);
  }

  /** Says where this peer listens. `host`: as it was given to the listener. */
  async tell(host: string, port: number, ready: boolean): Promise<void> {
    // An address for every interface is none to dial.
    this.#own = { host: host === ANY_ADDRESS || host === '0.0.0.0' ? '127.0.0.1' : host, port, ready };
    await this.#write();
  }

  /** Finds the others, and goes on to look for new ones. */
  async start(): Promise<void> {
    const { store, clock, logger } = this.#options;
    await mkdir(store.dir, { recursive: true, mode: 0o700 });
    this.#owned.add(clock.setInterval(() => void this.#look(), LOOK_INTERVAL));
    try {
      const watcher: FSWatcher = watch(store.dir, { persistent: false }, () => void this.#look());
      watcher.on('error', () => watcher.close());
      this.#owned.add(toDisposable(() => watcher.close()));
    } catch (error) {
      logger.debug(`Other windows are looked for every second: ${errorMessage(error)}`);
    }
    await this.#look();
    this.#removing = this.#removeDead();
  }

  async close(): Promise<void> {
    this.dispose();
    await Promise.all([this.#looking, this.#removing]);
    if (this.#own !== undefined) await this.#options.store.delete(fileOf(this.#options.instance));
  }

  dispose(): void {
    this.#closed = true;
    this.#owned.dispose();
    this.#found.dispose();
  }

  async #write(): Promise<void> {
    const { store, instance } = this.#options;
    if (this.#own !== undefined) await store.writeJson(fileOf(instance), this.#own);
  }

  /** One at a time. */
  #look(): Promise<void> {
    this.#next ??= this.#looking
      .then(() => {
        this.#next = undefined;
        return this.#lookNow();
      })
      .catch((error: unknown) => this.#options.logger.debug(`Other windows cannot be seen: ${errorMessage(error)}`));
    this.#looking = this.#next;
    return this.#next;
  }

  async #lookNow(): Promise<void> {
    if (this.#closed) return;
    const { store, instance } = this.#options;
    const present = new Set<PeerInstance>();
    let isTold = false;
    for (const name of (await store.list()).slice(0, MOST_PEERS)) {
      const other = instanceOf(name);
      if (other === instance) isTold = true;
      if (other === undefined || other === instance) continue;
      const entry = readEntry(await store.readJson(name), other);
      if (entry === undefined) continue;
      present.add(other);
      const before = this.#known.get(other);
      this.#known.set(other, entry);
      const isNews = before?.port !== entry.port || before.host !== entry.host || !before.ready;
      if (entry.ready && isNews && !this.#closed) this.#found.fire(entry);
    }
    for (const other of this.#known.keys()) if (!present.has(other)) this.#known.delete(other);
    // Somebody took it for that of a dead one.
    if (!isTold && !this.#closed) await this.#write();
  }

  /** Removes what those left that were killed. Never rejects. */
  async #removeDead(): Promise<void> {
    for (const peer of [...this.#known.values()]) {
      if (await isRefused(peer)) await this.#options.store.delete(fileOf(peer.instance)).catch(() => undefined);
    }
  }
}

function fileOf(instance: PeerInstance): string {
  return `${instance}.json`;
}

function instanceOf(name: string): PeerInstance | undefined {
  try {
    return parsePeerInstance(name.replace(/\.json$/, ''));
  } catch {
    return undefined;
  }
}

function readEntry(value: unknown, instance: PeerInstance): Entry | undefined {
  if (typeof value !== 'object' || value === null || !('host' in value) || !('port' in value)) return undefined;
  const { host, port } = value;
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= 65_535;
  if (typeof host !== 'string' || !isPort) return undefined;
  return { instance, host, port, ready: 'ready' in value && value.ready === true };
}

/** Nobody listens there. */
function isRefused({ host, port }: DevicePeer): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: KNOCK_TIMEOUT });
    const end = (refused: boolean): void => {
      socket.destroy();
      resolve(refused);
    };
    socket.once('connect', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('error', (error) => end(systemCode(error) === 'ECONNREFUSED'));
  });
}
