import type { Connection, ConnectionSink } from '../bittorrent/connection.ts';
import { PeerwireError } from '../common/errors.ts';
import type { DeviceId, NetworkId, PeerInstance } from '../common/ids.ts';

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

/** An authenticated, encrypted byte stream to a member. Nothing but the handshake makes one. */
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

  constructor(peer: ChannelPeer<M>, remoteAddress: string, remotePort: number) {
    this.device = peer.device;
    this.spki = peer.spki;
    this.instance = peer.instance;
    this.network = peer.network;
    this.initiator = peer.initiator;
    this.member = peer.member;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
    this.remote = `${remoteAddress}:${remotePort}`;
  }

  get writableLength(): number {
    return 0;
  }

  get closed(): boolean {
    return true;
  }

  start(_sink: ConnectionSink): void {
    throw new PeerwireError('internal', 'not written yet');
  }

  write(_chunks: readonly Uint8Array[], _onSent?: () => void): void {
    throw new PeerwireError('internal', 'not written yet');
  }

  pause(): void {}

  resume(): void {}

  close(_reason?: PeerwireError): void {}
}
