import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Gateway } from '@achingbrain/nat-port-mapper';
import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { errorMessage } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { Logger } from '../common/log.ts';
import { isUnreachable } from './ip-address.ts';
import { addressByNatPmp, mapByNatPmp } from './nat-pmp.ts';
import { lanInterfaces } from './network-interfaces.ts';

/** For how long a router is asked to keep the mapping, in s (RFC 6886 recommends it), and how often it is renewed, in ms. */
const LIFETIME = 7200;
const RENEW = 30 * 60_000;
/** Milliseconds until it is tried again after a failure: routers start, and people change their settings. */
const RETRY = 5 * 60_000;
/** Milliseconds for a router that speaks NAT-PMP, and for one that speaks UPnP to be found and to answer. */
const PMP_TIMEOUT = 2500;
const UPNP_TIMEOUT = 5000;
/** Milliseconds for taking the mapping back. */
const STOP_TIMEOUT = 1000;

export interface MappedPort {
  /** The router's address, where it told one. */
  readonly host: string | undefined;
  readonly port: number;
  readonly by: 'NAT-PMP' | 'UPnP';
}

export interface PortMapperOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where this peer listens. */
  readonly port: number;
}

/** Maps the port for so many seconds, or takes the mapping back. */
interface Router {
  map(): Promise<MappedPort>;
  release(): Promise<void>;
}

/**
 * Asks the router to forward a port to this machine, by NAT-PMP (RFC 6886) or UPnP, and again and again as long as it is
 * wanted. For users who switch it on: it makes this machine reachable from the Internet.
 */
export class PortMapper implements Disposable {
  readonly #options: PortMapperOptions;
  readonly #changed = new Emitter<void>();
  /** `mapped` or `problem` changed. */
  readonly onChanged: Event<void> = this.#changed.event;
  #router: Router | undefined;
  #mapped: MappedPort | undefined;
  #problem: string | undefined;
  #timer: Disposable | undefined;
  #trying: Promise<void> | undefined;
  #stopped = false;

  constructor(options: PortMapperOptions) {
    this.#options = options;
  }

  /** The port at which the router forwards to ours. */
  get mapped(): MappedPort | undefined {
    return this.#mapped;
  }

  /** Why there is none, as far as it was tried. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Tries now: at the start, and when the network changed. */
  start(): void {
    if (this.#stopped || this.#trying) return;
    this.#timer?.dispose();
    this.#trying = this.#try().finally(() => {
      this.#trying = undefined;
    });
  }

  /** Resolves when what `start` began has come to an end. */
  async settled(): Promise<void> {
    await this.#trying;
  }

  /** Takes the mapping back; a second at most. Never rejects. */
  async stop(): Promise<void> {
    this.dispose();
    const router = this.#router;
    this.#router = undefined;
    if (router) await this.#release(router);
  }

  dispose(): void {
    this.#stopped = true;
    this.#timer?.dispose();
    this.#changed.dispose();
  }

  async #try(): Promise<void> {
    const before = JSON.stringify([this.#mapped, this.#problem]);
    try {
      this.#mapped = await this.#map();
      this.#problem = undefined;
    } catch (error) {
      this.#mapped = undefined;
      this.#problem = errorMessage(error);
      this.#options.logger.debug(`No port is mapped: ${this.#problem}`);
    }
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimeout(() => this.start(), this.#mapped ? RENEW : RETRY);
    if (JSON.stringify([this.#mapped, this.#problem]) !== before) this.#changed.fire();
  }

  async #map(): Promise<MappedPort> {
    const known = this.#router;
    // A router that forgot us, or another one: look again.
    if (known) return await known.map().catch(() => this.#find());
    return await this.#find();
  }

  async #find(): Promise<MappedPort> {
    this.#router = undefined;
    const { port, logger } = this.#options;
    const address = await defaultGateway();
    if (address !== undefined) {
      try {
        return await this.#mapBy(natPmpRouter(address, port));
      } catch (error) {
        logger.debug(`${address} maps no port by NAT-PMP: ${errorMessage(error)}`);
      }
    }
    // Loaded only where it is wanted.
    const { upnpNat } = await import('@achingbrain/nat-port-mapper');
    const signal = AbortSignal.timeout(UPNP_TIMEOUT);
    try {
      for await (const gateway of upnpNat().findGateways({ signal })) {
        const own = gateway.family === 'IPv4' ? addressTowards(gateway.host) : undefined;
        if (own !== undefined) return await this.#mapBy(upnpRouter(gateway, own, port));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    throw new Error('No router answered to NAT-PMP or UPnP.');
  }

  async #mapBy(router: Router): Promise<MappedPort> {
    const mapped = await router.map();
    if (this.#stopped) await this.#release(router);
    else this.#router = router;
    return mapped;
  }

  async #release(router: Router): Promise<void> {
    await router.release().catch((error: unknown) => {
      this.#options.logger.debug(`The router was not told that its port is free: ${errorMessage(error)}`);
    });
  }
}

function natPmpRouter(address: string, port: number): Router {
  return {
    async map() {
      const mapping = await mapByNatPmp(address, port, port, LIFETIME, PMP_TIMEOUT);
      // It forwards all the same when it does not say from where.
      const host = await addressByNatPmp(address, PMP_TIMEOUT).catch(() => '');
      return { host: publicHost(host), port: mapping.port, by: 'NAT-PMP' };
    },
    async release() {
      await mapByNatPmp(address, port, 0, 0, STOP_TIMEOUT);
    },
  };
}

function upnpRouter(gateway: Gateway, own: string, port: number): Router {
  return {
    async map() {
      const { externalHost, externalPort } = await gateway.map(port, own, {
        ...{ protocol: 'tcp', externalPort: port, description: 'Peerwire', autoRefresh: false, ttl: LIFETIME * 1000 },
        signal: AbortSignal.timeout(UPNP_TIMEOUT),
      });
      return { host: publicHost(externalHost), port: externalPort, by: 'UPnP' };
    },
    async release() {
      const signal = AbortSignal.timeout(STOP_TIMEOUT);
      await gateway.unmap(port, { signal });
      await gateway.stop({ signal });
    },
  };
}

/** A router behind another one, or without a connection, has nothing useful to say. */
function publicHost(host: string): string | undefined {
  return isIP(host) !== 0 && !isUnreachable(host) ? host : undefined;
}

/** Our address on the network of another one, which needs no router to be reached. */
function addressTowards(host: string): string | undefined {
  return lanInterfaces().find((entry) => entry.family === 4 && !entry.internal && entry.isOnLink(host))?.addresses[0];
}

/** The IPv4 router for everything else. Known on Linux alone: elsewhere routers are found by UPnP. */
async function defaultGateway(): Promise<string | undefined> {
  const routes = await readFile('/proc/net/route', 'latin1').catch(() => '');
  for (const line of routes.split('\n')) {
    const [, destination, gateway = ''] = line.split('\t');
    if (destination !== '00000000' || !/^[0-9A-F]{8}$/.test(gateway) || gateway === '00000000') continue;
    // In the byte order of the machine, which is little-endian wherever Node runs.
    return [...Buffer.from(gateway, 'hex')].reverse().join('.');
  }
  return undefined;
}
