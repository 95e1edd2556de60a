/**
 * What is signed in a network, and by whom (PROTOCOL.md, "Membership"):
 *
 * - a member certificate, by the root key: this device is a member, for good;
 * - an invite certificate, by the root key or by a certified member who may invite: this invite key admits until then;
 * - a join, by the invite key: this device is the one who was invited;
 * - a countersignature, by a member: this device joined by that invite on this date.
 *
 * Keys are carried as the 64 bytes of their point, so that a second encoding of a key cannot exist.
 */
import { bytesOf, decode, dictOf, field, intOf, textOf } from '../../bittorrent/bencode.ts';
import { sha256 } from '../../bittorrent/merkle.ts';
import { type DeviceId, deviceIdBytes, deviceIdFromHash, type NetworkId } from '../../common/ids.ts';
import { deviceIdOfSpki, POINT_SIZE, pointOfSpki, spkiOfPoint } from '../../transport/identity.ts';
import { type Sign, type Signed, signBody } from './signed.ts';

/** Rights of a certified member: bits of a number, so that an older peer understands those it knows. */
export const MAY_INVITE = 1;
/** May revoke members and invites, and change what the network is called and which trackers it asks. */
export const MAY_ADMIN = 2;

/** Bytes of a name in an invite, in UTF-8. */
export const MAX_NAME = 128;

export interface MemberCertificate {
  readonly spki: Buffer;
  readonly device: DeviceId;
  readonly rights: number;
  /** Milliseconds since the Unix epoch. */
  readonly date: number;
  /** Who invited it; undefined for the creator. */
  readonly inviter: DeviceId | undefined;
  /** The invite by which it came, to be withdrawn with it; undefined for the creator, and in older certificates. */
  readonly invite?: string | undefined;
}

export interface InviteCertificate {
  readonly spki: Buffer;
  /** SHA-256 of `spki` in hex: names the invite. */
  readonly id: string;
  readonly inviter: DeviceId;
  readonly inviterName: string;
  /** Milliseconds since the Unix epoch. */
  readonly created: number;
  readonly expires: number;
}

export interface Countersignature {
  readonly device: DeviceId;
  readonly invite: string;
  /** Milliseconds since the Unix epoch, by the clock of the member who signs. */
  readonly date: number;
}

export function inviteIdOf(spki: Uint8Array): string {
  return sha256(spki).toString('hex');
}

export function signMember(network: NetworkId, member: Omit<MemberCertificate, 'device'>, root: Sign): Signed {
  const inviter = member.inviter && deviceIdBytes(member.inviter);
  const invite = member.invite === undefined ? undefined : Buffer.from(member.invite, 'hex');
  const body = { k: pointOfSpki(member.spki), r: member.rights, t: member.date, i: inviter, w: invite };
  return signBody('member', network, body, root);
}

/** Throws `bad-encoding`; verifies nothing, as the other readers here. */
export function readMember(signed: Signed): MemberCertificate {
  const dict = dictOf(decode(signed.body));
  const spki = spkiOfPoint(bytesOf(field(dict, 'k'), POINT_SIZE));
  return {
    spki,
    device: deviceIdOfSpki(spki),
    rights: intOf(field(dict, 'r'), 0),
    date: intOf(field(dict, 't'), 0),
    inviter: field(dict, 'i', (value) => deviceIdFromHash(bytesOf(value, 32))),
    invite: field(dict, 'w', (value) => bytesOf(value, 32).toString('hex')),
  };
}

export function signInvite(network: NetworkId, invite: Omit<InviteCertificate, 'id'>, issuer: Sign): Signed {
  const { spki, inviter, inviterName, created, expires } = invite;
  const body = { k: pointOfSpki(spki), d: deviceIdBytes(inviter), n: inviterName, c: created, e: expires };
  return signBody('invite', network, body, issuer);
}

export function readInvite(signed: Signed): InviteCertificate {
  const dict = dictOf(decode(signed.body));
  const spki = spkiOfPoint(bytesOf(field(dict, 'k'), POINT_SIZE));
  return {
    spki,
    id: inviteIdOf(spki),
    inviter: deviceIdFromHash(bytesOf(field(dict, 'd'), 32)),
    inviterName: textOf(field(dict, 'n'), MAX_NAME),
    created: intOf(field(dict, 'c'), 0),
    expires: intOf(field(dict, 'e'), 0),
  };
}

export function signJoin(network: NetworkId, spki: Uint8Array, inviteKey: Sign): Signed {
  return signBody('join', network, { k: pointOfSpki(spki) }, inviteKey);
}

/** The SPKI of the device that joined. */
export function readJoin(signed: Signed): Buffer {
  return spkiOfPoint(bytesOf(field(dictOf(decode(signed.body)), 'k'), POINT_SIZE));
}

export function signCountersignature(network: NetworkId, about: Countersignature, member: Sign): Signed {
  const body = { d: deviceIdBytes(about.device), i: Buffer.from(about.invite, 'hex'), t: about.date };
  return signBody('countersign', network, body, member);
}

export function readCountersignature(signed: Signed): Countersignature {
  const dict = dictOf(decode(signed.body));
  return {
    device: deviceIdFromHash(bytesOf(field(dict, 'd'), 32)),
    invite: bytesOf(field(dict, 'i'), 32).toString('hex'),
    date: intOf(field(dict, 't'), 0),
  };
}

const MAX_TOLERANCE = 5 * 60_000;

/**
 * Milliseconds by which the clocks of two members may differ before one sees an invite as expired and the other does
 * not: five minutes, but no more than a tenth of the time for which the invite is valid.
 */
export function clockTolerance(invite: InviteCertificate): number {
  return Math.max(0, Math.min(MAX_TOLERANCE, (invite.expires - invite.created) / 10));
}
