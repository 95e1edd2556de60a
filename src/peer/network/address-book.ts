import type { PeerAddress } from '../../bittorrent/compact-address.ts';
import type { Clock } from '../../common/clock.ts';
import type { DeviceId } from '../../common/ids.ts';
import { type AddressOrigin, formatHostPort, mayDial, normalizeHost } from './addresses.ts';
import { type PeerRef, peerKey } from './channel.ts';

const DAY = 24 * 60 * 60 * 1000;
const HOUR = 60 * 60 * 1000;

/** Addresses kept in memory, and of these kept across restarts. */
export const MAX_ADDRESSES = 2000;
export const MAX_REMEMBERED = 200;
/** A remembered address is forgotten this long (ms) after we last met someone there. */
export const REMEMBERED_FOR = 30 * DAY;
/** Tries per hour of an address that never led to a member (security: SSRF): members' word counts more than a tracker's; datagrams of a LAN come from itself. */
export const UNPROVEN_TRIES_PER_HOUR = { tracker: 3, pex: 12, lan: 30 } as const;
/** Milliseconds until the second try of such an address; the others are spread over the hour. */
const UNPROVEN_RETRY = 30_000;
/** Such addresses kept for one host: enough for a team behind one router, too few to scan ports with. */
export const UNPROVEN_PER_HOST = 32;
/** Addresses kept of one device where it says that it listens, and where we never reached it: its word is all there is. */
export const UNDIALED_PER_DEVICE = 8;
/** Of one unproven address, so many who told us of it are remembered. */
const INFORMANTS = 4;
/** … and of those that one tracker or member alone told us of: it cannot fill the book. */
export const UNPROVEN_PER_INFORMANT = 300;
/** Such an address is forgotten when nobody has mentioned it for so long (ms). */
const UNPROVEN_FOR = 2 * HOUR;

/** Milliseconds between tries: quick at first, since most losses are restarts and changes of network. */
const RETRY_DELAYS = [500, 1000, 2000, 5000, 10_000, 20_000, 40_000, 60_000];
/** After so many failures in a row, about half an hour, this delay (ms) is enough. */
const PATIENT_AFTER = 30;
const PATIENT_DELAY = 5 * 60 * 1000;
/** While nobody is connected, no delay is longer (ms): who comes back finds somebody whom it cannot dial within a minute. */
const ALONE_DELAY = 30_000;
/** Delays vary by ± this part, so that peers that lost each other do not dial in step. */
const JITTER = 0.2;
/** A connection that lasted so long (ms) was no failure. */
const STABLE_AFTER = 10_000;
/** A fresh hint that someone is there cuts the waiting short, unless we tried within this time (ms). */
const HINT_PAUSE = 1000;

export interface AddressRecord extends PeerAddress {
  /** `host:port`. */
  readonly key: string;
  readonly origin: AddressOrigin;
  /** Wall time (ms) when we last met a member there; undefined if never. */
  readonly lastSuccess: number | undefined;
  /** Who was there. */
  readonly peer: PeerRef | undefined;
  /** Failures since the last connection that lasted. */
  readonly failures: number;
}

/** What is written to disk for one address. */
export interface RememberedAddress {
  readonly host: string;
  readonly port: number;
  readonly origin: 'manual' | 'member';
  /** Wall time in ms. */
  readonly added: number;
  readonly lastSuccess?: number;
  readonly peer?: PeerRef;
}

interface Entry extends AddressRecord {
  origin: AddressOrigin;
  lastSuccess: number | undefined;
  peer: PeerRef | undefined;
  failures: number;
  added: number;
  /** Monotone time of the last mention by anyone. */
  mentioned: number;
  /** Monotone times of the tries within the last hour. */
  tries: number[];
  nextTry: number;
  dialing: boolean;
  /** We dialled it and a member answered. */
  reached: boolean;
  /** Who told us of it: hosts of trackers and members. */
  readonly informants: Set<string>;
}

/**
 * Where members may be, and when to try each address. It opens no sockets: `take` says what to dial now, and the
 * outcome comes back by `succeeded` or `failed`.
 */
export class AddressBook {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #isAlone: () => boolean;
  readonly #entries = new Map<string, Entry>();
  /** Addresses that turned out to be this very peer, and until when (monotone time) we believe it: ports get reused. */
  readonly #own = new Map<string, number>();

