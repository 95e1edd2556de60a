import type { PeerAddress } from '../../bittorrent/compact-address.ts';
import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorMessage } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { AnnounceEvent, AnnounceRequest, AnnounceResult } from '../../transport/tracker-client.ts';
import { TrackerRefusal, trackerRemedy } from '../../transport/tracker-error.ts';
import { formatHostPort } from './addresses.ts';

/** Milliseconds between announces, whatever the tracker wishes. */
export const MIN_INTERVAL = 30_000;
export const MAX_INTERVAL = 30 * 60 * 1000;
/** While nobody is connected: milliseconds between the first announces, then every MIN_INTERVAL for this long. */
const EARLY = [2000, 5000, 15_000, 30_000];
const EAGER_FOR = 5 * 60 * 1000;
/** … and after that, unless the tracker forbids it: nobody may be able to dial us, so that we have to hear who came. */
const ALONE_INTERVAL = 45_000;
/**
 * Announces sooner than a tracker's `min interval`: so many within so many milliseconds. Who just came, or whose network changed,
 * must be found soon; after that trackers are obeyed.
 */
const MAX_HURRIED = 8;
const HURRIED_WITHIN = 10 * 60 * 1000;
/** After failures: milliseconds, doubling. */
const FIRST_RETRY = 2000;
const MAX_RETRY = 5 * 60 * 1000;
/** Milliseconds between two announces to one tracker, however urgent. */
const PAUSE = 1500;
/** Milliseconds for saying good-bye. */
const STOP_TIMEOUT = 1000;
const NUM_WANT = 100;
/** More trackers than this are not asked. */
const MAX_TRACKERS = 16;

export interface TrackerAnnouncerOptions {
  readonly trackers: () => readonly string[];
  /** Infohashes (20 bytes) to announce under at this wall time. */
  readonly infoHashes: (now: number) => readonly Buffer[];
  /** 20 bytes. */
  readonly peerId: Uint8Array;
  readonly port: () => number | undefined;
  /** Nobody is connected: ask more often. */
  readonly lonely: () => boolean;
  readonly announce: (request: AnnounceRequest) => Promise<AnnounceResult>;
  /** `tracker`: host name of the tracker that said so. `isNew`: it did not list the address in its last answer. */
  readonly onPeers: (peers: readonly PeerAddress[], tracker: string, isNew: (peer: PeerAddress) => boolean) => void;
  /** What a tracker wants its users to know, in its own words; once. */
  readonly onWarning: (tracker: string, text: string) => void;
  readonly clock: Clock;
}

export interface TrackerStatus {
  readonly url: string;
  /** Undefined until it has answered or failed once. */
  readonly ok: boolean | undefined;
  /** What went wrong last. */
  readonly problem?: string;
  /** What to do about it, where that is plain; `problem` may end with it. */
  readonly remedy?: string;
  /** Milliseconds that its last answer took. */
  readonly delay?: number;
  /** By how many ms its clock is ahead of ours, where it tells the time. */
  readonly ahead?: number;
  /** The address at which it sees this peer, where it says so (BEP 24). */
  readonly seenAs?: string;
}

/** What a tracker knows of us under one infohash. */
interface Known {
  /** Addresses in its last answer. */
  readonly listed: ReadonlySet<string>;
  /** To be said again, also when leaving. */
  readonly trackerId: Uint8Array | undefined;
}

interface TrackerState {
  readonly url: string;
  ok: boolean | undefined;
  problem: string | undefined;
  remedy: string | undefined;
  delay: number | undefined;
  ahead: number | undefined;
  seenAs: string | undefined;
  refused: boolean;
  /** What it said last, of those that are for people. */
  warning: string | undefined;
  /** Milliseconds that it demands between announces. */
  minInterval: number;
  /** When it was asked sooner than that. */
  hurried: number[];
  /** It refused when it was: not again. */
  patient: boolean;
  failures: number;
  /** Announces that succeeded since anyone was connected. */
  asked: number;
  eagerUntil: number;
  last: number;
  timer: Disposable | undefined;
  running: AbortController | undefined;
  /** By hex of the infohashes under which it knows us. */
  readonly known: Map<string, Known>;
}

/**
 * Announces this peer to the trackers of a network. Members may reach different ones, so all of them are asked, not
 * only the first that answers (unlike BEP 12); their order decides whose problem is told first.
 */
export class TrackerAnnouncer implements Disposable {
  readonly #options: TrackerAnnouncerOptions;
  readonly #stateChanged = new Emitter<void>();
  readonly onStateChanged: Event<void> = this.#stateChanged.event;
  #trackers: TrackerState[] = [];
  #started = false;

