import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Clock, systemClock } from '../src/common/clock.ts';
import type { Disposable } from '../src/common/disposable.ts';
import { errorMessage, PeerwireError, systemCode } from '../src/common/errors.ts';
import { HttpServer } from './http.ts';
import { HttpRoutes } from './http-routes.ts';
import { DEFAULT_LIMITS, type TrackerLimits } from './limits.ts';
import type { Intervals } from './reply.ts';
import { newTrackerStats, type TrackerStats } from './stats.ts';
import { SwarmStore } from './swarm-store.ts';
import { UdpServer } from './udp.ts';
import { UdpRoutes } from './udp-routes.ts';

/** Peers forgotten in one go at most, so that a wave of them does not hold up announces. */
const EXPIRE_BATCH = 50_000;
const PORT_ATTEMPTS = 20;

/** Every address of both IP families; where there is no IPv6, of IPv4 alone. */
export const DEFAULT_HOST = '::';
const EVERY_IPV4 = '0.0.0.0';
/** What systems without IPv6 say to `::`. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);
export const DEFAULT_PORT = 6969;
/** Seconds. Short for a tracker, because teams are small and colleagues come and go. */
export const DEFAULT_INTERVAL = 300;

export interface TrackerOptions {
  readonly host?: string;
  /** 0: any free port. */
  readonly port?: number;
  /** Default: the same as HTTP. */
  readonly udpPort?: number | 'none';
  /** Seconds between announces. Peers are forgotten after twice as long. */
  readonly interval?: number;
  readonly limits?: Partial<TrackerLimits>;
  readonly clock?: Clock;
}

/** The rendezvous server: maps an infohash to peer addresses over HTTP and UDP, and learns nothing else. */
export class Tracker {
  readonly #host: string;
  readonly #http: HttpServer;
  readonly #udp: UdpServer | undefined;
  readonly #owned: Disposable;
  readonly #core: TrackerCore;
  #closed: Promise<void> | undefined;

  /** Rejects with `io` or `permission` when a port cannot be used. */
  static async start(options: TrackerOptions = {}): Promise<Tracker> {
    const host = options.host ?? DEFAULT_HOST;
    try {
      return await Tracker.#startAt(host, options);
    } catch (error) {
      const cause = error instanceof PeerwireError ? error.cause : undefined;
      if (host !== DEFAULT_HOST || !NO_IPV6.has(systemCode(cause) ?? '')) throw error;
      return await Tracker.#startAt(EVERY_IPV4, options);
    }
  }

