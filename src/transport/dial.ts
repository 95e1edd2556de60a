import type { Clock } from '../common/clock.ts';
import { PeerwireError } from '../common/errors.ts';
import type { DeviceId, PeerInstance } from '../common/ids.ts';
import type { Identity } from './identity.ts';
import type { NetworkAccess } from './network-access.ts';
import type { SecureChannel } from './secure-channel.ts';

export interface DialOptions<M> {
  readonly host: string;
  readonly port: number;
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly access: NetworkAccess<M>;
  /** Refuse any other device. */
  readonly expectDevice?: DeviceId;
  readonly signal?: AbortSignal;
  /** Milliseconds for everything, from the first packet to the finished handshake (default 10,000). */
  readonly timeout?: number;
  readonly clock?: Clock;
}

/**
 * Connects to a peer and proves membership both ways. Rejects with a `PeerwireError`:
 * `connection` unreachable or closed, `timeout`, `cancelled`, `protocol` not one of us or not this network,
 * `exists` reached ourselves, `not-admitted` | `revoked` | `expired` either side refused the other.
 */
export async function dial<M>(_options: DialOptions<M>): Promise<SecureChannel<M>> {
  throw new PeerwireError('internal', 'not written yet');
}
