import type { Clock } from '../common/clock.ts';
import { PeerwireError } from '../common/errors.ts';
import type { ConnectionBandwidth, TransferBandwidth } from './bandwidth-manager.ts';
import { Bitfield } from './bitfield.ts';
import type { Connection } from './connection.ts';
import type { IncomingWire } from './incoming-wire.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { PeerWire, type PeerWireHandler } from './peer-wire.ts';
import { RateMeter } from './rate-meter.ts';
import { RequestQueue } from './request-queue.ts';
import type { ExtendedHandshake } from './wire/extended.ts';
import type { BlockRequest, Message } from './wire/messages.ts';

/** Requests that we accept in one peer's queue before rejecting: BEP 10 `reqq`. */
export const REQUEST_QUEUE = 2048;
/** Bytes of the largest block that we serve, and ask for, in one go: PROTOCOL.md §1. */
export const LARGEST_BLOCK = 256 * 1024;
const SERVED = { reqq: REQUEST_QUEUE, pw_block: LARGEST_BLOCK, pw_run: 1 } as const;
/** Requests outstanding to a peer that did not say its `reqq`. */
const DEFAULT_REQUEST_QUEUE = 250;

const SWARM_EXTENSIONS = { ut_metadata: 1 } as const;

/** What a swarm hears from its sessions. State on the session is already up to date when a callback runs. */
export interface SessionEvents {
  onReady(session: PeerSession): void;
  onExtendedHandshake(session: PeerSession): void;
  /** The other's pieces became known (all at once, after metadata or a bitfield). */
  onPieces(session: PeerSession): void;
  onHave(session: PeerSession, piece: number): void;
  onChoke(session: PeerSession): void;
  onUnchoke(session: PeerSession): void;
  onInterest(session: PeerSession): void;
  onRequest(session: PeerSession, request: BlockRequest): void;
  onCancel(session: PeerSession, request: BlockRequest): void;
  onReject(session: PeerSession, request: BlockRequest): void;
  onSuggest(session: PeerSession, piece: number): void;
  onHashMessage(session: PeerSession, message: Message & { type: 'hash-request' | 'hashes' | 'hash-reject' }): void;
  onMetadataMessage(session: PeerSession, payload: Buffer): void;
  onBlockStart(session: PeerSession, piece: number, begin: number, length: number): Uint8Array | undefined;
  onBlockEnd(session: PeerSession, piece: number, begin: number, length: number): void;
  onDrain(session: PeerSession): void;
  onClose(session: PeerSession, reason: PeerwireError | undefined): void;
}

export interface PeerSessionOptions {
  /** Who the peer is, for accounts and bans: stable over connections. */
  readonly source: string;
  readonly peerId: Uint8Array;
  readonly clock: Clock;
  readonly download: TransferBandwidth;
  readonly metadataSize?: number;
}

/** The protocol state of one peer in one swarm (BEP 3, 6, 9, 10, 52), and the accounts of what it sent and got. */
export class PeerSession {
  readonly source: string;
  readonly wire: PeerWire;
  readonly downloaded = new RateMeter();
  readonly uploaded = new RateMeter();
  /** Payload bytes that arrived without a request of ours. */
  unasked = 0;
  amChoking = true;
  amInterested = false;
  peerChoking = true;
  peerInterested = false;
  /** Another connection to the peer replaces this one: nothing more is to be asked here. */
  retiring = false;
  /** What we asked of it. */
  readonly requests: RequestQueue<PeerSession>;
  /** Known once both the metadata and the peer's bitfield are. */
  pieces: Bitfield | undefined;
  metadataSize: number | undefined;
  lastReceived: number;
  #requestQueue = DEFAULT_REQUEST_QUEUE;
  #largestRequest = BLOCK_SIZE;
  #largestAsked = BLOCK_SIZE;
  #announcedBlock = false;
  #announcedRuns = false;
  #fast = false;
  #ready = false;
  #announced: 'nothing' | 'all' | 'none' | Buffer = 'nothing';
  #early: number[] = [];
  #lastSent: number;
  #announcedSize: number | undefined;
  #throttledUntil = Number.NEGATIVE_INFINITY;
  /** Writes that had left when we last looked, and when that was, or nothing waited, in ms. */
  #departed = 0;
  #drainedAt: number;
  readonly #clock: Clock;
  readonly #bandwidth: ConnectionBandwidth;
  readonly #events: SessionEvents;

