import type { IncomingWire } from '../../bittorrent/incoming-wire.ts';
import { PeerWire, type PeerWireHandler, type PeerWireOptions } from '../../bittorrent/peer-wire.ts';
import type { ExtendedHandshake } from '../../bittorrent/wire/extended.ts';
import { decodePex, encodePex, type PexMessage } from '../../bittorrent/wire/ut-pex.ts';
import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../../common/errors.ts';
import { formatHostPort, normalizeHost } from './addresses.ts';
import { cleanDeviceName } from './catalogue.ts';
import type { GossipLink } from './catalogue-gossip.ts';
import type { MemberChannel, PeerRef } from './channel.ts';
import {
  type CatalogueMessage,
  type ConnectMessage,
  type ControlExtension,
  decodeCatalogueMessage,
  decodeConnectMessage,
  decodeMembershipMessage,
  decodePingMessage,
  EXTENSIONS,
  encodeCatalogueMessage,
  encodeConnectMessage,
  encodeMembershipMessage,
  encodePingMessage,
  MAX_FRAME,
  type MembershipMessage,
} from './control-messages.ts';
import { decodeRelayMessage, encodeRelayMessage, type RelayMessage } from './relay/relay-messages.ts';
import { TokenBucket } from './token-bucket.ts';

/** Milliseconds of silence after which we say that we are alive, and after which the other counts as dead. */
export const KEEP_ALIVE = 60_000;
export const DEAD_AFTER = 150_000;
const PULSE = 15_000;
/**
 * Milliseconds of silence after which the other is asked whether it is there. With the pulse and the time for an answer, who lost
 * its power without a word is known to be gone, or dialled again, within a minute.
 */
const PROBE_AFTER = 25_000;
/** Milliseconds in which a ping must bring a sign of life: slow links and busy machines take a second or two. */
export const PING_TIMEOUT = 6000;
/** With a ping unanswered for this long (ms), better not to rely on it. */
const DOUBTFUL_PING = 1500;
/** A connection this silent (ms) has missed a keep-alive and may be dead. */
const DOUBTFUL_AFTER = KEEP_ALIVE + 30_000;
/** Milliseconds to read what had come while this process stood still. */
const CATCH_UP = 250;
/** Milliseconds for both handshakes. */
const HANDSHAKE_TIMEOUT = 15_000;
/** What one peer may send: messages and bytes per second, and in one burst. Beyond it we read more slowly. */
const MESSAGE_RATE = 200;
const MESSAGE_BURST = 2000;
const BYTE_RATE = 4 * 1024 * 1024;
const BYTE_BURST = 16 * 1024 * 1024;
/** How many messages a changed name or port counts for. */
const UPDATE_COST = 100;
/** Bytes on their way to the other beyond which gossip waits. */
const HIGH_WATER = 256 * 1024;
/** Reverse connections that one peer may ask for: per second, and in one burst. */
const CONNECT_RATE = 5;
const CONNECT_BURST = 50;

export interface ControlPeerOptions {
  /** 20 bytes each. */
  readonly peerId: Uint8Array;
  readonly controlInfoHash: Uint8Array;
  readonly version: string;
  readonly deviceName: string;
  readonly listenPort: number | undefined;
  /** `host:port` that we dialled; undefined for a connection that came in. */
  readonly dialed?: string;
  readonly clock: Clock;
}

export interface ControlPeerHandler {
  /** Both handshakes are done. */
  onReady(peer: ControlPeer): void;
  onCatalogue(peer: ControlPeer, message: CatalogueMessage): void;
  onMembership(peer: ControlPeer, message: MembershipMessage): void;
  onPex(peer: ControlPeer, message: PexMessage): void;
  onConnect(peer: ControlPeer, message: ConnectMessage): void;
  onRelay(peer: ControlPeer, message: RelayMessage): void;
  /** The other changed its port or name. */
  onUpdate(peer: ControlPeer): void;
  onWritable(peer: ControlPeer): void;
  /** Exactly once, also when it never became ready. */
  onClose(peer: ControlPeer, reason: PeerwireError | undefined): void;
}

