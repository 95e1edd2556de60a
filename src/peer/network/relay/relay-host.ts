import { randomBytes } from 'node:crypto';
import type { IncomingWire } from '../../../bittorrent/incoming-wire.ts';
import { sha256 } from '../../../bittorrent/merkle.ts';
import { RateLimiter } from '../../../bittorrent/rate-limiter.ts';
import { encodeHandshake } from '../../../bittorrent/wire/handshake.ts';
import type { Clock } from '../../../common/clock.ts';
import { type Disposable, DisposableList } from '../../../common/disposable.ts';
import { PeerwireError } from '../../../common/errors.ts';
import type { DeviceId, NetworkId } from '../../../common/ids.ts';
import type { Logger } from '../../../common/log.ts';
import { type MemberChannel, type PeerRef, peerKey } from '../channel.ts';
import { givesWay } from './gives-way.ts';
import { TOKEN_SIZE } from './relay-messages.ts';
import { Splice } from './splice.ts';

export interface RelayLimits {
  /** Connections that are relayed at once: in all (default 128), of one device (32), between two devices (16). */
  readonly sessions: number;
  readonly sessionsPerDevice: number;
  readonly sessionsPerPair: number;
  /** Bytes per second of all that is relayed (default 32 MiB), and at most half of what the user lets be sent. */
  readonly rate: number;
  /** Milliseconds until both ends must have come (default 15,000), and without a byte (default 180,000). */
  readonly patience: number;
  readonly idle: number;
}

const DEFAULT_LIMITS: RelayLimits = {
  sessions: 128,
  sessionsPerDevice: 32,
  sessionsPerPair: 16,
  rate: 32 * 1024 * 1024,
  patience: 15_000,
  idle: 180_000,
};

export interface RelayHostOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of everything that this peer sends. */
  readonly upload: RateLimiter;
  readonly limits?: Partial<RelayLimits>;
  /** For tests: sees what passes, `side` 0 being who asked, and in which session, counted from 0. */
  readonly tap?: (chunk: Uint8Array, side: 0 | 1, session: number) => void;
}

interface Session {
  readonly network: NetworkId;
  /** Who asked, and whom it wants. */
  readonly peers: readonly [PeerRef, PeerRef];
  /** Network, and who invited who asked, from the creator down to itself. */
  readonly chain: readonly string[];
  readonly infoHashes: readonly [Buffer, Buffer];
  readonly came: [MemberChannel | undefined, MemberChannel | undefined];
  readonly deadline: Disposable;
  splice: Splice | undefined;
}

/** What a connection to the relay carries in its BitTorrent handshake. */
export function relayInfoHash(network: NetworkId, token: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.from('peerwire relay'), Buffer.from(network, 'hex'), token])).subarray(0, 20);
}

/**
 * Relays connections between members, for all networks of this peer: both ends dial us and name a token that only they were
 * given; what they say to each other is TLS between them. It dials nobody.
 */
export class RelayHost implements Disposable {
  readonly #options: RelayHostOptions;
  readonly #limits: RelayLimits;
  readonly #limiter: RateLimiter;
  readonly #sessions = new Set<Session>();
  /** By the infohash of the end that has yet to come. */
  readonly #awaited = new Map<string, { session: Session; side: 0 | 1 }>();
  readonly #owned = new DisposableList();
  #joined = 0;

  constructor(options: RelayHostOptions) {
    this.#options = options;
    const { clock, upload } = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#limiter = new RateLimiter(clock, this.#rate, upload);
    this.#owned.add(upload.onChange(() => this.#limiter.setRate(this.#rate)));
    this.#owned.add(clock.setInterval(() => this.#sweep(), this.#limits.idle / 6));
  }

