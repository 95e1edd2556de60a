import { randomBytes } from 'node:crypto';
import { sha256 } from '../../bittorrent/merkle.ts';
import { PeerwireError } from '../../common/errors.ts';
import { type DeviceId, type NetworkId, networkIdFromBytes } from '../../common/ids.ts';
import { createIdentity, type Identity } from '../../transport/identity.ts';
import { checkTrackerUrl } from '../../transport/tracker-url.ts';
import { MAY_ADMIN, MAY_INVITE, readMember, signJoin, signMember } from './certificates.ts';
import { type CertifiedLink, encodeCredentials, type JoinedLink, type Link } from './credentials.ts';
import { type Invite, MAX_TRACKERS, SECRET_SIZE } from './invite.ts';
import { displayName } from './names.ts';
import type { Sign } from './signed.ts';
import { Statements } from './statements.ts';
import type { TrustState } from './trust-state.ts';

/**
 * A new network: its root key, its secret and the creator's own membership, signed by the root key. `now`:
 * milliseconds since the epoch. Throws `usage` (name) or `unsupported` (a tracker URL).
 */
export function foundNetwork(identity: Identity, name: string, trackers: readonly string[], now: number): TrustState {
  const shown = displayName(name);
  if (shown === '') throw new PeerwireError('usage', 'A network needs a name.');
  const root = createIdentity();
  const network = networkIdFromBytes(sha256(root.spki));
  return {
    network,
    name: shown,
    rootKey: root.spki,
    secret: randomBytes(SECRET_SIZE),
    rootPrivateKey: root.keyPem,
    trackers: checkTrackers(trackers),
    ...firstState(
      network,
      root.spki,
      certify(network, { spki: identity.spki, inviter: undefined, date: now }, root.sign),
    ),
  };
}

/** Membership by an invite, which works offline. Throws `expired`. */
export function enterNetwork(identity: Identity, invite: Invite, now: number): TrustState {
  const { network, networkName, rootKey, secret, trackers } = invite;
  const link = signIn(identity, invite, now);
  const keys = { network, name: networkName, rootKey, secret, rootPrivateKey: undefined };
  return { ...keys, trackers, ...firstState(network, rootKey, link) };
}

/** The invite key signs the device in. Its private half is not kept: the device needs it no more. Throws `expired`. */
export function signIn(identity: Identity, { network, key, proof, expires }: Invite, now: number): JoinedLink {
  // By our own clock, without tolerance: that is for those who judge us.
  if (now > expires) throw new PeerwireError('expired', 'This invite has expired. Ask for a new one.');
  const join = signJoin(network, identity.spki, key.sign);
  return { kind: 'joined', spki: identity.spki, proof, join, countersignature: undefined };
}

/** The creator certifies whom it meets: such a member needs no countersignatures, and may invite others. */
export function certify(
  network: NetworkId,
  member: {
    readonly spki: Buffer;
    readonly inviter: DeviceId | undefined;
    readonly invite?: string | undefined;
    readonly date: number;
    readonly admin?: boolean;
  },
  root: Sign,
): CertifiedLink {
  const { spki, inviter, invite, date, admin } = member;
  const rights = admin ? MAY_INVITE | MAY_ADMIN : MAY_INVITE;
  const signed = signMember(network, { spki, inviter, invite, date, rights }, root);
  return { kind: 'certified', spki: member.spki, member: readMember(signed), signed };
}

/** Throws `usage` or `unsupported`. */
export function checkTrackers(trackers: readonly string[]): string[] {
  if (trackers.length > MAX_TRACKERS)
    throw new PeerwireError('usage', `A network has ${MAX_TRACKERS} trackers at most.`);
  return [...new Set(trackers.map((url) => checkTrackerUrl(url.trim()).href))];
}

function firstState(
  network: NetworkId,
  rootKey: Buffer,
  link: Link,
): Pick<TrustState, 'credentials' | 'revocations' | 'met' | 'invites'> {
  const nothing = new Statements(network, rootKey);
  const credentials = encodeCredentials({ links: [link], revocationHead: Buffer.from(nothing.head, 'hex') });
  return { credentials, revocations: nothing.encode(), met: [], invites: [] };
}
