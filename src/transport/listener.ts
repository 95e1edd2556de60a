import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { PeerInstance } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import type { Identity } from './identity.ts';
import type { NetworkAccess } from './network-access.ts';
import type { SecureChannel } from './secure-channel.ts';

/** What strangers may cost us. */
export interface ListenerLimits {
  /** Sockets that have not finished the handshake, in all (default 64). */
  readonly pending: number;
  /** … and from one address: an IPv4 address or an IPv6 /64 (default 4). */
  readonly pendingPerAddress: number;
  /** Milliseconds from accepting a socket to the end of its handshake, whatever it sends (default 10,000). */
  readonly deadline: number;
}

export interface ListenOptions<M> {
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
  readonly #channels = new Emitter<SecureChannel<M>>();
  /** The receiver owns the channel. A channel that nobody receives is closed. */
  readonly onChannel: Event<SecureChannel<M>> = this.#channels.event;
  readonly host: string;
  readonly port: number;

  private constructor(host: string, port: number) {
    this.host = host;
    this.port = port;
  }

  /** Rejects with the system's error (`EADDRINUSE`…) wrapped as a `PeerwireError`. */
  static async listen<M>(_options: ListenOptions<M>): Promise<PeerListener<M>> {
    throw new PeerwireError('internal', 'not written yet');
  }

  /** Sockets in the middle of their handshake. */
  get pending(): number {
    return 0;
  }

  /** Stops accepting and drops unfinished handshakes; channels already handed out live on. */
  dispose(): void {}
}