  constructor(options: TrackerAnnouncerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#started = true;
    this.retryNow();
  }

  /** Takes over a changed list of trackers, tells those that are gone from it that we leave, and asks all others as soon as is polite. */
  retryNow(): void {
    if (!this.#started) return;
    const urls = [...new Set(this.#options.trackers())].slice(0, MAX_TRACKERS);
    const left = this.#trackers.filter(({ url }) => !urls.includes(url));
    for (const state of left) this.#end(state);
    void this.#sayGoodbye(left);
    this.#trackers = urls.map((url) => this.#trackers.find((state) => state.url === url) ?? newState(url));
    for (const state of this.#trackers) {
      state.asked = 0;
      state.failures = 0;
      state.eagerUntil = this.#options.clock.now() + EAGER_FOR;
      if (state.running === undefined) this.#schedule(state, 0);
    }
    this.#stateChanged.fire();
  }

  status(): readonly TrackerStatus[] {
    return this.#trackers.map(({ url, ok, problem, remedy, delay, ahead, seenAs }) => ({
      ...{ url, ok },
      ...(seenAs === undefined ? {} : { seenAs }),
      ...(problem === undefined ? {} : { problem }),
      ...(remedy === undefined ? {} : { remedy }),
      ...(delay === undefined ? {} : { delay }),
      ...(ahead === undefined ? {} : { ahead }),
    }));
  }

  /** What is wrong with the first tracker that failed last time; undefined when one answered or none was asked yet. */
  get problem(): string | undefined {
    if (this.#trackers.some((state) => state.ok === true)) return undefined;
    return this.#trackers.find((state) => state.ok === false)?.problem;
  }

  /** Every tracker failed. */
  get failing(): boolean {
    return this.#trackers.length > 0 && this.#trackers.every((state) => state.ok === false);
  }

  /** Tells the trackers that this peer leaves. Takes a second at most, and never rejects. */
  async stop(): Promise<void> {
    if (!this.#started) return;
    const trackers = this.#trackers;
    this.dispose();
    await this.#sayGoodbye(trackers);
  }

  /** Never rejects. */
  async #sayGoodbye(trackers: readonly TrackerState[]): Promise<void> {
    const { announce, peerId, port, clock } = this.#options;
    const known = trackers.flatMap(({ url, known }) =>
      [...known].map(([hex, { trackerId }]) => ({ url, hex, ...(trackerId && { trackerId }) })),
    );
    if (known.length === 0) return;
    const abort = new AbortController();
    const timer = clock.setTimeout(() => abort.abort(), STOP_TIMEOUT);
    await Promise.allSettled(
      known.map(({ hex, ...rest }) =>
        announce({
          ...rest,
          infoHash20: Buffer.from(hex, 'hex'),
          peerId20: peerId,
          port: port() ?? 0,
          event: 'stopped',
          left: 1,
          numWant: 0,
          signal: abort.signal,
          timeout: STOP_TIMEOUT,
        }),
      ),
    );
    timer.dispose();
  }

  /** Ends without a word. */
  dispose(): void {
    this.#started = false;
    for (const state of this.#trackers) this.#end(state);
    this.#trackers = [];
    this.#stateChanged.dispose();
  }

  #end(state: TrackerState): void {
    state.timer?.dispose();
    state.running?.abort();
  }

  #schedule(state: TrackerState, delay: number): void {
    state.timer?.dispose();
    const { clock } = this.#options;
    const now = clock.now();
    const recent = state.hurried.filter((time) => now - time < HURRIED_WITHIN);
    const pause = state.patient || recent.length >= MAX_HURRIED ? state.minInterval : 0;
    const wait = Math.max(delay, state.last + Math.max(pause, PAUSE) - now);
    state.timer = clock.setTimeout(
      () => {
        state.timer = undefined;
        this.#announce(state).catch(() => {}); // Reports by itself.
      },
      Math.max(0, wait),
    );
  }

