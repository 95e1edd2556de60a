import { randomBytes } from 'node:crypto';
import { ANY_ADDRESS } from '../common/any-address.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { errorMessage } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { Logger } from '../common/log.ts';
import { isLinkLocal } from './ip-address.ts';
import type { LanDatagram, LanTransport } from './lan-sockets.ts';
import { decodeLsdAnnounce, encodeLsdAnnounce, MAX_INFO_HASHES } from './lsd-announce.ts';
import type { LanInterface } from './network-interfaces.ts';
import type { NetworkWatch } from './network-watch.ts';

/** Milliseconds between announces of an infohash on an interface (BEP 14), and the least (BEP 14) when there is a reason to hurry. */
export const ANNOUNCE_PERIOD = 5 * 60_000;
export const ANNOUNCE_PAUSE = 60_000;
/** The first announce is said again after these times (ms): nobody acknowledges a multicast. */
const REPEATS = [1000, 4000];
const TICK = 30_000;
/** Milliseconds within which newcomers are answered, at random, so that not all speak at once; and between two answers. */
const ANSWER_JITTER = 150;
const ANSWER_PAUSE = 1000;
/** When so many others were heard for the same infohash meanwhile, the newcomer knows enough. */
const ENOUGH_ANSWERS = 6;
/** Who was not heard for this long (ms) is a newcomer; so many are known at a time. */
const HEARD_FOR = 3 * ANNOUNCE_PERIOD;
const MAX_HEARD = 1024;
/** Who is heard at an IPv6 link-local address alone within this time (ms) is dialled there: that works with one interface only. */
const LINK_LOCAL_DELAY = 500;
/** Infohashes of all networks together. */
const MAX_OWN_HASHES = 8 * MAX_INFO_HASHES;
/** Datagrams that are read within a second: those beyond are dropped, unread. */
const MAX_DATAGRAMS_PER_SECOND = 200;
/** Milliseconds for a probe to come back. */
const PROBE_TIMEOUT = 1000;

export interface LanDiscoveryOptions {
  readonly transport: LanTransport;
  readonly watch: NetworkWatch;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1), for jitter. */
  readonly random?: () => number;
  /** What to look for and to be found under, 20 bytes each; of the most important network first. */
  readonly infoHashes: () => readonly Buffer[];
  /** Where this peer accepts connections; undefined: nowhere. */
  readonly listening: () => { readonly host: string; readonly port: number } | undefined;
}

export interface LanPeer {
  readonly infoHash: Buffer;
  /** Source of its datagram. */
  readonly host: string;
  /** By its own word. */
  readonly port: number;
}

/** How multicast fared on one interface. */
export interface LanSelfTest {
  readonly interface: string;
  readonly address: string;
  readonly family: 4 | 6;
  /** What was sent to the group was heard by this machine. */
  readonly ok: boolean;
  readonly problem?: string;
}

interface InterfaceState {
  /** Monotone times of the last announces, by infohash in hex. */
  readonly sent: Map<string, number>;
  /** Infohashes to be named to a newcomer, and how many others have done so. */
  readonly answer: Map<string, number>;
  answering: boolean;
  lastAnswer: number;
}

/**
 * Local Service Discovery (BEP 14): says on every interface under which infohashes this peer can be found, hears others, and
 * answers newcomers at once. Peers that cannot be dialled ask without offering anything (port 0), and are answered, too.
 */
export class LanDiscovery implements Disposable {
  readonly #options: LanDiscoveryOptions;
  readonly #owned = new DisposableList();
  readonly #random: () => number;
  readonly #cookie = randomBytes(8).toString('hex');
  readonly #peers = this.#owned.add(new Emitter<LanPeer>());
  readonly onPeer: Event<LanPeer> = this.#peers.event;
  readonly #states = new Map<string, InterfaceState>();
  /** Monotone times at which others were heard last, the latest last. */
  readonly #heard = new Map<string, number>();
  /** Cookies of those heard at an address that works anywhere on this machine, the latest last. */
  readonly #wellSeen = new Set<string>();
  readonly #probes = new Map<string, () => void>();
  readonly #timers = new Set<Disposable>();
  #own = new Map<string, Buffer>();
  #second = 0;
  #datagrams = 0;
  #offered = '';