  /** Percent of what it would carry. */
  get load(): number {
    return Math.min(100, Math.ceil((100 * this.#sessions.size) / this.#limits.sessions));
  }

  /** Connections that are relayed, or about to be. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /**
   * The tokens of both ends, who have to come soon; undefined when there is no room. `inviters`: of who asks, from the creator
   * down: who asked for the most, with all whom it invited, gives way to who has less.
   */
  reserve(
    network: NetworkId,
    from: PeerRef,
    to: PeerRef,
    inviters: readonly DeviceId[] = [],
  ): readonly [Buffer, Buffer] | undefined {
    const chain = [network, ...inviters, from.device];
    if (this.#owned.disposed || !this.#makeRoom(from.device, to.device, chain)) return undefined;
    const tokens = [randomBytes(TOKEN_SIZE), randomBytes(TOKEN_SIZE)] as const;
    const session: Session = {
      network,
      peers: [from, to],
      chain,
      infoHashes: [relayInfoHash(network, tokens[0]), relayInfoHash(network, tokens[1])],
      came: [undefined, undefined],
      deadline: this.#options.clock.setTimeout(() => this.#end(session), this.#limits.patience),
      splice: undefined,
    };
    this.#sessions.add(session);
    for (const side of [0, 1] as const) this.#awaited.set(session.infoHashes[side].toString('hex'), { session, side });
    return tokens;
  }

  /** Takes over a channel whose handshake names a token that was given to its peer. False: it does not. */
  accept(channel: MemberChannel, incoming: IncomingWire): boolean {
    const key = incoming.handshake.infoHash.toString('hex');
    const awaited = this.#awaited.get(key);
    if (!awaited) return false;
    const { session, side } = awaited;
    const isExpected = channel.network === session.network && peerKey(channel) === peerKey(session.peers[side]);
    // A token that leaked is of no use to others, nor a relay behind a relay.
    if (!isExpected || channel.relay !== undefined || incoming.rest.length > 0) return false;
    this.#awaited.delete(key);
    session.came[side] = channel;
    const [one, two] = session.came;
    if (one && two) this.#join(session, [one, two]);
    else
      channel.start({
        onData: () => this.#end(session),
        onDrain() {},
        onClose: () => this.#end(session),
      });
    return true;
  }

  /** Ends what is relayed in a network, or only for one device: it was removed, or the network left. */
  drop(network: NetworkId, device?: DeviceId): void {
    for (const session of this.#sessions) {
      const concerns = device === undefined || session.peers.some((peer) => peer.device === device);
      if (session.network === network && concerns) this.#end(session);
    }
  }

  dispose(): void {
    this.#owned.dispose();
    for (const session of this.#sessions) this.#end(session);
  }

  #join(session: Session, ends: readonly [MemberChannel, MemberChannel]): void {
    const { clock, logger, tap } = this.#options;
    session.deadline.dispose();
    // The answer says that both are there: TLS begins.
    for (const side of [0, 1] as const) {
      const infoHash = session.infoHashes[side];
      ends[side].write([encodeHandshake({ infoHash, peerId: Buffer.alloc(20) })]);
    }
    logger.debug(`Relaying between ${ends.map(peerKey).join(' and ')}`);
    const number = this.#joined++;
    session.splice = new Splice(ends, {
      ...{ clock, limiter: this.#limiter, onEnd: () => this.#end(session) },
      tap: tap && ((chunk, side) => tap(chunk, side, number)),
    });
  }

  #end(session: Session): void {
    if (!this.#sessions.delete(session)) return;
    session.deadline.dispose();
    for (const infoHash of session.infoHashes) this.#awaited.delete(infoHash.toString('hex'));
    const reason = new PeerwireError('closed', 'The relayed connection ended.');
    if (session.splice) session.splice.close(reason);
    else for (const channel of session.came) channel?.close(reason);
  }

  #sweep(): void {
    const until = this.#options.clock.now() - this.#limits.idle;
    for (const session of this.#sessions) if (session.splice && session.splice.lastActive < until) this.#end(session);
  }

  /** False: there is none, and nobody has to give way. */
  #makeRoom(from: DeviceId, to: DeviceId, chain: readonly string[]): boolean {
    const { sessions, sessionsPerDevice, sessionsPerPair } = this.#limits;
    const of = (...devices: DeviceId[]): Session[] =>
      [...this.#sessions].filter(({ peers }) => devices.every((one) => peers.some(({ device }) => device === one)));
    // Otherwise one member could use up what another may have.
    if (of(from, to).length >= sessionsPerPair) return false;
    const leaving = new Set<Session>();
    for (const [taken, most] of [
      [of(from), sessionsPerDevice],
      [of(to), sessionsPerDevice],
      [of(), sessions],
    ] as const) {
      const staying = taken.filter((session) => !leaving.has(session));
      if (staying.length < most) continue;
      const first = givesWay(staying, chain, isOfLessUse);
      if (!first) return false;
      leaving.add(first);
    }
    for (const session of leaving) this.#end(session);
    return true;
  }

  /** At most half of the user's limit: what is relayed does not starve what this peer sends itself. */
  get #rate(): number {
    const own = this.#options.upload.rate;
    return own === 0 ? this.#limits.rate : Math.max(1, Math.min(this.#limits.rate, Math.floor(own / 2)));
  }
}

/** What did not begin yet, then what was silent for longer. */
function isOfLessUse(a: Session, b: Session): boolean {
  return (a.splice?.lastActive ?? Number.NEGATIVE_INFINITY) < (b.splice?.lastActive ?? Number.NEGATIVE_INFINITY);
}