/**
 * One control connection: a BitTorrent connection for the network's own infohash whose extension messages carry
 * catalogues, revocations, addresses and requests to dial. An error of the other end closes it.
 */
export class ControlPeer implements GossipLink {
  readonly peer: PeerRef;
  readonly channel: MemberChannel;
  /** Wall time in ms. */
  readonly since: number;
  readonly #options: ControlPeerOptions;
  readonly #handler: ControlPeerHandler;
  readonly #wire: PeerWire;
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  readonly #connects: TokenBucket;
  readonly #pulse: Disposable;
  readonly #deadline: Disposable;
  #resume: Disposable | undefined;
  /** While a ping waits for its answer, and when it was sent. */
  #ping: { readonly sent: number; timer: Disposable } | undefined;
  #remote: ExtendedHandshake | undefined;
  #name: string | undefined;
  #listenPort: number | undefined;
  #lastReceived: number;
  #lastSent: number;
  /** Bytes sent in this turn of the event loop, which the connection has not seen yet. */
  #unflushed = 0;

  static initiate(channel: MemberChannel, options: ControlPeerOptions, handler: ControlPeerHandler): ControlPeer {
    return new ControlPeer(channel, options, handler, (wireOptions, wireHandler) =>
      PeerWire.initiate(channel, options.controlInfoHash, wireOptions, wireHandler),
    );
  }

  static accept(
    channel: MemberChannel,
    incoming: IncomingWire,
    options: ControlPeerOptions,
    handler: ControlPeerHandler,
  ): ControlPeer {
    return new ControlPeer(channel, options, handler, (wireOptions, wireHandler) =>
      PeerWire.accept(incoming, wireOptions, wireHandler),
    );
  }

