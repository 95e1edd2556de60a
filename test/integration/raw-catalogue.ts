import { randomBytes } from 'node:crypto';
import { type DeviceId, type PeerInstance, shareIdFromBytes } from '../../src/common/ids.ts';
import {
  audienceKey,
  type Section,
  type ShareEntry,
  type SignedSection,
  signSection,
} from '../../src/peer/network/catalogue.ts';
import {
  decodeCatalogueMessage,
  encodeCatalogueMessage,
  partsOf,
  type SectionHead,
} from '../../src/peer/network/control-messages.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { type LoneMember, newInstance, type RawWire } from './lone-member.ts';
import { shareEntry } from './network-peer.ts';

/** A section that the member signs: as it is, whatever an honest peer would say. */
export function signed(member: LoneMember, fields: Partial<Section> = {}): SignedSection {
  const section: Section = {
    network: member.trust.network,
    device: member.device,
    instance: newInstance(),
    incarnation: 1,
    sequence: 1,
    time: Date.now(),
    name: 'lone',
    shares: [],
    holds: [],
    ...fields,
  };
  return signSection(section, member.identity, member.trust.credentials());
}

/** Pushes the section, as a peer does with its own. */
export function push(raw: RawWire, { section, bytes }: SignedSection, audience = ''): void {
  const { device, instance } = section;
  for (const part of partsOf(bytes))
    raw.wire.sendExtended(
      'pw_catalogue',
      encodeCatalogueMessage({ ...part, type: 'part', name: { device, instance, audience } }),
    );
}

/** Connects as a peer of the member that lists one share, and stays. */
export async function announceShare(
  member: LoneMember,
  peer: OpenPeer,
  { name, to, ...fields }: Partial<ShareEntry> & { name: string; to?: readonly DeviceId[] },
): Promise<RawWire> {
  const instance: PeerInstance = newInstance();
  const raw = await member.open(peer, member.trust.controlInfoHash, instance);
  await raw.until(() => raw.wire.supports('pw_catalogue'));
  const entry = shareEntry(name, { share: shareIdFromBytes(randomBytes(16)), ...fields });
  push(raw, signed(member, { instance, shares: [entry], ...(to === undefined ? {} : { to }) }), audienceOf(to));
  return raw;
}

function audienceOf(to: readonly DeviceId[] | undefined): string {
  return to === undefined ? '' : audienceKey(to);
}

/** Every head that the other end named. */
export function headsOf({ extended }: RawWire): readonly SectionHead[] {
  return extended.flatMap(({ name, payload }) => {
    const message = name === 'pw_catalogue' ? decodeCatalogueMessage(payload) : undefined;
    return message?.type === 'heads' ? message.heads : [];
  });
}
