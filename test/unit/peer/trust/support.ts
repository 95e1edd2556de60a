import {
  decodeCredentials,
  encodeCredentials,
  type JoinedLink,
  type Link,
} from '../../../../src/peer/trust/credentials.ts';
import type { Member } from '../../../../src/peer/trust/membership.ts';
import { NetworkTrust } from '../../../../src/peer/trust/membership.ts';
import { createIdentity, type Identity, loadIdentity } from '../../../../src/transport/identity.ts';
import type { Admission } from '../../../../src/transport/network-access.ts';
import { HandClock } from '../../transport/support.ts';

export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;

/** A device and its membership of the network under test. */
export interface Person {
  readonly identity: Identity;
  readonly trust: NetworkTrust;
}

/** A network with its creator, and clocks that all agree. */
export class World {
  readonly clock = new HandClock();
  readonly creator: Person;

  constructor() {
    const identity = createIdentity();
    const trust = NetworkTrust.createNetwork(identity, 'team', [], { clock: this.clock });
    this.creator = { identity, trust };
  }

  /** The root key itself, as the creator's device stores it. */
  get root(): Identity {
    return loadIdentity(JSON.parse(this.creator.trust.serialize()).rootPrivateKey);
  }

  invite(validFor = 7 * DAY, inviter = this.creator): string {
    return inviter.trust.createInvite({ inviterName: 'inviter', validFor });
  }

  join(invite = this.invite(), identity = createIdentity()): Person {
    return { identity, trust: NetworkTrust.joinNetwork(identity, invite, { clock: this.clock }) };
  }

  /** Stores and loads, as a restart does. */
  restart({ identity, trust }: Person): Person {
    return { identity, trust: NetworkTrust.load(identity, trust.serialize(), { clock: this.clock }) };
  }
}

/** One direction of a handshake: `by` judges what `shown` shows. */
export function admit(by: Person, shown: Person, credentials = shown.trust.credentials()): Admission<Member> {
  return by.trust.admit(shown.identity.device, shown.identity.spki, credentials);
}

/** A whole handshake: both admit each other and take the countersignatures. */
export function meet(a: Person, b: Person): void {
  const forB = admit(a, b).countersignature;
  const forA = admit(b, a).countersignature;
  if (forB) b.trust.acceptCountersignature(forB);
  if (forA) a.trust.acceptCountersignature(forA);
}

export function linksOf(person: Person): readonly Link[] {
  return decodeCredentials(person.trust.credentials()).links;
}

export function joinedLink(person: Person): JoinedLink {
  const link = linksOf(person).at(-1);
  if (link?.kind !== 'joined') throw new Error('certified by the creator');
  return link;
}

export function chainOf(...links: readonly Link[]): Buffer {
  return encodeCredentials({ links, revocationHead: Buffer.alloc(32) });
}
