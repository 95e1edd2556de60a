import type { Connection, ConnectionSink } from '../bittorrent/connection.ts';
import type { PeerwireError } from '../common/errors.ts';
import { type DeviceId, formatDeviceId, type NetworkId, type PeerInstance } from '../common/ids.ts';
import type { TlsStream } from './tls-stream.ts';

/** Who is at the other end, as proved by the handshake. */
export interface ChannelPeer<M = unknown> {
  readonly device: DeviceId;
  /** 91 bytes. */
  readonly spki: Buffer;
  /** Device and instance together identify a peer: the windows of one editor share the device. */
  readonly instance: PeerInstance;
  readonly network: NetworkId;
  /** True on the side that dialed. */
  readonly initiator: boolean;
  /** What `NetworkAccess.admit` returned. */
  readonly member: M;
}

/** An authenticated, encrypted byte stream to a member. Only the handshake makes one (`dial` and `PeerListener`). */
export class SecureChannel<M = unknown> implements Connection, ChannelPeer<M> {
  readonly device: DeviceId;
  readonly spki: Buffer;
  readonly instance: PeerInstance;
  readonly network: NetworkId;
  readonly initiator: boolean;
  readonly member: M;
  /** IP address without brackets; IPv4 also where the system reports it mapped into IPv6. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly remote: string;
  /** The member that passes the bytes on, which sees only ciphertext; undefined for a direct connection. */
  readonly relay: DeviceId | undefined;
  readonly #stream: TlsStream;

  constructor(stream: TlsStream, peer: ChannelPeer<M>, relay?: DeviceId) {
    this.#stream = stream;
    this.device = peer.device;
    this.spki = peer.spki;
    this.instance = peer.instance;
    this.network = peer.network;
    this.initiator = peer.initiator;
    this.member = peer.member;
    this.remoteAddress = stream.remoteAddress;
    this.remotePort = stream.remotePort;
    this.relay = relay;
    this.remote = relay === undefined ? stream.remote : `relay ${formatDeviceId(relay).slice(0, 9)}`;
  }

  get writableLength(): number {
    return this.#stream.writableLength;
  }

  get closed(): boolean {
    return this.#stream.closed;
  }

  start(sink: ConnectionSink): void {
    this.#stream.start(sink);
  }

  write(chunks: readonly Uint8Array[], onDone?: () => void): void {
    this.#stream.write(chunks, onDone);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(reason?: PeerwireError): void {
    this.#stream.close(reason);
  }
}
