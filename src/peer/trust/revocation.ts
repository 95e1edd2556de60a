import { bytesOf, decode, dictOf, field, intOf, textOf } from '../../bittorrent/bencode.ts';
import { PeerwireError } from '../../common/errors.ts';
import { type DeviceId, deviceIdBytes, deviceIdFromHash, type NetworkId } from '../../common/ids.ts';
import { type Sign, type Signed, signBody } from './signed.ts';

export type RevocationTarget =
  | { readonly kind: 'device'; readonly device: DeviceId }
  | { readonly kind: 'invite'; readonly invite: string };

/** A statement that a device, or who comes by an invite, is admitted no more. */
export interface Revocation {
  readonly target: RevocationTarget;
  /** Milliseconds since the epoch by the clock of who signed. */
  readonly date: number;
  readonly signed: Signed;
}

export function signRevocation(network: NetworkId, target: RevocationTarget, date: number, sign: Sign): Revocation {
  const x = target.kind === 'device' ? deviceIdBytes(target.device) : Buffer.from(target.invite, 'hex');
  return { target, date, signed: signBody('revoke', network, { k: target.kind, t: date, x }, sign) };
}

/** Throws `bad-encoding`; verifies nothing. */
export function readRevocation(signed: Signed): Revocation {
  const dict = dictOf(decode(signed.body));
  const date = intOf(field(dict, 't'), 0);
  const target = bytesOf(field(dict, 'x'), 32);
  const kind = textOf(field(dict, 'k'), 16);
  if (kind === 'device') return { target: { kind, device: deviceIdFromHash(target) }, date, signed };
  if (kind === 'invite') return { target: { kind, invite: target.toString('hex') }, date, signed };
  throw new PeerwireError('bad-encoding', 'A revocation of an unknown kind.');
}

export function revocationKey(target: RevocationTarget): string {
  return target.kind === 'device' ? `device ${target.device}` : `invite ${target.invite}`;
}

/** Of two by one signer about one target, the lower counts: two windows of a device may revoke at once. */
export function compareRevocations(a: Revocation, b: Revocation): number {
  return a.date - b.date || Buffer.compare(a.signed.body, b.signed.body);
}
