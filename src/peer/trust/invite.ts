import { PeerwireError } from '../../common/errors.ts';
import type { DeviceId, NetworkId } from '../../common/ids.ts';

/** What admits a device to a network. All of it is secret: whoever has it may join until it expires. */
export interface Invite {
  readonly network: NetworkId;
  readonly networkName: string;
  /** SPKI of the network's root key, 91 bytes; `network` is its SHA-256. */
  readonly rootKey: Buffer;
  /** 32 bytes. */
  readonly secret: Buffer;
  /** Private scalar of the invite key, 32 bytes. */
  readonly inviteKey: Buffer;
  /** The signed invite certificate (and that of its issuer, unless root signed it). */
  readonly certificate: Buffer;
  readonly trackers: readonly string[];
  readonly inviter: DeviceId;
  readonly inviterName: string;
  /** Milliseconds since the Unix epoch. */
  readonly expires: number;
}

/** A link that is also a code: its last part alone is accepted too. */
export function encodeInvite(_invite: Invite): string {
  throw new PeerwireError('internal', 'not written yet');
}

/** Accepts what people paste. Verifies the signatures; does not check the date. Throws `invalid-invite`. */
export function parseInvite(_text: string): Invite {
  throw new PeerwireError('internal', 'not written yet');
}
