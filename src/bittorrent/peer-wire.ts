import type { Disposable } from '../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { Connection, ConnectionSink } from './connection.ts';
import { ExtensionIds } from './extension-ids.ts';
import type { IncomingWire } from './incoming-wire.ts';
import { Watermark } from './watermark.ts';
import { WireDecoder } from './wire/decoder.ts';
import { decodeExtendedHandshake, type ExtendedHandshake, encodeExtendedHandshake } from './wire/extended.ts';
import { decodeHandshake, encodeHandshake, HANDSHAKE_SIZE, type Handshake } from './wire/handshake.ts';
import { encodeMessage, type Message } from './wire/messages.ts';
import { WireOutbox } from './wire-outbox.ts';

/** BEP 10: message id 0 of the extension protocol is its handshake. */
const EXTENDED_HANDSHAKE_ID = 0;
/** Bytes that wait to be sent beyond which we take no further requests: a peer that asks and never reads is not served. */
const MOST_QUEUED = 2 * 1024 * 1024;
/** The same for answers that are much larger than the question: hashes, metadata. */
const MOST_ANSWERS = 4 * 1024 * 1024;

export interface PeerWireOptions {
  /** 20 bytes naming this running peer in BitTorrent handshakes. */
  readonly peerId: Uint8Array;
  /** Extension messages that we understand: name → the id (1–255) under which others send them to us. */
  readonly extensions: Readonly<Record<string, number>>;
  /** Further fields of our extended handshake (BEP 10). */
  readonly extended?: Omit<ExtendedHandshake, 'm'>;
  /** Largest message other than a block, in bytes; beyond it the connection is closed. */
  readonly messageLimit?: number;
}

/** What one swarm or control connection does with what arrives. Callbacks never run before the wire is constructed. */
export interface PeerWireHandler {
  /** The other's BitTorrent handshake arrived and matches; messages may be sent from now on. */
  onReady(handshake: Handshake): void;
  onMessage(message: Message): void;
  onExtendedHandshake(handshake: ExtendedHandshake): void;
  /** An extension message that we announced, by its name. */
  onExtended(name: string, payload: Buffer): void;
  /** Where the bytes of an incoming block go; undefined drops them. */
  onBlockStart(piece: number, begin: number, length: number): Uint8Array | undefined;
  onBlockEnd(piece: number, begin: number, length: number): void;
  /** Every written byte was handed to the operating system. */
  onDrain(): void;
  /** Bytes arrived: how many of them may be read now. The rest waits, unread, until `PeerWire.read` is called. */
  onReceived?(bytes: number): number;
  /** Exactly once. */
  onClose(reason: PeerwireError | undefined): void;
}

interface AwaitedHandshake {
  /** 20 bytes that it must name. */
  readonly infoHash: Uint8Array;
  readonly received: Buffer;
}

/**
 * The BitTorrent peer protocol over one connection: both handshakes, then messages. It knows nothing of pieces or
 * networks; a swarm and the control connection of a network are its two users.
 */
export class PeerWire implements Disposable {
  readonly initiator: boolean;
  readonly #connection: Connection;
  readonly #options: PeerWireOptions;
  readonly #handler: PeerWireHandler;
  readonly #decoder: WireDecoder;
  readonly #extensions: ExtensionIds;
  readonly #outbox: WireOutbox;
  /** Until the handshake of whom we dialled is whole. */
  #awaited: AwaitedHandshake | undefined;
  #remote: Handshake | undefined;
  /** Received and not yet to be read, by a rate limit. */
  #held: Buffer | undefined;
  /** The owner wants nothing read. */
  #paused = false;
  readonly #flood = new Watermark(MOST_QUEUED);
  #closed = false;

  /** Opens the protocol on a connection that we dialled. `infoHash`: 20 bytes. */
  static initiate(
    connection: Connection,
    infoHash: Uint8Array,
    options: PeerWireOptions,
    handler: PeerWireHandler,
  ): PeerWire {
    const wire = new PeerWire(connection, true, options, handler);
    wire.#awaited = { infoHash, received: Buffer.alloc(0) };
    wire.#sendHandshake(infoHash);
    wire.#start();
    return wire;
  }

