import { PeerwireError } from '../../common/errors.ts';
import type { DeviceId, NetworkId } from '../../common/ids.ts';
import { deviceIdOfSpki } from '../../transport/identity.ts';
import { clockTolerance, MAY_INVITE, readCountersignature } from './certificates.ts';
import type { CertifiedLink, InviteProof, JoinedLink, Link } from './credentials.ts';
import { verifySigned } from './signed.ts';
import type { Statements } from './statements.ts';

/** What a judgment rests on. */
export interface Grounds {
  readonly network: NetworkId;
  /** 91 bytes. */
  readonly rootKey: Buffer;
  readonly revocations: Pick<Statements, 'isRevoked' | 'dateOf'>;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** When this device itself admitted `device` by `invite` while the invite was valid; undefined when it did not. */
  remembered(device: DeviceId, invite: string): number | undefined;
}

/** A verified membership. */
export interface Standing {
  readonly device: DeviceId;
  readonly inviter: DeviceId | undefined;
  /** The invite by which it came; undefined when a certificate does not say it. */
  readonly invite: string | undefined;
  /** Signed in by the root key itself. */
  readonly certified: boolean;
  /** When it was admitted: milliseconds since the epoch. */
  readonly date: number;
  /** True while the invite would admit it anew. */
  readonly current: boolean;
  /**
   * Countersignatures between it and the root key: 0 for certified members. Infinity when the chain does not reach
   * the root key, so that it holds only while its invite is valid, or for those who remember its first member.
   */
  readonly distance: number;
  /** True when it is certified, or shows a countersignature by a member. */
  readonly vouched: boolean;
}

/** Orders memberships by how long they will hold: lower is better. */
export function rankOf({ distance, vouched }: Pick<Standing, 'distance' | 'vouched'>): number {
  if (distance < Number.POSITIVE_INFINITY) return distance;
  return vouched ? Number.MAX_SAFE_INTEGER : Number.POSITIVE_INFINITY;
}

/**
 * Judges the last member of a chain. Throws `revoked`, `expired` or `not-admitted`.
 *
 * An expired or withdrawn invite admits nobody new. Who came in time shows a countersignature of that time; it counts
 * as far as the one who signed it is a member, which is judged in the same way. So every chain ends in the root key,
 * in an invite that is valid now, or in a member whom this device itself admitted in time. Whoever finds an old
 * invite can sign in two devices and let them vouch for each other with a false date: that chain ends nowhere.
 */
export function judge(links: readonly Link[], grounds: Grounds): Standing {
  const link = links.at(-1);
  if (!link) throw new PeerwireError('not-admitted', 'The peer shows no membership.');
  const device = deviceIdOfSpki(link.spki);
  // First: no signature saves a member who was removed.
  if (grounds.revocations.isRevoked(device)) {
    throw new PeerwireError('revoked', 'The peer was removed from the network.');
  }
  return link.kind === 'certified' ? judgeCertified(link, grounds) : judgeJoined(link, device, links, grounds);
}

function judgeCertified({ member, signed }: CertifiedLink, { network, rootKey }: Grounds): Standing {
  if (!verifySigned('member', network, signed, rootKey)) throw forged();
  const { device, inviter, invite, date } = member;
  return { device, inviter, invite, certified: true, date, current: false, distance: 0, vouched: true };
}

function judgeJoined(link: JoinedLink, device: DeviceId, links: readonly Link[], grounds: Grounds): Standing {
  const { invite } = link.proof;
  verifyInvite(link.proof, grounds);
  if (!verifySigned('join', grounds.network, link.join, invite.spki)) throw forged();

  const withdrawn = withdrawnAt(link.proof, grounds.revocations);
  const lastDate = Math.min(invite.expires, withdrawn ?? invite.expires) + clockTolerance(invite);
  const current = withdrawn === undefined && grounds.now <= lastDate;
  const voucher = voucherOf(link, device, links, lastDate, grounds);
  const vouched = voucher !== undefined;
  const standing = { device, inviter: invite.inviter, invite: invite.id, certified: false, current, vouched };

  if (voucher && voucher.distance < Number.POSITIVE_INFINITY) {
    return { ...standing, date: voucher.date, distance: voucher.distance + 1 };
  }
  const distance = Number.POSITIVE_INFINITY;
  const remembered = grounds.remembered(device, invite.id);
  if (remembered !== undefined && remembered <= lastDate) return { ...standing, date: remembered, distance };
  if (current) return { ...standing, date: grounds.now, distance };
  if (voucher) return { ...standing, date: voucher.date, distance };
  throw withdrawn === undefined
    ? new PeerwireError('expired', 'The invite of the peer expired before any member confirmed it.')
    : new PeerwireError('revoked', 'The invite of the peer was withdrawn before any member confirmed it.');
}

/** Who countersigned in time, and when; undefined when nobody did whom we can judge to be a member. */
function voucherOf(
  link: JoinedLink,
  device: DeviceId,
  links: readonly Link[],
  lastDate: number,
  grounds: Grounds,
): { date: number; distance: number } | undefined {
  const voucher = links.at(-2);
  if (!link.countersignature || !voucher) return undefined;
  const { invite } = link.proof;
  const about = readCountersignature(link.countersignature);
  if (about.device !== device || about.invite !== invite.id) return undefined;
  if (about.date > lastDate || about.date < invite.created - clockTolerance(invite)) return undefined;
  if (!verifySigned('countersign', grounds.network, link.countersignature, voucher.spki)) return undefined;
  try {
    return { date: about.date, distance: judge(links.slice(0, -1), grounds).distance };
  } catch (error) {
    // A countersignature by one who is no member is none.
    if (error instanceof PeerwireError) return undefined;
    throw error;
  }
}

/** Throws `not-admitted` unless the root key, or a certified member who may invite, issued the invite. */
export function verifyInvite(proof: InviteProof, { network, rootKey }: Pick<Grounds, 'network' | 'rootKey'>): void {
  const { invite, signed, issuer } = proof;
  if (!issuer) {
    if (!verifySigned('invite', network, signed, rootKey)) throw forged();
    return;
  }
  const { member } = issuer;
  if (!verifySigned('member', network, issuer.signed, rootKey)) throw forged();
  if ((member.rights & MAY_INVITE) === 0 || member.device !== invite.inviter) throw forged();
  if (!verifySigned('invite', network, signed, member.spki)) throw forged();
}

/** When an invite was withdrawn: by itself, or with the member who issued it. */
function withdrawnAt({ invite, issuer }: InviteProof, revocations: Grounds['revocations']): number | undefined {
  const own = revocations.dateOf({ kind: 'invite', invite: invite.id }, issuer?.member.device);
  const issuers = issuer && revocations.dateOf({ kind: 'device', device: issuer.member.device });
  if (own === undefined || issuers === undefined) return own ?? issuers;
  return Math.min(own, issuers);
}

function forged(): PeerwireError {
  return new PeerwireError('not-admitted', 'The membership of the peer is not signed by this network.');
}