  static async #startAt(host: string, options: TrackerOptions): Promise<Tracker> {
    const core = new TrackerCore(options);
    const { http, udp } = await listen(core, host, options.port ?? DEFAULT_PORT, options.udpPort);
    return new Tracker(core, host, http, udp);
  }

  private constructor(core: TrackerCore, host: string, http: HttpServer, udp: UdpServer | undefined) {
    this.#core = core;
    this.#host = host;
    this.#http = http;
    this.#udp = udp;
    core.connections = () => http.connections;
    this.#owned = core.clock.setInterval(() => core.expire(), 1000);
  }

  /** The announce URL. A tracker on all interfaces names loopback here; for others see `lanUrls`. */
  get httpUrl(): string {
    return `http://${urlHost(loopbackOf(this.#host))}:${this.#http.port}/announce`;
  }

  get udpUrl(): string | undefined {
    if (this.#udp === undefined) return undefined;
    return `udp://${urlHost(loopbackOf(this.#host))}:${this.#udp.port}/announce`;
  }

  /** HTTP announce URLs for other machines of the local network: none when we listen on one address only. */
  get lanUrls(): string[] {
    if (loopbackOf(this.#host) === this.#host) return [];
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    return addresses
      .filter((address) => !address.internal && address.family === 'IPv4')
      .map((address) => `http://${address.address}:${this.#http.port}/announce`);
  }

  get stats(): Record<string, number> {
    return this.#core.describe();
  }

  /** Closes both ports and all connections. Idempotent. */
  close(): Promise<void> {
    this.#owned.dispose();
    this.#closed ??= Promise.all([this.#http.close(), this.#udp?.close()]).then(() => undefined);
    return this.#closed;
  }
}

/** What does not change with the sockets. */
class TrackerCore {
  readonly clock: Clock;
  readonly limits: TrackerLimits;
  readonly http: HttpRoutes;
  readonly udp: UdpRoutes;
  connections = (): number => 0;
  readonly #store: SwarmStore;
  readonly #stats: TrackerStats = newTrackerStats();
  readonly #intervals: Intervals;
  readonly #started: number;

  constructor(options: TrackerOptions) {
    const interval = options.interval ?? DEFAULT_INTERVAL;
    this.clock = options.clock ?? systemClock;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    // Who cannot be dialled has to ask who came: peers that are alone may do so often.
    this.#intervals = { interval, minInterval: Math.max(1, Math.floor(interval / 10)) };
    this.#store = new SwarmStore(this.limits);
    this.#started = this.clock.now();
    const shared = {
      store: this.#store,
      stats: this.#stats,
      intervals: this.#intervals,
      now: () => this.clock.now(),
    };
    this.http = new HttpRoutes({ ...shared, describe: () => this.describe() });
    this.udp = new UdpRoutes(shared);
  }

  expire(): void {
    this.#store.expire(this.clock.now() - 2000 * this.#intervals.interval, EXPIRE_BATCH);
  }

  describe(): Record<string, number> {
    return {
      ...this.#store.counts,
      ...this.#stats,
      connections: this.connections(),
      uptime: Math.floor((this.clock.now() - this.#started) / 1000),
      memory: process.memoryUsage.rss(),
    };
  }
}

/** Opens both ports. With `port` 0 the system picks one that is free for TCP; UDP may need another try. */
async function listen(
  core: TrackerCore,
  host: string,
  port: number,
  udpPort: number | 'none' | undefined,
): Promise<{ http: HttpServer; udp: UdpServer | undefined }> {
  for (let attempt = 1; ; attempt++) {
    const http = await HttpServer.listen({
      host,
      port,
      limits: core.limits,
      clock: core.clock,
      respond: (target, address, keepAlive) => core.http.respond(target, address, keepAlive),
    }).catch((error: unknown) => {
      throw listenError(error, 'TCP', host, port);
    });
    if (udpPort === 'none') return { http, udp: undefined };
    try {
      const answer = (packet: Buffer, address: Uint8Array) => core.udp.answer(packet, address);
      return { http, udp: await UdpServer.listen({ host, port: udpPort ?? http.port, answer }) };
    } catch (error) {
      const taken = udpPort ?? http.port;
      await http.close();
      const again = port === 0 && udpPort === undefined && attempt < PORT_ATTEMPTS;
      if (!again || systemCode(error) !== 'EADDRINUSE') throw listenError(error, 'UDP', host, taken);
    }
  }
}

function listenError(error: unknown, protocol: string, host: string, port: number): PeerwireError {
  const where = `${protocol} port ${port} of ${host}`;
  switch (systemCode(error)) {
    case 'EADDRINUSE':
      return new PeerwireError('io', `${where} is in use: stop what uses it, or choose another with --port.`, {
        cause: error,
      });
    case 'EACCES':
      return new PeerwireError('permission', `You may not use ${where}: choose one above 1023.`, { cause: error });
    default:
      return new PeerwireError('io', `Cannot listen on ${where}: ${errorMessage(error)}`, { cause: error });
  }
}

/** What a process of this machine can dial when we listen on `host`. */
function loopbackOf(host: string): string {
  return host === EVERY_IPV4 || host === DEFAULT_HOST ? '127.0.0.1' : host;
}

function urlHost(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}