  /** Answers a connection whose handshake was read by `readHandshake`. `onReady` follows in a microtask. */
  static accept(incoming: IncomingWire, options: PeerWireOptions, handler: PeerWireHandler): PeerWire {
    const wire = new PeerWire(incoming.connection, false, options, handler);
    wire.#sendHandshake(incoming.handshake.infoHash);
    queueMicrotask(() => {
      // Closed since its handshake was read: nobody has been told yet, and the connection tells only once.
      if (incoming.connection.closed) {
        wire.#onClose(undefined);
        return;
      }
      // First, so that closing in any callback below is reported.
      wire.#start();
      try {
        wire.#onHandshake(incoming.handshake);
        const rest = Buffer.from(incoming.rest);
        if (rest.length > 0) wire.#onData(rest);
        wire.#updateReading();
      } catch (error) {
        incoming.connection.close(toPeerwireError(error));
      }
    });
    return wire;
  }

  private constructor(connection: Connection, initiator: boolean, options: PeerWireOptions, handler: PeerWireHandler) {
    this.#connection = connection;
    this.initiator = initiator;
    this.#options = options;
    this.#handler = handler;
    this.#flood.onLow(() => this.#updateReading());
    this.#extensions = new ExtensionIds(options.extensions);
    this.#outbox = new WireOutbox(connection, () => this.#noteLeft());
    this.#decoder = new WireDecoder(
      {
        onMessage: (message) => this.#onMessage(message),
        onBlockStart: (piece, begin, length) => handler.onBlockStart(piece, begin, length),
        onBlockEnd: (piece, begin, length) => handler.onBlockEnd(piece, begin, length),
      },
      options.messageLimit === undefined ? {} : { message: options.messageLimit },
    );
  }

  get connection(): Connection {
    return this.#connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The other's handshake, once it arrived. */
  get remoteHandshake(): Handshake | undefined {
    return this.#remote;
  }

  /** True when the other announced this extension. */
  supports(extension: string): boolean {
    return this.#extensions.theirs(extension) !== undefined;
  }

  /** How many writes have left so far: as long as it grows, the other end reads. */
  get departed(): number {
    return this.#outbox.departed;
  }

  /** Bytes that wait to be sent. */
  get queued(): number {
    return this.#outbox.bytes;
  }

  /** Reads this many of the bytes that `onReceived` held back. */
  read(bytes: number): void {
    const held = this.#held;
    if (!held || this.#closed) return;
    this.#held = bytes < held.length ? held.subarray(bytes) : undefined;
    this.#decode(held.subarray(0, bytes));
    if (this.#held === undefined) this.#updateReading();
  }

  /** So much waits to be sent that large answers should rather be refused. */
  get congested(): boolean {
    return this.queued > MOST_ANSWERS;
  }

  /** Stops reading until `resume`. */
  pause(): void {
    this.#paused = true;
    this.#updateReading();
  }

  resume(): void {
    this.#paused = false;
    this.#updateReading();
  }

  send(message: Message): void {
    this.#outbox.push(encodeMessage(message));
  }

  /** Sends messages that are encoded already; nobody may write to the memory any more. */
  sendEncoded(messages: Uint8Array): void {
    this.#outbox.push(messages);
  }

  /** Sends an extension message under the other's id for it; false when the other does not know it. */
  sendExtended(extension: string, payload: Uint8Array): boolean {
    const id = this.#extensions.theirs(extension);
    if (id === undefined) return false;
    this.send({ type: 'extended', id, payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength) });
    return true;
  }

  /** Announces changed fields or extensions again (BEP 10: additive). */
  sendExtendedHandshake(extended: Omit<ExtendedHandshake, 'm'>): void {
    if (this.#remote?.extended !== true) return;
    const payload = encodeExtendedHandshake({ m: { ...this.#extensions.ours }, ...extended });
    this.send({ type: 'extended', id: EXTENDED_HANDSHAKE_ID, payload });
  }

  /** Queues whole block messages, headers included, in as few writes as given. The memory is ours until `onSent`. */
  writeBlocks(bytes: Uint8Array, onSent: () => void): void {
    this.#outbox.write(bytes, onSent);
  }

  /** Lets in blocks of up to this many bytes. */
  setBlockLimit(bytes: number): void {
    this.#decoder.setBlockLimit(bytes);
  }

  /** The rest of the block that is arriving is not written where the handler said. */
  dropBlock(): void {
    this.#decoder.dropBlock();
  }

  close(reason?: PeerwireError): void {
    // Nobody is there for it any more.
    this.#held = undefined;
    this.#outbox.flush();
    this.#connection.close(reason);
  }

  dispose(): void {
    this.close();
  }

  #sendHandshake(infoHash: Uint8Array): void {
    this.#connection.write([encodeHandshake({ infoHash, peerId: this.#options.peerId })]);
  }

  #start(): void {
    const sink: ConnectionSink = {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => {
        this.#noteLeft();
        this.#handler.onDrain();
      },
      onClose: (reason) => this.#onClose(reason),
    };
    this.#connection.start(sink);
  }

  #onClose(reason: PeerwireError | undefined): void {
    if (this.#closed) return;
    // What the other said before it left: no more than one chunk.
    const held = this.#held;
    this.#held = undefined;
    if (held && reason === undefined) this.#decode(held);
    this.#closed = true;
    this.#outbox.close();
    this.#handler.onClose(reason);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#closed) return;
    if (this.#awaited !== undefined) {
      this.#onHandshakeData(this.#awaited, chunk);
      return;
    }
    const now = this.#handler.onReceived?.(chunk.length) ?? chunk.length;
    if (now < chunk.length) {
      this.#held = Buffer.from(chunk.subarray(now));
      this.#updateReading();
      if (now === 0) return;
    }
    this.#decode(now < chunk.length ? chunk.subarray(0, now) : chunk);
  }

  #onHandshakeData({ infoHash, received }: AwaitedHandshake, chunk: Uint8Array): void {
    try {
      const bytes = Buffer.concat([received, chunk]);
      this.#awaited = { infoHash, received: bytes };
      if (bytes.length < HANDSHAKE_SIZE) return;
      const handshake = decodeHandshake(bytes.subarray(0, HANDSHAKE_SIZE));
      if (!handshake.infoHash.equals(infoHash))
        throw new PeerwireError('protocol', 'The peer answered for another swarm.');
      this.#awaited = undefined;
      this.#onHandshake(handshake);
      if (bytes.length > HANDSHAKE_SIZE) this.#onData(bytes.subarray(HANDSHAKE_SIZE));
    } catch (error) {
      this.#connection.close(toPeerwireError(error));
    }
  }

  #decode(bytes: Uint8Array): void {
    try {
      this.#decoder.push(bytes);
      this.#flood.set(this.queued);
      if (this.#flood.full) this.#updateReading();
    } catch (error) {
      this.#connection.close(toPeerwireError(error));
    }
  }

  #onHandshake(handshake: Handshake): void {
    this.#remote = handshake;
    this.sendExtendedHandshake(this.#options.extended ?? {});
    this.#handler.onReady(handshake);
  }

  #onMessage(message: Message): void {
    if (this.#closed) return;
    if (message.type !== 'extended') {
      this.#handler.onMessage(message);
      return;
    }
    if (message.id === EXTENDED_HANDSHAKE_ID) {
      const handshake = decodeExtendedHandshake(message.payload);
      this.#extensions.learn(handshake.m);
      this.#handler.onExtendedHandshake(handshake);
      return;
    }
    const name = this.#extensions.nameOf(message.id);
    if (name !== undefined) this.#handler.onExtended(name, message.payload);
  }

  #updateReading(): void {
    if (this.#paused || this.#flood.full || this.#held) this.#connection.pause();
    else this.#connection.resume();
  }

  #noteLeft(): void {
    if (this.#flood.full) this.#flood.set(this.queued);
  }
}