  constructor(
    origin: { connection: Connection; infoHash: Uint8Array } | IncomingWire,
    options: PeerSessionOptions,
    events: SessionEvents,
  ) {
    this.source = options.source;
    this.#clock = options.clock;
    this.#bandwidth = options.download.connection((bytes) => this.#onGrant(bytes));
    this.#events = events;
    this.lastReceived = options.clock.now();
    this.requests = new RequestQueue(options.clock);
    this.#lastSent = this.lastReceived;
    this.#drainedAt = this.lastReceived;
    this.#announcedSize = options.metadataSize;
    const wireOptions = {
      peerId: options.peerId,
      extensions: SWARM_EXTENSIONS,
      extended: {
        ...SERVED,
        ...(options.metadataSize === undefined ? {} : { metadata_size: options.metadataSize }),
      },
    };
    const handler = this.#handler();
    this.wire =
      'handshake' in origin
        ? PeerWire.accept(origin, wireOptions, handler)
        : PeerWire.initiate(origin.connection, origin.infoHash, wireOptions, handler);
  }

  get ready(): boolean {
    return this.#ready;
  }

  get fast(): boolean {
    return this.#fast;
  }

  /** How many requests the peer wants to have queued at most. */
  get requestQueue(): number {
    return this.#requestQueue;
  }

  /** Bytes that may be asked of it in one request. */
  get largestRequest(): number {
    return this.#largestRequest;
  }

  /** It serves runs of small pieces, and asks for them where we do: PROTOCOL.md §2. */
  get servesRuns(): boolean {
    return this.#announcedRuns && this.#announcedBlock;
  }

  /** When our own rate limit last kept us from reading, in ms: such silence is not the peer's. */
  get throttledUntil(): number {
    return this.#bandwidth.waiting ? this.#clock.now() : this.#throttledUntil;
  }

  has(piece: number): boolean {
    return this.pieces?.has(piece) === true;
  }

  send(message: Message): void {
    this.#lastSent = this.#clock.now();
    this.wire.send(message);
  }

  /** Sends messages that are encoded already; the memory may be sent to others, too. */
  sendEncoded(messages: Uint8Array): void {
    this.#lastSent = this.#clock.now();
    this.wire.sendEncoded(messages);
  }

