import type { Clock } from '../../common/clock.ts';
import { PeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { DeviceId, NetworkId } from '../../common/ids.ts';
import type { Identity } from '../../transport/identity.ts';
import type { Admission, NetworkAccess } from '../../transport/network-access.ts';

/** What an admitted peer showed of itself (`SecureChannel.member`). */
export interface Member {
  readonly device: DeviceId;
  /** Who invited it; undefined for the creator. */
  readonly inviter: DeviceId | undefined;
  /** Head of its revocations: when it differs from `NetworkTrust.revocationHead`, exchange `revocationsBytes`. */
  readonly revocationHead: string;
}

export interface TrustOptions {
  readonly clock?: Clock;
}

/**
 * This device's membership of one network, and its judgment of others'. The owner stores `serialize()` in the secret
 * store at each `onChanged`.
 */
export class NetworkTrust implements NetworkAccess<Member> {
  readonly #changed = new Emitter<void>();
  readonly #revoked = new Emitter<readonly DeviceId[]>();
  readonly onChanged: Event<void> = this.#changed.event;
  /** Devices newly revoked: disconnect them, forget their catalogues. May name this device itself. */
  readonly onRevoked: Event<readonly DeviceId[]> = this.#revoked.event;
  readonly network: NetworkId;
  readonly name: string;
  readonly secret: Buffer;
  /** 20 bytes: SHA-256("peerwire control" || network id). The infohash of control connections. */
  readonly controlInfoHash: Buffer;

  private constructor(network: NetworkId, name: string, secret: Buffer) {
    this.network = network;
    this.name = name;
    this.secret = secret;
    this.controlInfoHash = Buffer.alloc(20);
  }

  static createNetwork(
    _identity: Identity,
    _name: string,
    _trackers: readonly string[],
    _options?: TrustOptions,
  ): NetworkTrust {
    throw new PeerwireError('internal', 'not written yet');
  }

  /** `invite`: as text or parsed. Throws `invalid-invite` or `expired`. Works offline. */
  static joinNetwork(_identity: Identity, _invite: string, _options?: TrustOptions): NetworkTrust {
    throw new PeerwireError('internal', 'not written yet');
  }

  /** Reads what `serialize` wrote for this device. Throws `corrupt`. */
  static load(_identity: Identity, _serialized: string, _options?: TrustOptions): NetworkTrust {
    throw new PeerwireError('internal', 'not written yet');
  }

  /** JSON with secrets in it: for the secret store only. */
  serialize(): string {
    throw new PeerwireError('internal', 'not written yet');
  }

  /** Takes over what another peer of this device stored meanwhile (each editor window has its own `NetworkTrust`). */
  absorb(_serialized: string): void {}

  /** True on the device that holds the root key. */
  get creator(): boolean {
    return false;
  }

  /** True when `createInvite` will work: the creator, and members whom the creator has certified. */
  get mayInvite(): boolean {
    return false;
  }

  get trackers(): readonly string[] {
    return [];
  }

  setTrackers(_trackers: readonly string[]): void {}

  /** Returns the link. `validFor`: milliseconds, default 7 days. Throws `permission`. */
  createInvite(_options: { readonly inviterName: string; readonly validFor?: number }): string {
    throw new PeerwireError('internal', 'not written yet');
  }

  credentials(): Buffer {
    throw new PeerwireError('internal', 'not written yet');
  }

  admit(_device: DeviceId, _spki: Buffer, _credentials: Buffer): Admission<Member> {
    throw new PeerwireError('internal', 'not written yet');
  }

  acceptCountersignature(_bytes: Buffer): void {}

  /** Creator only (`permission`). Also withdraws the invite by which the device came, so that it cannot come back with it. */
  revoke(_device: DeviceId): void {}

  isRevoked(_device: DeviceId): boolean {
    return false;
  }

  /** Names the set of revocations known here; equal heads mean equal sets. */
  get revocationHead(): string {
    return '';
  }

  /** All revocations known here, for gossip. */
  revocationsBytes(): Buffer {
    return Buffer.alloc(0);
  }

  /** Adds revocations of another peer; returns the devices newly revoked. Throws `bad-encoding` or `not-admitted`. */
  applyRevocations(_bytes: Uint8Array): DeviceId[] {
    return [];
  }

  /**
   * Infohashes (20 bytes) to announce under at `now` (ms since the epoch): of this week and of the nearest adjacent
   * week, so that peers whose clocks disagree still meet.
   */
  rendezvousInfoHashes(_now: number): Buffer[] {
    return [];
  }
}
