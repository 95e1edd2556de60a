import { createServer, type Server, type Socket } from 'node:net';
import { ANY_ADDRESS } from '../common/any-address.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { errorMessage, PeerwireError, toPeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { PeerInstance } from '../common/ids.ts';
import { type Logger, silentLogger } from '../common/log.ts';
import type { Identity } from './identity.ts';
import { respond } from './member-handshake.ts';
import type { NetworkAccess } from './network-access.ts';
import { PendingSockets } from './pending-sockets.ts';
import { SecureChannel } from './secure-channel.ts';
import { tlsOptions } from './tls-identity.ts';
import { TlsStream } from './tls-stream.ts';
import { type WaitingLimits, WaitingRoom } from './waiting-room.ts';

/** What strangers may cost us. */
export interface ListenerLimits extends WaitingLimits {
  /** Sockets that have not finished the handshake, in all (default 64). */
  readonly pending: number;
  /** … and from one address: an IPv4 address or an IPv6 /64 (default 4). */
  readonly pendingPerAddress: number;
  /** Milliseconds from accepting a socket to the end of its handshake, waiting included, whatever it sends (default 10,000). */
  readonly deadline: number;
}

const DEFAULT_LIMITS: ListenerLimits = {
  pending: 64,
  pendingPerAddress: 4,
  deadline: 10_000,
  waiting: 64,
  waitingPerAddress: 16,
  patience: 2_000,
  tenure: 2_000,
};

/** For `ANY_ADDRESS` where there is no IPv6. */
const ANY_IPV4 = '0.0.0.0';
/** What systems say that have none. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

export interface ListenOptions<M> {
  /** An address of this machine, or `ANY_ADDRESS`. */
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly identity: Identity;
  readonly instance: PeerInstance;
  /** Asked at each connection, so that networks may come and go. */
  readonly networks: () => readonly NetworkAccess<M>[];
  readonly limits?: Partial<ListenerLimits>;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** Accepts members of our networks. Strangers get a TLS handshake and then silence. */
export class PeerListener<M = unknown> implements Disposable {
  readonly #options: ListenOptions<M>;
  readonly #limits: ListenerLimits;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #server: Server;
  readonly #places: PendingSockets;
  readonly #waitingRoom: WaitingRoom;
  readonly #handshaking = new Set<TlsStream>();
  readonly #channels = new Emitter<SecureChannel<M>>();
  /** The receiver owns the channel. A channel that nobody receives is closed. */
  readonly onChannel: Event<SecureChannel<M>> = this.#channels.event;
  #port = 0;

  private constructor(options: ListenOptions<M>) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#places = new PendingSockets(this.#limits.pending, this.#limits.pendingPerAddress);
    this.#waitingRoom = new WaitingRoom(this.#places, this.#limits, this.#clock);
    this.#server = createServer((raw) => this.#accept(raw));
  }

  /** Rejects with the system's error (`EADDRINUSE`…) as a `PeerwireError`. */
  static async listen<M>(options: ListenOptions<M>): Promise<PeerListener<M>> {
    const listener = new PeerListener(options);
    const server = listener.#server;
    try {
      await bind(server, options.host, options.port).catch(async (error: NodeJS.ErrnoException) => {
        if (options.host !== ANY_ADDRESS || !NO_IPV6.has(error.code ?? '')) throw error;
        await bind(server, ANY_IPV4, options.port);
      });
    } catch (error) {
      throw toPeerwireError(error, `Cannot listen on ${options.host}:${options.port}`);
    }
    // Accepting can fail later (too many open files); that must not end the process.
    server.on('error', (error) => listener.#logger.warn(`accepting failed: ${errorMessage(error)}`));
    const address = server.address();
    if (address !== null && typeof address === 'object') listener.#port = address.port;
    return listener;
  }

  get host(): string {
    return this.#options.host;
  }

  get port(): number {
    return this.#port;
  }

  /** Sockets in the middle of their handshake. */
  get pending(): number {
    return this.#places.count;
  }

  /** Sockets that wait for their handshake to begin. */
  get waiting(): number {
    return this.#waitingRoom.waiting;
  }

  /** Stops accepting and drops unfinished handshakes; channels already handed out live on. Idempotent. */
  dispose(): void {
    this.#server.close();
    this.#waitingRoom.dispose();
    for (const stream of this.#handshaking) stream.close(new PeerwireError('closed', 'The listener was closed.'));
    this.#channels.dispose();
  }

  #accept(raw: Socket): void {
    // A socket may fail before anything else listens for its errors.
    raw.on('error', () => raw.destroy());
    const since = this.#clock.now();
    const visit = this.#waitingRoom.admit(raw.remoteAddress ?? '', {
      enter: (leave) => this.#shakeHands(raw, leave, since),
      displace: () => raw.destroy(),
      refuse: () => raw.destroy(),
    });
    raw.once('close', () => visit.dispose());
  }

  #shakeHands(raw: Socket, leave: () => void, since: number): void {
    raw.once('close', leave);
    const stream = TlsStream.accept(raw, tlsOptions(this.#options.identity));
    // Absolute: bytes that trickle in do not move it (slowloris).
    const deadline = this.#clock.setTimeout(
      () => stream.close(new PeerwireError('timeout', 'The handshake took too long.')),
      this.#limits.deadline - (this.#clock.now() - since),
    );
    this.#handshaking.add(stream);
    const finished = (): void => {
      deadline.dispose();
      this.#handshaking.delete(stream);
    };
    stream.socket.once('close', finished);
    stream.socket.once('secure', () => {
      respond(stream, this.#options, this.#options.networks()).then(
        (peer) => {
          finished();
          leave();
          this.#emit(new SecureChannel(stream, peer));
        },
        (error: unknown) => this.#logger.debug(`refused ${stream.remote}: ${errorMessage(error)}`),
      );
    });
  }

  #emit(channel: SecureChannel<M>): void {
    if (this.#channels.hasListeners) this.#channels.fire(channel);
    else channel.close();
  }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