  /** The request will not be answered; without BEP 6 there is no way to say so. */
  reject({ piece, begin, length }: BlockRequest): void {
    if (this.#fast) this.send({ type: 'reject', piece, begin, length });
  }

  /** Says what we have, first thing after the handshake (BEP 3, 6). */
  sendPieces(have: Bitfield | undefined): void {
    if (this.#fast && have?.complete === true) this.send({ type: 'have-all' });
    else if (this.#fast && (have === undefined || have.count === 0)) this.send({ type: 'have-none' });
    else if (have !== undefined && have.count > 0) this.send({ type: 'bitfield', bits: have.toBytes() });
  }

  /** Tells a peer that met us before we had the metadata how large it is. */
  announceMetadata(size: number): void {
    if (!this.#ready || this.#announcedSize === size) return;
    this.#announcedSize = size;
    this.wire.sendExtendedHandshake({ ...SERVED, metadata_size: size });
  }

  setInterested(interested: boolean): void {
    if (this.amInterested === interested) return;
    this.amInterested = interested;
    this.send({ type: interested ? 'interested' : 'not-interested' });
  }

  setChoking(choking: boolean): void {
    if (this.amChoking === choking) return;
    this.amChoking = choking;
    this.send({ type: choking ? 'choke' : 'unchoke' });
  }

  /** The metadata arrived: what the peer announced earlier can be understood now. */
  learnPieceCount(pieceCount: number): void {
    if (this.pieces !== undefined) return;
    const announced = this.#announced;
    if (announced === 'nothing' && this.#early.length === 0) {
      this.pieces = new Bitfield(pieceCount);
    } else if (typeof announced === 'string') {
      this.pieces = new Bitfield(pieceCount);
      if (announced === 'all') this.pieces.fill();
    } else {
      this.pieces = Bitfield.fromBytes(announced, pieceCount);
    }
    for (const piece of this.#early) this.pieces.add(piece);
    this.#early = [];
    this.#events.onPieces(this);
  }

  /** Sends a keep-alive when nothing was sent for a while; true when the peer has been silent for too long. */
  checkAlive(keepAlive: number, deadAfter: number): boolean {
    const now = this.#clock.now();
    if (this.#ready && now - this.#lastSent > keepAlive) this.send({ type: 'keep-alive' });
    return now - Math.max(this.lastReceived, this.throttledUntil) > deadAfter;
  }

  /** For how long it has taken nothing of what waits to be sent to it, in ms; as exact as this is asked often. */
  unreadFor(): number {
    const now = this.#clock.now();
    const { queued, departed } = this.wire;
    if (queued === 0 || departed !== this.#departed) this.#drainedAt = now;
    this.#departed = departed;
    return now - this.#drainedAt;
  }

  close(reason?: PeerwireError): void {
    this.wire.close(reason);
  }

  #handler(): PeerWireHandler {
    const events = this.#events;
    return {
      onReady: (handshake) => {
        this.#ready = true;
        this.#fast = handshake.fast;
        events.onReady(this);
      },
      onMessage: (message) => this.#onMessage(message),
      onExtendedHandshake: (handshake) => this.#onExtendedHandshake(handshake),
      onExtended: (name, payload) => {
        if (name === 'ut_metadata') events.onMetadataMessage(this, payload);
      },
      onBlockStart: (piece, begin, length) => events.onBlockStart(this, piece, begin, length),
      onBlockEnd: (piece, begin, length) => events.onBlockEnd(this, piece, begin, length),
      onDrain: () => events.onDrain(this),
      onReceived: (bytes) => this.#onReceived(bytes),
      onClose: (reason) => {
        this.#bandwidth.dispose();
        events.onClose(this, reason);
      },
    };
  }

  /** Our download limit is about what we fetch: a peer that only fetches from us is always heard. */
  #onReceived(bytes: number): number {
    this.lastReceived = this.#clock.now();
    return this.peerInterested && !this.amInterested ? bytes : this.#bandwidth.take(bytes);
  }

  #onGrant(bytes: number): void {
    if (!this.#bandwidth.waiting) this.#throttledUntil = this.#clock.now();
    this.wire.read(bytes);
  }

  #onExtendedHandshake(handshake: ExtendedHandshake): void {
    if (handshake.reqq !== undefined && handshake.reqq > 0) this.#requestQueue = handshake.reqq;
    if (handshake.metadata_size !== undefined) this.metadataSize = handshake.metadata_size;
    if (handshake.pw_run !== undefined) this.#announcedRuns = handshake.pw_run > 0;
    if (handshake.pw_block !== undefined) {
      this.#announcedBlock = true;
      this.#largestRequest = Math.min(Math.max(handshake.pw_block, BLOCK_SIZE), LARGEST_BLOCK);
      // Never less than before: what was asked for may still come.
      this.#largestAsked = Math.max(this.#largestAsked, this.#largestRequest);
      this.wire.setBlockLimit(this.#largestAsked);
    }
    this.#events.onExtendedHandshake(this);
  }

  #onMessage(message: Message): void {
    switch (message.type) {
      case 'keep-alive':
      case 'allowed-fast':
      case 'extended':
        return;
      case 'choke':
        if (this.peerChoking) return;
        this.peerChoking = true;
        this.#events.onChoke(this);
        return;
      case 'unchoke':
        if (!this.peerChoking) return;
        this.peerChoking = false;
        this.#events.onUnchoke(this);
        return;
      case 'interested':
      case 'not-interested':
        this.peerInterested = message.type === 'interested';
        this.#events.onInterest(this);
        return;
      case 'have':
        this.#onHave(message.piece);
        return;
      case 'bitfield':
        this.#onAnnounced(message.bits);
        return;
      case 'have-all':
        this.#onAnnounced('all');
        return;
      case 'have-none':
        this.#onAnnounced('none');
        return;
      case 'request':
        this.#events.onRequest(this, message);
        return;
      case 'cancel':
        this.#events.onCancel(this, message);
        return;
      case 'reject':
        this.#events.onReject(this, message);
        return;
      case 'suggest':
        this.#events.onSuggest(this, message.piece);
        return;
      case 'hash-request':
      case 'hashes':
      case 'hash-reject':
        this.#events.onHashMessage(this, message);
        return;
      default:
        message satisfies never;
    }
  }

  #onAnnounced(announced: 'all' | 'none' | Buffer): void {
    if (this.#announced !== 'nothing') throw new PeerwireError('protocol', 'The peer announced its pieces twice.');
    this.#announced = announced;
    if (this.pieces === undefined) return;
    if (this.pieces.count > 0) throw new PeerwireError('protocol', 'The peer announced its pieces too late.');
    const length = this.pieces.length;
    this.pieces = undefined;
    this.learnPieceCount(length);
  }

  #onHave(piece: number): void {
    if (this.pieces === undefined) {
      if (this.#early.length >= 1_000_000) throw new PeerwireError('protocol', 'Too many early have messages.');
      this.#early.push(piece);
      return;
    }
    if (piece >= this.pieces.length) throw new PeerwireError('protocol', `There is no piece ${piece}.`);
    if (this.pieces.add(piece)) this.#events.onHave(this, piece);
  }
}
