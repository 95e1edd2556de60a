import { bytesOf, decode, dictOf, type Encodable, encode, field, intOf, listOf } from '../../bittorrent/bencode.ts';
import { PeerwireError } from '../../common/errors.ts';
import { MAX_CREDENTIALS } from '../../transport/member-handshake.ts';
import { type InviteCertificate, type MemberCertificate, readInvite, readJoin, readMember } from './certificates.ts';
import { type Signed, signedField, signedFromBencode, signedToBencode } from './signed.ts';

/** Members in a chain of countersignatures, the one who shows it included. */
export const MAX_LINKS = 8;

/** An invite certificate with what is needed to verify it. */
export interface InviteProof {
  readonly invite: InviteCertificate;
  readonly signed: Signed;
  /** The issuer's certificate; undefined when the root key issued the invite. */
  readonly issuer: { readonly member: MemberCertificate; readonly signed: Signed } | undefined;
}

/** One member of a chain, each countersigned by the one before it. Nothing is verified yet. */
export type Link = CertifiedLink | JoinedLink;

export interface CertifiedLink {
  readonly kind: 'certified';
  readonly spki: Buffer;
  readonly member: MemberCertificate;
  readonly signed: Signed;
}

export interface JoinedLink {
  readonly kind: 'joined';
  readonly spki: Buffer;
  readonly proof: InviteProof;
  readonly join: Signed;
  /** By the link before. */
  readonly countersignature: Signed | undefined;
}

/** What a member shows of itself: the chain that ends with it, and what it knows of revocations. */
export interface Credentials {
  readonly links: readonly Link[];
  /** `Revocations.head`, 32 bytes. */
  readonly revocationHead: Buffer;
}

export function encodeInviteProof(proof: InviteProof): { [key: string]: Encodable } {
  const invite = signedToBencode(proof.signed);
  return proof.issuer ? { ...invite, a: signedToBencode(proof.issuer.signed) } : invite;
}

/** Throws `bad-encoding`. */
export function decodeInviteProof(value: Parameters<typeof dictOf>[0]): InviteProof {
  const dict = dictOf(value);
  const signed = signedFromBencode(dict);
  const issuer = signedField(dict, 'a');
  return {
    invite: readInvite(signed),
    signed,
    issuer: issuer && { member: readMember(issuer), signed: issuer },
  };
}

export function encodeCredentials({ links, revocationHead }: Credentials): Buffer {
  // Members of one chain often came by the same invite: it is written once.
  const invites = new Map<string, InviteProof>();
  for (const link of links) if (link.kind === 'joined') invites.set(link.proof.invite.id, link.proof);
  const order = [...invites.keys()];
  return encode({
    v: 1,
    h: revocationHead,
    i: [...invites.values()].map(encodeInviteProof),
    l: links.map((link) => encodeLink(link, order)),
  });
}

function encodeLink(link: Link, invites: readonly string[]): Encodable {
  if (link.kind === 'certified') return { m: signedToBencode(link.signed) };
  const joined = { i: invites.indexOf(link.proof.invite.id), j: signedToBencode(link.join) };
  return link.countersignature ? { ...joined, c: signedToBencode(link.countersignature) } : joined;
}

/** Reads what a stranger sent; verifies no signature. Throws `bad-encoding`. */
export function decodeCredentials(bytes: Uint8Array): Credentials {
  if (bytes.length > MAX_CREDENTIALS) throw new PeerwireError('bad-encoding', 'The credentials are too long.');
  const dict = dictOf(decode(bytes, { depth: 8, tokens: 512 }));
  if (intOf(field(dict, 'v')) !== 1) throw new PeerwireError('bad-encoding', 'Credentials of an unknown version.');
  const invites = listOf(field(dict, 'i'));
  const links = listOf(field(dict, 'l'));
  if (links.length < 1 || links.length > MAX_LINKS || invites.length > links.length) {
    throw new PeerwireError('bad-encoding', 'The credentials have a wrong number of parts.');
  }
  const proofs = invites.map(decodeInviteProof);
  return {
    links: links.map((link) => decodeLink(link, proofs)),
    revocationHead: bytesOf(field(dict, 'h'), 32),
  };
}

function decodeLink(value: Parameters<typeof dictOf>[0], invites: readonly InviteProof[]): Link {
  const dict = dictOf(value);
  const certificate = signedField(dict, 'm');
  if (certificate) {
    const member = readMember(certificate);
    return { kind: 'certified', spki: member.spki, member, signed: certificate };
  }
  const proof = invites[intOf(field(dict, 'i'), 0)];
  const join = signedField(dict, 'j');
  if (!proof || !join) throw new PeerwireError('bad-encoding', 'The credentials are incomplete.');
  return { kind: 'joined', spki: readJoin(join), proof, join, countersignature: signedField(dict, 'c') };
}
