import type { DeviceId, InfoHash, NetworkId, PeerInstance, ShareId } from '../../common/ids.ts';
import type { ShareKind } from '../api.ts';

/** One version of a share, as its owner signed it. */
export interface ShareEntry {
  readonly share: ShareId;
  readonly infohash: InfoHash;
  readonly name: string;
  readonly kind: ShareKind;
  /** Bytes. */
  readonly size: number;
  readonly files: number;
  readonly version: number;
  /** When this version was published, ms since the Unix epoch. */
  readonly time: number;
  readonly message?: string;
  /** `/`-separated safe components. */
  readonly path?: string;
  /** Devices that may have it, besides the owner: every seeder enforces this. Absent: every member. */
  readonly to?: readonly DeviceId[];
}

/** Someone else's version of which this peer has pieces. */
export interface HoldEntry {
  readonly infohash: InfoHash;
  readonly share: ShareId;
  readonly owner: DeviceId;
  /** All pieces, or only some. */
  readonly complete: boolean;
  /** The share's own `to` plus its owner: who may learn that we hold it. Absent: every member. */
  readonly to?: readonly DeviceId[];
}

/** What is known of one peer's offers. */
export interface PeerCatalogue {
  readonly network: NetworkId;
  readonly device: DeviceId;
  readonly instance: PeerInstance;
  /** Device name chosen by its user. */
  readonly name: string;
  readonly shares: readonly ShareEntry[];
  readonly holds: readonly HoldEntry[];
  /** When its newest part was signed, ms since the Unix epoch. */
  readonly time: number;
}
