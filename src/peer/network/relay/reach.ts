import { withTimeLimit } from '../../../common/abort.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Disposable } from '../../../common/disposable.ts';
import { errorMessage, PeerwireError } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log.ts';
import { Throttle } from '../../../common/throttle.ts';
import { formatHostPort, mayDial, normalizeHost } from '../addresses.ts';
import { type MemberChannel, type PeerRef, peerKey } from '../channel.ts';
import type { DialTarget } from '../dialer.ts';
import { CallLimits } from './call-limits.ts';
import type { RelayClient } from './relay-client.ts';
import type { PeerHere } from './relay-messages.ts';

/** Milliseconds before a relay is asked: dialing, one way or the other, is given so long if either listens. */
const GRACE = 2_500;
/** Only one should ask: the larger peer waits so much longer. */
const TURN = 2_500;
/** Milliseconds between two looks: members may tell of others as often as they like. */
const LOOK_PAUSE = 50;
/** Milliseconds between two calls to be dialled: while not connected, and while a relay does. */
const CALL_AGAIN = 60_000;
const CALL_AGAIN_RELAYED = 300_000;
/** … and after the first call when our network changed: who is called may have been too busy to dial in time. */
const CALL_AGAIN_SOON = 10_000;
/** Milliseconds until a relay is asked again after so many failures, the last for all that follow. */
const RETRY = [3_000, 10_000, 30_000, 60_000, 300_000];
/** Control connections by relay at most, and those being opened at once. */
const MOST_RELAYED = 16;
const MOST_OPENING = 4;
/** Milliseconds for dialing who called. */
const DIAL_TIMEOUT = 4_000;
/** Calls that are answered at once. */
const MOST_ANSWERS = 8;

export interface ReachOptions {
  readonly self: PeerRef;
  readonly client: Pick<RelayClient, 'known' | 'call' | 'canReach' | 'open'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly listenPort: () => number | undefined;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly isConnected: (peer: PeerRef) => boolean;
  /** … and nobody relays the connection. */
  readonly isDirect: (peer: PeerRef) => boolean;
  readonly isRevoked: (peer: PeerRef) => boolean;
  /** Its catalogue is here: there is such a peer, whatever others tell. */
  readonly isKnown: (peer: PeerRef) => boolean;
  /** Connections that are relayed. */
  readonly relayed: () => number;
  readonly hasRoom: () => boolean;
  /** Receives, and owns, a channel for a control connection. `dialed`: `host:port`, if it was dialled. */
  readonly onChannel: (channel: MemberChannel, dialed?: string) => void;
}

interface Candidate {
  readonly peer: PeerHere;
  /** Monotone times from which a relay may be asked, and the peer called. */
  relayFrom: number;
  callFrom: number;
  /** Our network changed, and it was not called since. */
  isNew: boolean;
  failures: number;
  opening: boolean;
}

/**
 * Connects to the peers that others told of and that cannot be dialled: has them called to dial us, then asks a relay; and
 * calls now and then as long as a relay is in use.
 */
export class Reach implements Disposable {
  readonly #options: ReachOptions;
  readonly #candidates = new Map<string, Candidate>();
  readonly #abort = new AbortController();
  readonly #calls: CallLimits;
  #answering = 0;
  #opening = 0;
  #timer: Disposable | undefined;
  #queued = false;
  readonly #looks: Throttle;

  constructor(options: ReachOptions) {
    this.#options = options;
    this.#calls = new CallLimits(options.clock);
    this.#looks = new Throttle(options.clock, LOOK_PAUSE, () => this.#look());
  }

