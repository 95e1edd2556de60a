import type { DeviceId, NetworkId } from '../common/ids.ts';

/** What the handshake needs to know about one network, and whom it asks who may enter. `M`: what it knows of a member. */
export interface NetworkAccess<M = unknown> {
  readonly network: NetworkId;
  /** 32 bytes, shared by all members: gates strangers and hides the rendezvous. */
  readonly secret: Buffer;
  /** This device's own membership, to be shown to the other side. At most `MAX_CREDENTIALS` bytes. */
  credentials(): Buffer;
  /** Asked before anything is shown to a device that knows the secret. */
  isRevoked(device: DeviceId): boolean;
  /**
   * Verifies what the other side showed. `spki` is the key that it holds in the TLS session.
   * Throws `not-admitted`, `revoked` or `expired`; any other error counts as `not-admitted`.
   */
  admit(device: DeviceId, spki: Buffer, credentials: Buffer): Promise<Admission<M>> | Admission<M>;
  /** Keeps what another member signed for this device. Ignores anything that does not verify. */
  acceptCountersignature(bytes: Buffer): void;
}

export interface Admission<M = unknown> {
  readonly member: M;
  /** For the admitted device: a countersignature of its membership, see PROTOCOL.md. */
  readonly countersignature?: Buffer;
}
