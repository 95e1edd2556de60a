import { randomBytes } from 'node:crypto';
import type { BValue } from '../../../../src/bittorrent/bencode.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import {
  type DeviceId,
  infoHashFromBytes,
  type NetworkId,
  networkIdFromBytes,
  parsePeerInstance,
  shareIdFromBytes,
} from '../../../../src/common/ids.ts';
import { silentLogger } from '../../../../src/common/log.ts';
import type { HoldEntry, Section, ShareEntry } from '../../../../src/peer/network/catalogue.ts';
import { CatalogueStore, type MemberRegister } from '../../../../src/peer/network/catalogue-store.ts';
import { peerKey } from '../../../../src/peer/network/channel.ts';
import { OwnCatalogue } from '../../../../src/peer/network/own-catalogue.ts';
import { createIdentity, type Identity } from '../../../../src/transport/identity.ts';
import type { VirtualClock } from '../../../sim/virtual-clock.ts';

export const NETWORK: NetworkId = networkIdFromBytes(Buffer.alloc(32, 7));

export interface TestPeer {
  readonly identity: Identity;
  readonly device: DeviceId;
  readonly instance: ReturnType<typeof parsePeerInstance>;
}

export function testPeer(identity: Identity = createIdentity()): TestPeer {
  return { identity, device: identity.device, instance: parsePeerInstance(randomBytes(8).toString('hex')) };
}

/** So many peers, the smallest first (by `peerKey`). */
export function sortedPeers(count: number): TestPeer[] {
  return Array.from({ length: count }, () => testPeer()).sort((a, b) => (peerKey(a) < peerKey(b) ? -1 : 1));
}

/** Stands for membership chains: credentials are the device's id in text. */
export class TestRegister implements MemberRegister {
  readonly revoked = new Set<DeviceId>();
  readonly inviters = new Map<DeviceId, DeviceId>();

  isRevoked(device: DeviceId): boolean {
    return this.revoked.has(device);
  }

  admit(device: DeviceId, _spki: Buffer, credentials: Buffer): { member: { inviter: DeviceId | undefined } } {
    if (credentials.toString() !== device) throw new PeerwireError('not-admitted', 'Not a member.');
    return { member: { inviter: this.inviters.get(device) } };
  }
}

export function memoryState() {
  const files = new Map<string, Buffer>();
  return {
    files,
    readBytes: (name: string): Promise<Buffer | undefined> => Promise.resolve(files.get(name)),
    writeBytes: (name: string, value: Uint8Array): Promise<void> => {
      files.set(name, Buffer.from(value));
      return Promise.resolve();
    },
  };
}

export interface TestNode {
  readonly peer: TestPeer;
  readonly store: CatalogueStore;
  readonly own: OwnCatalogue;
  readonly state: ReturnType<typeof memoryState>;
  readonly warnings: string[];
}

/** A store with the own catalogue that fills it. */
export function testNode(
  clock: VirtualClock,
  register = new TestRegister(),
  peer = testPeer(),
  state = memoryState(),
): TestNode {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (message: string): void => void warnings.push(message) };
  const self = { device: peer.device, instance: peer.instance };
  const store = new CatalogueStore({ network: NETWORK, self, members: register, state, clock, logger });
  const own = new OwnCatalogue(
    {
      self,
      network: NETWORK,
      signer: peer.identity,
      credentials: () => Buffer.from(peer.device),
      store,
      clock,
      logger,
    },
    'Ada@lab',
  );
  return { peer, store, own, state, warnings };
}

export function share(fields: Partial<ShareEntry> = {}): ShareEntry {
  return {
    share: shareIdFromBytes(randomBytes(16)),
    infohash: infoHashFromBytes(randomBytes(32)),
    name: 'notes.txt',
    kind: 'file',
    size: 1234,
    files: 1,
    version: 1,
    time: 1_790_000_000_000,
    ...fields,
  };
}

export function hold(of: ShareEntry, owner: DeviceId, complete = true): HoldEntry {
  return {
    infohash: of.infohash,
    share: of.share,
    owner,
    complete,
    ...(of.to === undefined ? {} : { to: [...of.to, owner] }),
  };
}

export function section(peer: TestPeer, fields: Partial<Section> = {}): Section {
  return {
    network: NETWORK,
    device: peer.device,
    instance: peer.instance,
    incarnation: 1,
    sequence: 1,
    time: 1_800_000_000_000,
    name: 'Ada@lab',
    shares: [],
    holds: [],
    ...fields,
  };
}

export function shareNames(shares: readonly ShareEntry[]): string[] {
  return shares.map((entry) => entry.name).sort();
}

/** Lets `ms` of virtual time pass. */
export async function advance(clock: VirtualClock, ms: number): Promise<void> {
  const end = clock.setTimeout(() => {}, ms);
  await clock.run(() => false, ms);
  end.dispose();
}

export function isMap(value: BValue): value is Map<string, BValue> {
  return value instanceof Map;
}