  /** Looks soon what is to be done: who is known, or connected, changed. */
  poke(): void {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      this.#looks.run();
    });
  }

  /** Tries everything again at once: our network changed. */
  retryNow(): void {
    for (const candidate of this.#candidates.values()) {
      candidate.callFrom = 0;
      candidate.isNew = true;
      candidate.failures = 0;
      candidate.relayFrom = Math.min(candidate.relayFrom, this.#options.clock.now() + GRACE);
    }
    this.poke();
  }

  /** A member at the IP address `informant`, the device `by`, passed on that the peer wants to be dialled there. */
  async onCalled(
    peer: PeerRef,
    address: { host: string; port: number },
    informant: string,
    by: string = informant,
  ): Promise<void> {
    const { self, dial, clock, logger, isDirect, isRevoked, hasRoom, onChannel } = this.#options;
    if (peerKey(peer) === peerKey(self) || isDirect(peer) || isRevoked(peer) || !hasRoom()) return;
    // What a member says about another is no better than peer exchange.
    if (!mayDial(address, 'pex', informant)) return;
    const target = { host: normalizeHost(address.host), port: address.port };
    if (this.#answering >= MOST_ANSWERS || !this.#calls.mayAnswer(peer.device, by) || !this.#calls.tryTake(target))
      return;
    this.#answering++;
    try {
      const limit = { clock, limit: DIAL_TIMEOUT, signal: this.#abort.signal };
      const channel = await withTimeLimit(limit, (signal) => dial({ ...address, expectDevice: peer.device, signal }));
      this.#calls.reached(target);
      if (channel.instance !== peer.instance || isDirect(peer) || this.#abort.signal.aborted) channel.close();
      else onChannel(channel, formatHostPort(address));
    } catch (error) {
      logger.debug(`${peerKey(peer)} called and cannot be dialled: ${errorMessage(error)}`);
    } finally {
      this.#answering--;
    }
  }

  dispose(): void {
    this.#abort.abort();
    this.#timer?.dispose();
    this.#looks.dispose();
  }

  #look(): void {
    if (this.#abort.signal.aborted) return;
    this.#timer?.dispose();
    this.#timer = undefined;
    const { clock } = this.#options;
    this.#refresh();
    let next = Number.POSITIVE_INFINITY;
    for (const candidate of this.#candidates.values()) next = Math.min(next, this.#attend(candidate));
    const wait = Math.max(next - clock.now(), 10);
    if (Number.isFinite(wait)) this.#timer = clock.setTimeout(() => this.#look(), wait);
  }

  /** Those that are told of and not connected directly are candidates. */
  #refresh(): void {
    const { self, client, clock, isDirect, isRevoked, isKnown, listenPort } = this.#options;
    const own = peerKey(self);
    const known = client.known();
    for (const [key, { peer, opening }] of this.#candidates)
      if (!opening && (!known.has(key) || isDirect(peer))) this.#candidates.delete(key);
    for (const [key, peer] of known) {
      if (key === own || this.#candidates.has(key) || isDirect(peer) || isRevoked(peer) || !isKnown(peer)) continue;
      const now = clock.now();
      const grace = peer.listens || listenPort() !== undefined ? GRACE : 0;
      const relayFrom = now + grace + (own < key ? 0 : TURN);
      this.#candidates.set(key, { peer, relayFrom, callFrom: now, isNew: false, failures: 0, opening: false });
    }
  }

  /** Returns the monotone time at which there is something to do for it. */
  #attend(candidate: Candidate): number {
    const { client, clock, listenPort, isConnected, isDirect, relayed, hasRoom } = this.#options;
    const { peer } = candidate;
    if (isDirect(peer)) return Number.POSITIVE_INFINITY;
    const now = clock.now();
    const connected = isConnected(peer);
    let next = Number.POSITIVE_INFINITY;
    if (listenPort() !== undefined) {
      if (candidate.callFrom <= now) {
        client.call(peer);
        const usual = connected ? CALL_AGAIN_RELAYED : CALL_AGAIN;
        candidate.callFrom = now + (candidate.isNew ? CALL_AGAIN_SOON : usual);
        candidate.isNew = false;
      }
      next = candidate.callFrom;
    }
    if (connected || candidate.opening || !client.canReach(peer)) return next;
    if (!hasRoom() || relayed() + this.#opening >= MOST_RELAYED || this.#opening >= MOST_OPENING) return next;
    if (candidate.relayFrom > now) return Math.min(next, candidate.relayFrom);
    // Reports by itself.
    void this.#open(candidate);
    return next;
  }

  async #open(candidate: Candidate): Promise<void> {
    const { client, clock, isConnected, onChannel } = this.#options;
    const { peer } = candidate;
    candidate.opening = true;
    this.#opening++;
    try {
      const channel = await client.open(peer, this.#abort.signal);
      if (this.#abort.signal.aborted || isConnected(peer))
        channel.close(new PeerwireError('exists', 'The peer is connected already.'));
      else onChannel(channel);
      candidate.failures = 0;
    } catch {
      // `open` has logged why.
      candidate.failures++;
    }
    // Should the connection end, the relay may have: another is asked soon.
    candidate.relayFrom = clock.now() + (RETRY[Math.min(candidate.failures, RETRY.length) - 1] ?? 500);
    candidate.opening = false;
    this.#opening--;
    this.poke();
  }
}
