import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import type { Bitfield } from './bitfield.ts';
import { type Info, pieceAt } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import { SuperSeeding, type Verdict } from './super-seeding.ts';
import type { UploadQueue, UploadRequest } from './upload-queue.ts';
import type { UploadLane } from './upload-scheduler.ts';

/** The uplink is the bottleneck as long as it kept somebody waiting within this time, in ms; and it is busy within this. */
const BOTTLENECK_FOR = 3_000;
const BUSY_FOR = 250;
/** A receiver that became complete is no other source yet for this long, in ms: the others are about to be complete, too. */
const NEW_SOURCE_FOR = 5_000;

/** What it needs of a session. */
export type SuperSeedingPeer = Pick<PeerSession, 'pieces' | 'peerInterested' | 'fast' | 'has' | 'send'>;

/** What a peer asked for, and what is on its way to it. */
export interface UploadClient {
  readonly queue: Pick<UploadQueue, 'length' | 'hasPiece'>;
  readonly lane: Pick<UploadLane, 'memory' | 'throttledAt' | 'wake'>;
}

export interface SuperSeedingModeOptions<Peer> {
  readonly info: Info;
  readonly have: Bitfield;
  readonly clock: Clock;
  /** The peers are members of our network: they pass on what they get, and ask others for what is rejected. */
  readonly members: boolean;
  /** The device behind a session. */
  readonly deviceOf: (session: Peer) => string;
  /** Everybody connected. */
  readonly sessions: () => Iterable<Peer>;
}

/**
 * Super-seeding (`SuperSeeding`) for as long as it is of use: while we are the only complete source, our uplink is what
 * everybody waits for, and several devices want the same. What would leave the uplink idle meanwhile is served as ever.
 */
export class SuperSeedingMode<Peer extends SuperSeedingPeer> {
  readonly #options: SuperSeedingModeOptions<Peer>;
  readonly #clients: ReadonlyMap<Peer, UploadClient>;
  /** Since when others have been seen complete, in ms. */
  readonly #completeSince = new WeakMap<Peer, number>();
  #seeding: SuperSeeding<Peer> | undefined;
  #idleWatch: Disposable | undefined;

  /** `clients`: all whom we answer. Say with `add` and `remove` who comes and goes. */
  constructor(options: SuperSeedingModeOptions<Peer>, clients: ReadonlyMap<Peer, UploadClient>) {
    this.#options = options;
    this.#clients = clients;
  }

  get active(): boolean {
    return this.#seeding !== undefined;
  }

  /** Begins or ends. Called about once a second. */
  tick(): void {
    const now = this.#options.clock.now();
    if (!this.#isOfUse(now)) this.#stop();
    else if (!this.#seeding) this.#start(now);
  }

  /** The peer asks for the first time. */
  add(session: Peer): void {
    this.#seeding?.add(session, this.#options.clock.now());
  }

  /** The peer is none of the clients any more. */
  remove(session: Peer): void {
    if (this.#clients.size === 0) this.#stop();
    this.#seeding?.remove(session);
  }

  /** The peer has the piece now. */
  onHave(session: Peer, piece: number): void {
    this.#seeding?.onHave(session, piece, this.#options.clock.now());
  }

  /** What a batch takes to the peer. */
  onServed(session: Peer, batch: readonly UploadRequest[]): void {
    if (!this.#seeding) return;
    const now = this.#options.clock.now();
    for (const { piece, length, pieces } of batch) {
      for (let index = piece; index < piece + pieces; index++) {
        const { length: pieceLength } = pieceAt(this.#options.info, index);
        this.#seeding.onServed(session, index, now, pieces > 1 ? pieceLength : length, pieceLength);
      }
    }
  }

  /** Whether what the peer gets reaches nobody else: others come first. */
  keeps(session: Peer): boolean {
    return this.#seeding?.keeps(session, this.#options.clock.now()) === true;
  }

  /** What to do with a request for so many pieces, from `piece` on. */
  verdict(session: Peer, piece: number, pieces: number): Verdict {
    const seeding = this.#seedingFor(session);
    if (!seeding) return 'serve';
    // Each piece leaves us about once, to whoever has its turn: they are to be asked for one by one.
    if (pieces > 1) return 'elsewhere';
    const { length } = pieceAt(this.#options.info, piece);
    const now = this.#options.clock.now();
    return seeding.verdict(session, piece, now, length, this.#holders(session, piece), this.#isOnItsWay);
  }

  /** Whose turn each piece is, and that runs have none (`verdict`); undefined where the peer may be served whatever it asked for. */
  turnsOf(session: Peer): ((piece: number) => boolean) | undefined {
    const seeding = this.#seedingFor(session);
    if (!seeding) return undefined;
    const now = this.#options.clock.now();
    return (piece) => {
      const { length } = pieceAt(this.#options.info, piece);
      return seeding.mayServe(session, piece, now, length, this.#isOnItsWay);
    };
  }

  /** Undefined for who cannot be told to ask elsewhere (BEP 6), and while the uplink has room: to spare it would save nothing. */
  #seedingFor(session: Peer): SuperSeeding<Peer> | undefined {
    if (!this.#seeding || !session.fast) return undefined;
    return this.#wasThrottled(this.#options.clock.now() - BUSY_FOR) ? this.#seeding : undefined;
  }

  #isOfUse(now: number): boolean {
    const { members, have, sessions, deviceOf } = this.#options;
    if (!members || !have.complete || !this.#wasThrottled(now - BOTTLENECK_FOR)) return false;
    const devices = new Set<string>();
    for (const session of sessions()) {
      if (session.pieces?.complete === true) {
        const since = this.#completeSince.get(session) ?? (this.#clients.has(session) ? now : Number.NEGATIVE_INFINITY);
        this.#completeSince.set(session, since);
        if (now - since >= NEW_SOURCE_FOR) return false;
      } else if (session.peerInterested && session.fast) devices.add(deviceOf(session));
    }
    return devices.size > 1;
  }

  #start(now: number): void {
    this.#seeding = new SuperSeeding();
    for (const session of this.#clients.keys()) this.#seeding.add(session, now);
    this.#idleWatch = this.#options.clock.setInterval(() => this.#inviteIfIdle(), BUSY_FOR);
  }

  #stop(): void {
    if (!this.#seeding) return;
    this.#invite();
    this.#seeding = undefined;
    this.#idleWatch?.dispose();
    this.#idleWatch = undefined;
  }

  #inviteIfIdle(): void {
    if (!this.#wasThrottled(this.#options.clock.now() - BUSY_FOR)) this.#invite();
  }

  /** Those that were sent elsewhere may ask us after all, and those that wait need not any more. */
  #invite(): void {
    for (const session of this.#clients.keys())
      for (const piece of this.#seeding?.invite(session) ?? []) session.send({ type: 'suggest', piece });
    for (const { queue, lane } of this.#clients.values()) if (queue.length > 0) lane.wake();
  }

  #wasThrottled(since: number): boolean {
    for (const { lane } of this.#clients.values()) if (lane.throttledAt >= since) return true;
    return false;
  }

  *#holders(except: Peer, piece: number): Generator<Peer> {
    for (const session of this.#options.sessions()) if (session !== except && session.has(piece)) yield session;
  }

  readonly #isOnItsWay = (session: Peer, piece: number): boolean => {
    const client = this.#clients.get(session);
    return client !== undefined && (client.lane.memory > 0 || client.queue.hasPiece(piece));
  };
}