  private constructor(
    channel: MemberChannel,
    options: ControlPeerOptions,
    handler: ControlPeerHandler,
    open: (options: PeerWireOptions, handler: PeerWireHandler) => PeerWire,
  ) {
    const { clock } = options;
    this.peer = { device: channel.device, instance: channel.instance };
    this.channel = channel;
    this.since = clock.wallTime();
    this.#options = options;
    this.#handler = handler;
    this.#messages = new TokenBucket(clock, MESSAGE_RATE, MESSAGE_BURST);
    this.#bytes = new TokenBucket(clock, BYTE_RATE, BYTE_BURST);
    this.#connects = new TokenBucket(clock, CONNECT_RATE, CONNECT_BURST);
    this.#lastReceived = this.#lastSent = clock.now();
    this.#pulse = clock.setInterval(() => this.#onPulse(), PULSE);
    this.#deadline = clock.setTimeout(
      () => this.close(new PeerwireError('timeout', 'The peer did not finish its handshake in time.')),
      HANDSHAKE_TIMEOUT,
    );
    this.#wire = open(
      {
        peerId: options.peerId,
        extensions: EXTENSIONS,
        extended: handshakeFields(options.version, options.deviceName, options.listenPort),
        messageLimit: MAX_FRAME,
      },
      {
        onReady: () => {},
        onMessage: () => {},
        onExtendedHandshake: (handshake) => this.#onExtendedHandshake(handshake),
        onExtended: (name, payload) => this.#onExtended(name, payload),
        onBlockStart: () => undefined,
        onBlockEnd: () => {},
        onDrain: () => this.#handler.onWritable(this),
        onReceived: (bytes) => this.#onReceived(bytes),
        onClose: (reason) => this.#onClose(reason),
      },
    );
  }

  /** True when we dialled. */
  get initiator(): boolean {
    return this.channel.initiator;
  }

  /** A member passes the bytes on, since neither end can dial the other. */
  get relayed(): boolean {
    return this.channel.relay !== undefined;
  }

  /** `host:port` that we dialled; undefined for a connection that came in. */
  get dialed(): string | undefined {
    return this.#options.dialed;
  }

  /** Both handshakes are done and it is open. */
  get ready(): boolean {
    return this.#remote !== undefined && !this.#wire.closed;
  }

  /** The name that the other gave itself in the handshake. */
  get name(): string | undefined {
    return this.#name;
  }

  /** Where others can dial it, as far as we know: the address that worked for us, or what we see with the port it named. */
  get address(): string | undefined {
    if (this.dialed !== undefined) return this.dialed;
    return this.#listenPort === undefined || this.relayed
      ? undefined
      : formatHostPort({ host: normalizeHost(this.channel.remoteAddress), port: this.#listenPort });
  }

  /** The port on which it listens, by its own word. */
  get listenPort(): number | undefined {
    return this.#listenPort;
  }

  /** Milliseconds since the other last sent anything. */
  get silence(): number {
    return this.#options.clock.now() - this.#lastReceived;
  }

  /** It may be dead. */
  get doubtful(): boolean {
    const ping = this.#ping;
    if (ping !== undefined && this.#lastReceived <= ping.sent && this.#options.clock.now() - ping.sent > DOUBTFUL_PING)
      return true;
    return this.silence > DOUBTFUL_AFTER;
  }

  get writable(): boolean {
    return this.ready && this.#unflushed + this.channel.writableLength < HIGH_WATER;
  }

  supports(extension: ControlExtension): boolean {
    return this.#wire.supports(extension);
  }

  get takesDeltas(): boolean {
    return this.supports('pw_delta');
  }

  sendCatalogue(message: CatalogueMessage): void {
    this.#send(message.type === 'delta' ? 'pw_delta' : 'pw_catalogue', encodeCatalogueMessage(message));
  }

  sendMembership(message: MembershipMessage): void {
    this.#send('pw_membership', encodeMembershipMessage(message));
  }

  sendPex(message: PexMessage): void {
    this.#send('ut_pex', encodePex(message));
  }

  /** False when the other cannot understand that. */
  sendConnect(message: ConnectMessage): boolean {
    return this.#send('pw_connect', encodeConnectMessage(message));
  }

  sendRelay(message: RelayMessage): boolean {
    return this.#send('pw_relay', encodeRelayMessage(message));
  }

  /** Tells the other our present name and port. */
  update(deviceName: string, listenPort: number | undefined): void {
    this.#lastSent = this.#options.clock.now();
    this.#wire.sendExtendedHandshake(handshakeFields(this.#options.version, deviceName, listenPort));
  }

  /** Asks for a sign of life: a connection that brings none within six seconds is closed. */
  probe(): void {
    if (this.#ping !== undefined) return;
    if (!this.ready || !this.#send('pw_ping', encodePingMessage('ping'))) {
      // It does not know what that is; the system at least notices when the connection broke.
      this.#keepAlive();
      return;
    }
    const { clock } = this.#options;
    const timer = clock.setTimeout(() => {
      const ping = this.#ping;
      if (ping !== undefined) ping.timer = clock.setTimeout(() => this.#judge(ping.sent), CATCH_UP);
    }, PING_TIMEOUT);
    this.#ping = { sent: clock.now(), timer };
  }

  close(reason?: PeerwireError): void {
    this.#wire.close(reason);
  }

  #send(extension: ControlExtension, payload: Buffer): boolean {
    if (!this.#wire.sendExtended(extension, payload)) return false;
    this.#lastSent = this.#options.clock.now();
    if (this.#unflushed === 0) {
      // Behind the microtask in which the wire hands its bytes to the connection.
      queueMicrotask(() => {
        this.#unflushed = 0;
        if (this.writable) this.#handler.onWritable(this);
      });
    }
    this.#unflushed += payload.length;
    return true;
  }

  #onExtendedHandshake(handshake: ExtendedHandshake): void {
    const first = this.#remote === undefined;
    // Each makes us tell everybody and look for sources: a change of name or port is rare.
    if (!first) this.#throttle(this.#messages.take(UPDATE_COST));
    this.#remote = handshake;
    // BEP 10: later handshakes carry what changed. A port of 0 says that it does not listen any more.
    if (handshake.p !== undefined) this.#listenPort = handshake.p > 0 ? handshake.p : undefined;
    const name = handshake.extra?.get('pw_name');
    if (Buffer.isBuffer(name)) this.#name = cleanDeviceName(name.subarray(0, 512).toString());
    if (first) {
      this.#deadline.dispose();
      this.#handler.onReady(this);
    } else {
      this.#handler.onUpdate(this);
    }
  }

  #onExtended(name: string, payload: Buffer): void {
    if (!this.ready) throw new PeerwireError('protocol', 'The peer spoke before its extended handshake.');
    this.#throttle(this.#messages.take(1));
    switch (name) {
      case 'pw_catalogue':
      case 'pw_delta': {
        const message = decodeCatalogueMessage(payload);
        if (message !== undefined) this.#handler.onCatalogue(this, message);
        return;
      }
      case 'pw_membership': {
        const message = decodeMembershipMessage(payload);
        if (message !== undefined) this.#handler.onMembership(this, message);
        return;
      }
      case 'pw_connect': {
        const message = decodeConnectMessage(payload);
        if (message !== undefined && this.#connects.tryTake(1)) this.#handler.onConnect(this, message);
        return;
      }
      case 'pw_relay': {
        const message = decodeRelayMessage(payload);
        if (message !== undefined) this.#handler.onRelay(this, message);
        return;
      }
      case 'pw_ping':
        if (decodePingMessage(payload) === 'ping') this.#send('pw_ping', encodePingMessage('pong'));
        return;
      case 'ut_pex':
        this.#handler.onPex(this, decodePex(payload));
        return;
    }
  }

  #onReceived(bytes: number): number {
    this.#lastReceived = this.#options.clock.now();
    this.#throttle(this.#bytes.take(bytes));
    return bytes;
  }

  /** Stops reading for `wait` ms, so that who sends too much slows down itself. */
  #throttle(wait: number): void {
    if (wait <= 0 || this.#resume !== undefined || this.#wire.closed) return;
    this.#wire.pause();
    this.#resume = this.#options.clock.setTimeout(() => {
      this.#resume = undefined;
      this.#wire.resume();
    }, wait);
  }

  #onPulse(): void {
    const { clock } = this.#options;
    if (this.silence > DEAD_AFTER) {
      this.close(new PeerwireError('timeout', 'The peer has been silent for too long.'));
    } else if (this.silence > PROBE_AFTER && this.ready && this.supports('pw_ping')) {
      this.probe();
    } else if (clock.now() - this.#lastSent > KEEP_ALIVE - PULSE) {
      this.#keepAlive();
    }
  }

  #keepAlive(): void {
    this.#lastSent = this.#options.clock.now();
    this.#wire.send({ type: 'keep-alive' });
  }

  #judge(sent: number): void {
    this.#ping = undefined;
    // While we do not read, it cannot be heard.
    if (this.#lastReceived > sent || this.#resume !== undefined) return;
    this.close(new PeerwireError('timeout', 'The peer does not answer any more.'));
  }

  #onClose(reason: PeerwireError | undefined): void {
    this.#pulse.dispose();
    this.#ping?.timer.dispose();
    this.#deadline.dispose();
    this.#resume?.dispose();
    this.#handler.onClose(this, reason === undefined ? undefined : toPeerwireError(reason));
  }
}

function handshakeFields(version: string, name: string, port: number | undefined): Omit<ExtendedHandshake, 'm'> {
  return { v: `Peerwire ${version}`, p: port ?? 0, extra: new Map([['pw_name', Buffer.from(cleanDeviceName(name))]]) };
}