  async #announce(state: TrackerState): Promise<void> {
    const { clock, infoHashes } = this.#options;
    const abort = new AbortController();
    state.running = abort;
    const now = clock.now();
    const hurried = now - state.last < state.minInterval;
    if (hurried) state.hurried = [...state.hurried, now].slice(-MAX_HURRIED);
    state.last = now;
    const hashes = infoHashes(clock.wallTime());
    const current = new Set(hashes.map((hash) => hash.toString('hex')));
    // Of weeks that are over it forgets by itself.
    for (const hex of state.known.keys()) if (!current.has(hex)) state.known.delete(hex);
    const results = await Promise.allSettled(hashes.map((hash) => this.#announceOne(state, hash, abort.signal)));
    if (state.running !== abort || abort.signal.aborted) return;
    state.running = undefined;
    const answers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failure = results.find((result) => result.status === 'rejected');
    const before = `${state.ok} ${state.problem}`;
    if (answers.length > 0 || failure === undefined) {
      state.ok = true;
      state.refused = false;
      state.remedy = undefined;
      state.failures = 0;
      state.minInterval = Math.min(MAX_INTERVAL, Math.max(0, ...answers.map(({ minInterval = 0 }) => minInterval)));
      const warning = answers.find((answer) => answer.warning !== undefined)?.warning;
      state.problem = warning === undefined ? undefined : `${hostOf(state.url)}: ${warning}`;
      if (warning !== undefined && warning !== state.warning) this.#options.onWarning(hostOf(state.url), warning);
      state.warning = warning ?? state.warning;
      this.#schedule(state, this.#pause(state, answers));
    } else {
      state.ok = false;
      state.refused = failure.reason instanceof TrackerRefusal;
      state.remedy = trackerRemedy(failure.reason);
      state.failures++;
      state.problem = `${hostOf(state.url)}: ${errorMessage(failure.reason)}`;
      const { retryIn } = failure.reason instanceof TrackerRefusal ? failure.reason : {};
      if (state.refused && hurried) state.patient = true;
      const most = this.#options.lonely() && !state.refused ? ALONE_INTERVAL : MAX_RETRY;
      const delay = retryIn ?? Math.min(most, FIRST_RETRY * 2 ** (state.failures - 1));
      // Told never to come back (BEP 31), it does so only when the network, the list of trackers or the user asks for it.
      if (Number.isFinite(delay)) this.#schedule(state, delay);
    }
    if (before !== `${state.ok} ${state.problem}`) this.#stateChanged.fire();
  }

  async #announceOne(state: TrackerState, hash: Buffer, signal: AbortSignal): Promise<AnnounceResult> {
    const { announce, peerId, port, onPeers, clock } = this.#options;
    const hex = hash.toString('hex');
    const before = state.known.get(hex);
    const event: { event?: AnnounceEvent } = before ? {} : { event: 'started' };
    const asked = clock.now();
    const result = await announce({
      url: state.url,
      infoHash20: hash,
      peerId20: peerId,
      port: port() ?? 0,
      // Everyone is a leecher here: trackers do not name seeds to seeds.
      left: 1,
      numWant: NUM_WANT,
      signal,
      ...event,
      ...(before?.trackerId && { trackerId: before.trackerId }),
    });
    if (signal.aborted) return result;
    state.delay = clock.now() - asked;
    state.ahead = result.date === undefined ? undefined : result.date - clock.wallTime();
    state.seenAs = result.externalAddress ?? state.seenAs;
    // BEP 3: one that was told holds until another is.
    const trackerId = result.trackerId ?? before?.trackerId;
    state.known.set(hex, { listed: new Set(result.peers.map(formatHostPort)), trackerId });
    onPeers(result.peers, hostOf(state.url), (peer) => before?.listed.has(formatHostPort(peer)) !== true);
    return result;
  }

  #pause(state: TrackerState, answers: readonly AnnounceResult[]): number {
    const { lonely, clock } = this.#options;
    const polite = (pause: number): number => Math.min(Math.max(pause, state.minInterval), MAX_INTERVAL);
    if (!lonely()) {
      state.asked = 0;
      state.eagerUntil = clock.now() + EAGER_FOR;
      return polite(Math.max(...answers.map(({ interval }) => interval), MIN_INTERVAL));
    }
    const early = EARLY[state.asked++];
    if (early !== undefined) return early;
    // BEP 3: peers may ask before it is time if they need more peers; how often at most, many trackers say.
    return polite(clock.now() < state.eagerUntil ? MIN_INTERVAL : ALONE_INTERVAL);
  }
}

function newState(url: string): TrackerState {
  return {
    url,
    ok: undefined,
    problem: undefined,
    remedy: undefined,
    delay: undefined,
    ahead: undefined,
    seenAs: undefined,
    refused: false,
    warning: undefined,
    minInterval: 0,
    hurried: [],
    patient: false,
    failures: 0,
    asked: 0,
    eagerUntil: 0,
    last: Number.NEGATIVE_INFINITY,
    timer: undefined,
    running: undefined,
    known: new Map(),
  };
}

/** Host name of a tracker, without brackets; the URL itself when it is none. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replaceAll(/[[\]]/g, '') : url;
}