  /**
   * @param random in [0, 1)
   * @param isAlone nobody is connected
   */
  constructor(clock: Clock, random: () => number = Math.random, isAlone: () => boolean = () => false) {
    this.#clock = clock;
    this.#random = random;
    this.#isAlone = isAlone;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Learns an address, or that it is still current.
   *
   * @param informant host of the tracker or peer that told us
   * @param news false when the informant only repeats itself: a reason to keep the address, not to hurry
   */
  add(address: PeerAddress, origin: AddressOrigin, informant?: string, news = true): 'added' | 'known' | 'refused' {
    const host = normalizeHost(address.host);
    const key = formatHostPort({ host, port: address.port });
    if (this.#isOwn(key) || !mayDial({ host, port: address.port }, origin, informant)) return 'refused';
    const now = this.#clock.now();
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.mentioned = now;
      noteInformant(known, informant);
      this.#entries.delete(key);
      this.#entries.set(key, known);
      if (rank(origin) > rank(known.origin)) known.origin = origin;
      if (origin === 'manual') known.failures = 0;
      if (!known.dialing && (news || !isUnproven(known))) {
        known.nextTry = Math.min(known.nextTry, this.#hintedTry(known, now));
      }
      return 'known';
    }
    if (isHearsay(origin) && this.#unprovenAt(host) >= UNPROVEN_PER_HOST) return 'refused';
    if (isHearsay(origin) && informant !== undefined && this.#unprovenOf(informant) >= UNPROVEN_PER_INFORMANT) {
      return 'refused';
    }
    if (!this.#makeRoom(origin)) return 'refused';
    const entry: Entry = {
      host,
      port: address.port,
      key,
      origin,
      added: this.#clock.wallTime(),
      lastSuccess: undefined,
      peer: undefined,
      failures: 0,
      mentioned: now,
      tries: [],
      nextTry: now,
      dialing: false,
      reached: false,
      informants: new Set(),
    };
    noteInformant(entry, informant);
    this.#entries.set(key, entry);
    return 'added';
  }

  /**
   * Up to `limit` addresses to dial now, the most promising first; each is yours until `succeeded` or `failed`. Those that
   * were told us take turns by who told: whoever floods us with addresses keeps us from nobody else's.
   *
   * @param which only those where a member was, or all
   */
  take(limit: number, isConnected: (peer: PeerRef) => boolean, which: 'all' | 'proven' = 'all'): AddressRecord[] {
    if (limit <= 0) return [];
    const now = this.#clock.now();
    const due = [...this.#entries.values()].filter(
      (entry) =>
        !entry.dialing &&
        entry.nextTry <= now &&
        !(which === 'proven' && isUnproven(entry)) &&
        !(entry.peer !== undefined && isConnected(entry.peer)),
    );
    due.sort((a, b) => a.failures - b.failures || promise(b) - promise(a) || b.mentioned - a.mentioned);
    const taken = inTurns(due, this.#entries.values(), limit);
    for (const entry of taken) {
      entry.dialing = true;
      entry.tries = [...entry.tries.filter((time) => now - time < HOUR), now];
    }
    return taken;
  }

  /** Milliseconds until the next address falls due; undefined when none will. */
  nextDue(isConnected: (peer: PeerRef) => boolean, which: 'all' | 'proven' = 'all'): number | undefined {
    let next: number | undefined;
    for (const entry of this.#entries.values()) {
      if (which === 'proven' && isUnproven(entry)) continue;
      if (entry.dialing || (next !== undefined && entry.nextTry >= next)) continue;
      if (entry.peer === undefined || !isConnected(entry.peer)) next = entry.nextTry;
    }
    return next === undefined ? undefined : Math.max(0, next - this.#clock.now());
  }

  /** A member answered at this address. */
  succeeded(key: string, peer: PeerRef): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#met(entry, peer);
    entry.dialing = false;
    entry.reached = true;
  }

  /** Someone connected to us who says it can be dialled at this address. */
  met(address: PeerAddress, peer: PeerRef): void {
    if (this.add(address, 'member') === 'refused') return;
    const entry = this.#entries.get(formatHostPort({ host: normalizeHost(address.host), port: address.port }));
    if (entry === undefined) return;
    this.#met(entry, peer);
    this.#forgetUndialed(peer, entry);
  }

  failed(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.dialing = false;
    entry.failures++;
    const now = this.#clock.now();
    const delay = isUnproven(entry) ? this.#unprovenDelay(entry) : this.#delay(entry.failures);
    entry.nextTry = Math.max(now + delay, this.#allowedFrom(entry));
  }

  /** The attempt was broken off, by no fault of the address: it may be tried again at once. */
  abandoned(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.dialing = false;
    entry.nextTry = Math.max(this.#clock.now(), this.#allowedFrom(entry));
  }

  /** The address is ourselves. */
  isSelf(key: string): void {
    this.#entries.delete(key);
    this.#own.set(key, this.#clock.now() + HOUR);
  }

  /**
   * A connection to this peer ended after `lasted` ms: its addresses are tried again soon, unless it ended so early that
   * the other end seems not to want it.
   */
  lost(peer: PeerRef, lasted: number): void {
    const key = peerKey(peer);
    for (const entry of this.#entries.values()) {
      if (entry.peer === undefined || peerKey(entry.peer) !== key || entry.dialing) continue;
      entry.failures = lasted < STABLE_AFTER ? entry.failures + 1 : 0;
      entry.nextTry = this.#clock.now() + this.#delay(Math.max(1, entry.failures));
    }
  }

  /** The last connection ended: nothing waits longer than it would from now on. */
  alone(): void {
    const latest = this.#clock.now() + ALONE_DELAY;
    for (const entry of this.#entries.values())
      if (!entry.dialing && !isUnproven(entry)) entry.nextTry = Math.min(entry.nextTry, latest);
  }

  /** Forgets where a device was met. */
  forgetDevice(device: DeviceId): void {
    for (const [key, entry] of this.#entries) if (entry.peer?.device === device) this.#entries.delete(key);
  }

  /** Where this peer was met, the latest meeting first. */
  addressesOf(peer: PeerRef): AddressRecord[] {
    const key = peerKey(peer);
    return [...this.#entries.values()]
      .filter((entry) => entry.peer !== undefined && peerKey(entry.peer) === key)
      .sort((a, b) => (b.lastSuccess ?? 0) - (a.lastSuccess ?? 0));
  }

  /** Lets everything that is allowed to be dialled be dialled now. */
  hurry(): void {
    const now = this.#clock.now();
    for (const entry of this.#entries.values()) {
      if (!entry.dialing) entry.nextTry = Math.min(entry.nextTry, Math.max(now, this.#allowedFrom(entry)));
    }
  }

  /** Forgets what is too old. Call it now and then. */
  expire(): void {
    const now = this.#clock.now();
    const wall = this.#clock.wallTime();
    for (const [key, entry] of this.#entries) {
      if (entry.dialing) continue;
      const old = isKept(entry)
        ? wall - Math.max(entry.lastSuccess ?? 0, entry.added) > REMEMBERED_FOR
        : now - entry.mentioned > UNPROVEN_FOR;
      if (old) this.#entries.delete(key);
    }
  }

  /** What to keep across restarts, the latest success first. */
  remembered(): RememberedAddress[] {
    return [...this.#entries.values()]
      .filter(isKept)
      .sort((a, b) => (b.lastSuccess ?? b.added) - (a.lastSuccess ?? a.added))
      .slice(0, MAX_REMEMBERED)
      .map((entry) => ({
        host: entry.host,
        port: entry.port,
        origin: entry.origin === 'manual' ? 'manual' : 'member',
        added: entry.added,
        ...(entry.lastSuccess === undefined ? {} : { lastSuccess: entry.lastSuccess }),
        ...(entry.peer === undefined ? {} : { peer: entry.peer }),
      }));
  }

  /** Takes in what `remembered` gave in an earlier run. */
  load(addresses: readonly RememberedAddress[]): void {
    const wall = this.#clock.wallTime();
    for (const { host, port, origin, added, lastSuccess, peer } of addresses.slice(0, MAX_REMEMBERED)) {
      // A clock that was wrong must not keep an address forever.
      const met = lastSuccess === undefined ? undefined : Math.min(lastSuccess, wall);
      if (wall - (met ?? added) > REMEMBERED_FOR || this.add({ host, port }, origin) === 'refused') continue;
      const entry = this.#entries.get(formatHostPort({ host: normalizeHost(host), port }));
      if (entry === undefined) continue;
      entry.added = Math.min(added, wall);
      entry.lastSuccess = met;
      entry.peer = peer;
      // By whose word it was kept is not known any more: it is not held against it.
      entry.reached = true;
    }
  }

  /**
   * A peer listens at one port, the latest that it named, and a device has not many peers: whoever names ever other ports
   * has us neither remember nor dial them.
   */
  #forgetUndialed({ device, instance }: PeerRef, latest: Entry): void {
    const undialed = [...this.#entries.values()].filter(
      (entry) => entry.peer?.device === device && entry.origin === 'member' && !entry.reached && entry !== latest,
    );
    // The map is in the order of the last mentions.
    const excess = undialed.length + 1 - UNDIALED_PER_DEVICE;
    for (const [index, entry] of undialed.entries())
      if (!entry.dialing && (entry.peer?.instance === instance || index < excess)) this.#entries.delete(entry.key);
  }

  #isOwn(key: string): boolean {
    const until = this.#own.get(key);
    if (until !== undefined && until > this.#clock.now()) return true;
    this.#own.delete(key);
    return false;
  }

  #met(entry: Entry, peer: PeerRef): void {
    entry.lastSuccess = this.#clock.wallTime();
    entry.peer = peer;
    entry.tries = [];
    entry.mentioned = this.#clock.now();
  }

  #delay(failures: number): number {
    const step = Math.min(failures, RETRY_DELAYS.length) - 1;
    const usual = failures > PATIENT_AFTER ? PATIENT_DELAY : (RETRY_DELAYS[Math.max(0, step)] ?? PATIENT_DELAY);
    const delay = this.#isAlone() ? Math.min(usual, ALONE_DELAY) : usual;
    return delay * (1 - JITTER + 2 * JITTER * this.#random());
  }

  #unprovenDelay(entry: Entry): number {
    const delay = entry.failures < 2 ? UNPROVEN_RETRY : HOUR / triesPerHour(entry);
    return delay * (1 + JITTER * this.#random());
  }

  #hintedTry(entry: Entry, now: number): number {
    const last = entry.tries.at(-1) ?? Number.NEGATIVE_INFINITY;
    return Math.max(now, last + HINT_PAUSE, this.#allowedFrom(entry));
  }

  /** The monotone time from which the limit on unproven addresses allows a try. */
  #allowedFrom(entry: Entry): number {
    if (!isUnproven(entry)) return 0;
    const oldest = entry.tries.at(-triesPerHour(entry));
    return oldest === undefined ? 0 : oldest + HOUR;
  }

  #unprovenAt(host: string): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.host === host && !isKept(entry)) count++;
    return count;
  }

  #unprovenOf(informant: string): number {
    let count = 0;
    for (const entry of this.#entries.values())
      if (isUnproven(entry) && entry.informants.size === 1 && entry.informants.has(informant)) count++;
    return count;
  }

  #makeRoom(origin: AddressOrigin): boolean {
    if (this.#entries.size < MAX_ADDRESSES) return true;
    // The map is in the order of the last mentions.
    let worst: Entry | undefined;
    for (const entry of this.#entries.values()) {
      // An address that still counts against its tries per hour stays, or forgetting it would lift the limit.
      if (entry.dialing || isKept(entry) || entry.tries.length > 0) continue;
      worst = entry;
      break;
    }
    if (worst === undefined && rank(origin) >= rank('lan')) {
      worst = [...this.#entries.values()].find((entry) => !entry.dialing && !isKept(entry));
    }
    return worst !== undefined && this.#entries.delete(worst.key);
  }
}

/** Survives a restart. */
function isKept(entry: Entry): boolean {
  return entry.lastSuccess !== undefined || entry.origin === 'manual';
}

function noteInformant({ informants }: Entry, informant: string | undefined): void {
  if (informant !== undefined && informants.size < INFORMANTS) informants.add(informant);
}

/** In the given order, but always of those next who told us of the fewest that are being dialed; what we know ourselves is one group. */
function inTurns(due: readonly Entry[], all: Iterable<Entry>, limit: number): Entry[] {
  const queues = new Map<string, Entry[]>();
  for (const entry of due) {
    for (const name of groupsOf(entry)) {
      const queue = queues.get(name);
      if (queue === undefined) queues.set(name, [entry]);
      else queue.push(entry);
    }
  }
  const busy = new Map<string, number>();
  const note = (entry: Entry): void => {
    for (const name of groupsOf(entry)) busy.set(name, (busy.get(name) ?? 0) + 1);
  };
  for (const entry of all) if (entry.dialing) note(entry);
  const taken = new Set<Entry>();
  while (taken.size < Math.min(limit, due.length)) {
    let next: { entry: Entry; busy: number } | undefined;
    for (const [name, queue] of queues) {
      while (queue[0] !== undefined && taken.has(queue[0])) queue.shift();
      const [entry] = queue;
      const load = busy.get(name) ?? 0;
      if (entry !== undefined && (next === undefined || load < next.busy)) next = { entry, busy: load };
    }
    if (next === undefined) break;
    taken.add(next.entry);
    note(next.entry);
  }
  return [...taken];
}

function groupsOf(entry: Entry): Iterable<string> {
  return isUnproven(entry) && entry.informants.size > 0 ? entry.informants : [''];
}

function isHearsay(origin: AddressOrigin): origin is keyof typeof UNPROVEN_TRIES_PER_HOUR {
  return origin in UNPROVEN_TRIES_PER_HOUR;
}

/** Others say that a member is there, and none ever was. */
export function isUnproven({ lastSuccess, origin }: Pick<AddressRecord, 'lastSuccess' | 'origin'>): boolean {
  return lastSuccess === undefined && isHearsay(origin);
}

function triesPerHour(entry: Entry): number {
  return isHearsay(entry.origin) ? UNPROVEN_TRIES_PER_HOUR[entry.origin] : Number.POSITIVE_INFINITY;
}

function rank(origin: AddressOrigin): number {
  return ['tracker', 'pex', 'lan', 'member', 'manual'].indexOf(origin);
}

function promise(entry: Entry): number {
  return (entry.lastSuccess === undefined ? 0 : 10) + rank(entry.origin);
}
