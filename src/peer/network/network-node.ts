import type { IncomingWire } from '../../bittorrent/peer-wire.ts';
import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { PeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { DeviceId, InfoHash, PeerInstance, ShareId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import type { Identity } from '../../transport/identity.ts';
import type { AnnounceRequest, AnnounceResponse } from '../../transport/tracker-client.ts';
import type { StateStore } from '../state-store.ts';
import type { NetworkTrust } from '../trust/membership.ts';
import type { HoldEntry, PeerCatalogue, ShareEntry } from './catalogue.ts';
import type { MemberChannel, PeerRef } from './channel.ts';

export interface NetworkNodeOptions {
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly deviceName: string;
  readonly trust: NetworkTrust;
  /** Owned by the network alone: names in it are not prefixed. */
  readonly store: StateStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The port on which others reach this peer; undefined when outbound only. Asked again for every use. */
  readonly listenPort: () => number | undefined;
  /** Version text of this program, for the extended handshake. */
  readonly version: string;
  /** Opens an authenticated channel in this network. */
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly announce: (request: AnnounceRequest) => Promise<AnnounceResponse>;
}

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** Refuse any other device. */
  readonly expectDevice?: DeviceId;
  readonly signal: AbortSignal;
}

export interface ControlPeerInfo extends PeerRef {
  /** From its catalogue; a short form of the device id until that arrived. */
  readonly name: string;
  /** `host:port` at which it can be dialled; undefined when it is outbound only. */
  readonly address: string | undefined;
  /** When it connected, ms since the Unix epoch. */
  readonly since: number;
}

export interface KnownCatalogue extends PeerCatalogue {
  /** The peer that signed it is connected now. */
  readonly online: boolean;
}

export interface Holder extends ControlPeerInfo {
  /** It owns the version or holds every piece of it. */
  readonly complete: boolean;
}

export interface ConnectRequest extends PeerRef {
  readonly infohash: InfoHash;
  /** `host:port` to dial: the address at which we see the peer, with the port on which it listens. */
  readonly address: string;
}

/** For `NetworkInfo`. */
export interface NetworkState {
  readonly state: 'connected' | 'looking' | 'offline';
  /** Connected devices, this one not counted. */
  readonly peers: number;
  /** The last thing that went wrong with a tracker. */
  readonly problem?: string;
}

/** Who may have a version: every member, or these devices. */
export type Audience = 'everyone' | ReadonlySet<DeviceId>;

/** One network's control plane: finds its members, stays connected to them and gossips catalogues and revocations. */
export class NetworkNode implements Disposable {
  readonly #peersChanged = new Emitter<void>();
  readonly #cataloguesChanged = new Emitter<void>();
  readonly #revoked = new Emitter<readonly DeviceId[]>();
  readonly #connectRequest = new Emitter<ConnectRequest>();
  readonly #stateChanged = new Emitter<NetworkState>();

  readonly onPeersChanged: Event<void> = this.#peersChanged.event;
  readonly onCataloguesChanged: Event<void> = this.#cataloguesChanged.event;
  /** Devices that a revocation just excluded; their control connections are closed already, swarms are yours to close. */
  readonly onRevoked: Event<readonly DeviceId[]> = this.#revoked.event;
  /** A peer cannot dial us (or failed to) and asks us to dial it for a swarm. */
  readonly onConnectRequest: Event<ConnectRequest> = this.#connectRequest.event;
  readonly onStateChanged: Event<NetworkState> = this.#stateChanged.event;

  constructor(_options: NetworkNodeOptions) {}

  /** Loads what was remembered, then announces and dials. */
  async start(): Promise<void> {}

  /** Tells trackers and peers that this peer leaves (at most 1 s), writes state and closes everything. */
  async close(): Promise<void> {}

  /** As `close`, without waiting for trackers. */
  dispose(): void {}

  state(): NetworkState {
    return { state: 'looking', peers: 0 };
  }

  /** Hands over an inbound channel whose BitTorrent handshake carried the control infohash. */
  acceptControl(channel: MemberChannel, _incoming: IncomingWire): void {
    channel.close();
  }

  /** Replaces what this peer offers; connected peers hear of it at once. Safe to call before `start`. */
  setOwn(_shares: readonly ShareEntry[], _holds: readonly HoldEntry[]): void {}

  setDeviceName(_name: string): void {}

  /** Connected control peers, other windows of this device included. */
  peers(): readonly ControlPeerInfo[] {
    return [];
  }

  /** Every verified catalogue but our own, also of peers that are offline. */
  catalogues(): readonly KnownCatalogue[] {
    return [];
  }

  /** Connected peers that own the version or hold pieces of it. */
  holdersOf(_infohash: InfoHash): readonly Holder[] {
    return [];
  }

  /** The access list of a share as its owner last signed it; undefined when its catalogue does not list it. */
  audienceOf(_owner: DeviceId, _share: ShareId): Audience | undefined {
    return undefined;
  }

  /**
   * A channel to a connected peer for one swarm. Dials it; when it cannot be dialled, asks it to dial us and resolves
   * undefined: its channel arrives at our listener, to be routed by infohash.
   * Rejects with `connection` when neither side accepts connections, `cancelled`, `closed` when it is not connected.
   */
  async openSwarmChannel(
    _peer: PeerRef,
    _infohash: InfoHash,
    _signal: AbortSignal,
  ): Promise<MemberChannel | undefined> {
    throw new PeerwireError('unsupported', 'Not yet.');
  }

  /** Remembers `host:port` (IPv6 in brackets) and dials it now. Throws `usage` for what cannot be an address. */
  addAddress(_hostPort: string, _source: 'manual' | 'lan' = 'manual'): void {}

  /** Announces and dials again at once, for example after the network interface or the tracker list changed. */
  retryNow(): void {}
}
