import type { Connection } from '../../bittorrent/connection.ts';
import type { DeviceId, NetworkId, PeerInstance } from '../../common/ids.ts';

/**
 * A connection whose other end proved to be a member of the network: what this layer needs of the transport's
 * `SecureChannel`.
 */
export interface MemberChannel extends Connection {
  readonly device: DeviceId;
  readonly instance: PeerInstance;
  readonly network: NetworkId;
  /** True when we dialled. */
  readonly initiator: boolean;
  /** IP address of the other end as our system sees it. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** What it showed in the handshake, as far as this layer uses it. */
  readonly member?: { readonly revocationHead?: string } | undefined;
  /** The member that relays; absent for a direct connection. The address says nothing then. */
  readonly relay?: DeviceId | undefined;
}

/** A running peer: several may share a device (editor windows). */
export interface PeerRef {
  readonly device: DeviceId;
  readonly instance: PeerInstance;
}

/** Key of a peer in maps, and its place in the order that settles duplicate connections. */
export function peerKey(peer: PeerRef): string {
  return `${peer.device}/${peer.instance}`;
}

/** The peer that a key of `peerKey` names. */
export function parsePeerKey(key: string): PeerRef {
  const [device = '', instance = ''] = key.split('/');
  return { device: device as DeviceId, instance: instance as PeerInstance };
}