  constructor(options: LanDiscoveryOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  start(): void {
    const { transport, watch, clock } = this.#options;
    this.#owned.add(transport);
    this.#owned.add(transport.onDatagram((datagram) => this.#receive(datagram)));
    this.#owned.add(watch.onChanged(() => this.announce()));
    this.#owned.add(clock.setInterval(() => this.#announce(ANNOUNCE_PERIOD), TICK));
    this.announce();
  }

  /** Says now what was not said within the last minute: after networks, the port or the interfaces changed, or to try again. */
  announce(): void {
    this.#announce(ANNOUNCE_PAUSE);
  }

  /** Sends a datagram on each interface and waits for it to come back. Takes a second at most; never rejects. */
  async selfTest(): Promise<LanSelfTest[]> {
    const { watch, transport } = this.#options;
    transport.use(watch.interfaces);
    return await Promise.all(watch.interfaces.map((on) => this.#probe(on)));
  }

  dispose(): void {
    for (const timer of this.#timers) timer.dispose();
    for (const heard of this.#probes.values()) heard();
    this.#owned.dispose();
  }

  #announce(pause: number): void {
    if (this.#owned.disposed) return;
    const { transport, watch, clock, infoHashes, listening } = this.#options;
    transport.use(watch.interfaces);
    this.#own = new Map(
      infoHashes()
        .slice(0, MAX_OWN_HASHES)
        .map((hash) => [hash.toString('hex'), hash]),
    );
    const offered = JSON.stringify(listening());
    if (offered !== this.#offered) this.#states.clear();
    this.#offered = offered;
    const now = clock.now();
    for (const [key, time] of this.#heard) if (now - time > HEARD_FOR) this.#heard.delete(key);
    const inUse = new Set(watch.interfaces.map(keyOf));
    for (const key of this.#states.keys()) if (!inUse.has(key)) this.#states.delete(key);
    for (const on of watch.interfaces) {
      const { sent } = this.#stateOf(on);
      for (const hash of sent.keys()) if (!this.#own.has(hash)) sent.delete(hash);
      const fresh = [...this.#own.keys()].filter((hash) => !sent.has(hash));
      const due = [...this.#own.keys()].filter((hash) => now - (sent.get(hash) ?? Number.NEGATIVE_INFINITY) >= pause);
      // Who cannot be dialled asks when there is a reason to.
      if (this.#portOn(on) > 0 || pause < ANNOUNCE_PERIOD || fresh.length > 0) this.#send(on, due);
      for (const delay of fresh.length > 0 ? REPEATS : []) this.#later(delay, () => this.#send(on, fresh));
    }
  }

  /** Names infohashes, in as many datagrams as they take. */
  #send(on: LanInterface, hashes: readonly string[]): void {
    const { transport, clock, logger } = this.#options;
    const { sent } = this.#stateOf(on);
    const known = hashes.flatMap((hash) => this.#own.get(hash) ?? []);
    const port = this.#portOn(on);
    for (let at = 0; at < known.length; at += MAX_INFO_HASHES) {
      const infoHashes = known.slice(at, at + MAX_INFO_HASHES);
      for (const hash of infoHashes) sent.set(hash.toString('hex'), clock.now());
      transport
        .send(on, encodeLsdAnnounce({ port, infoHashes, cookie: this.#cookie }, on.family))
        .catch((error: unknown) => logger.debug(`Nothing was announced on ${keyOf(on)}: ${errorMessage(error)}`));
    }
  }

  #receive({ data, address, interface: on }: LanDatagram): void {
    const now = this.#options.clock.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) this.#datagrams = 0;
    this.#second = second;
    if (++this.#datagrams > MAX_DATAGRAMS_PER_SECOND) return;
    const announce = decodeLsdAnnounce(data);
    if (announce === undefined) return;
    const { port, cookie, infoHashes } = announce;
    if (cookie?.startsWith(this.#cookie)) {
      this.#probes.get(cookie)?.();
      return;
    }
    const common = infoHashes.map((hash) => hash.toString('hex')).filter((hash) => this.#own.has(hash));
    if (common.length === 0) return;
    const who = `${address} ${port} ${cookie ?? ''}`;
    const isNew = !this.#heard.delete(who);
    this.#heard.set(who, now);
    const [oldest] = this.#heard.keys();
    if (this.#heard.size > MAX_HEARD && oldest !== undefined) this.#heard.delete(oldest);
    const isLast = on.family === 6 && isLinkLocal(address);
    if (!isLast && cookie !== undefined) this.#noteWellSeen(cookie);
    const { answer } = this.#stateOf(on);
    for (const hash of port > 0 ? common : []) {
      const others = answer.get(hash);
      if (others !== undefined) answer.set(hash, others + 1);
    }
    if (isNew || port === 0) this.#answer(on, common);
    if (port === 0) return;
    const report = (): void => {
      for (const hash of common) {
        const infoHash = this.#own.get(hash);
        if (infoHash !== undefined) this.#peers.fire({ infoHash, host: address, port });
      }
    };
    if (!isLast) report();
    else this.#later(LINK_LOCAL_DELAY, () => this.#wellSeen.has(cookie ?? '') || report());
  }

  #noteWellSeen(cookie: string): void {
    this.#wellSeen.delete(cookie);
    this.#wellSeen.add(cookie);
    const [oldest] = this.#wellSeen;
    if (this.#wellSeen.size > MAX_HEARD && oldest !== undefined) this.#wellSeen.delete(oldest);
  }

  /** A newcomer is there: says soon that we are, too. */
  #answer(on: LanInterface, hashes: readonly string[]): void {
    const state = this.#stateOf(on);
    if (this.#portOn(on) === 0) return;
    for (const hash of hashes) if (!state.answer.has(hash)) state.answer.set(hash, 0);
    if (state.answering) return;
    state.answering = true;
    const wait = Math.max(0, state.lastAnswer + ANSWER_PAUSE - this.#options.clock.now());
    this.#later(wait + ANSWER_JITTER * this.#random(), () => {
      state.answering = false;
      const unsaid = [...state.answer].filter(([, others]) => others < ENOUGH_ANSWERS).map(([hash]) => hash);
      state.answer.clear();
      if (unsaid.length === 0 || this.#states.get(keyOf(on)) !== state) return;
      state.lastAnswer = this.#options.clock.now();
      this.#send(on, unsaid);
    });
  }

  async #probe(on: LanInterface): Promise<LanSelfTest> {
    const { transport } = this.#options;
    const cookie = `${this.#cookie}${randomBytes(8).toString('hex')}`;
    const result = { interface: on.name, address: on.addresses[0] ?? '', family: on.family };
    try {
      const heard = new Promise<boolean>((resolve) => {
        this.#probes.set(cookie, () => resolve(true));
        this.#later(PROBE_TIMEOUT, () => resolve(false));
      });
      await transport.send(on, encodeLsdAnnounce({ port: 0, infoHashes: [randomBytes(20)], cookie }, on.family));
      if (await heard) return { ...result, ok: true };
      return { ...result, ok: false, problem: 'What is sent to the multicast group does not come back.' };
    } catch (error) {
      return { ...result, ok: false, problem: errorMessage(error) };
    } finally {
      this.#probes.delete(cookie);
    }
  }

  /** The port at which this peer can be dialled by this interface; 0 when it cannot. */
  #portOn(on: LanInterface): number {
    const listening = this.#options.listening();
    if (listening === undefined) return 0;
    const { host, port } = listening;
    const heard = host === ANY_ADDRESS || (host === '0.0.0.0' && on.family === 4) || on.addresses.includes(host);
    return heard ? port : 0;
  }

  #stateOf(on: LanInterface): InterfaceState {
    const key = keyOf(on);
    let state = this.#states.get(key);
    if (state === undefined) {
      state = { sent: new Map(), answer: new Map(), answering: false, lastAnswer: Number.NEGATIVE_INFINITY };
      this.#states.set(key, state);
    }
    return state;
  }

  #later(delay: number, action: () => void): void {
    const timer = this.#options.clock.setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delay);
    this.#timers.add(timer);
  }
}

/** An interface with another address is another one. */
function keyOf({ name, addresses, family }: LanInterface): string {
  return `${name} IPv${family} ${addresses[0] ?? ''}`;
}
