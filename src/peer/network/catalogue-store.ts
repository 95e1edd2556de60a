import { bytesOf, decode, encode, listOf } from '../../bittorrent/bencode.ts';
import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorMessage, PeerwireError, toPeerwireError } from '../../common/errors.ts';
import { Emitter, type Event } from '../../common/event.ts';
import type { DeviceId, InfoHash, NetworkId, ShareId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { verifySignature } from '../../transport/identity.ts';
import type { StateStore } from '../state-store.ts';
import {
  audienceKey,
  compareVersions,
  decodeSection,
  mayRead,
  type PeerCatalogue,
  type Section,
  type SignedSection,
} from './catalogue.ts';
import { CatalogueIndex } from './catalogue-index.ts';
import { type PeerRef, peerKey } from './channel.ts';
import { FairShare, type Kept } from './fair-share.ts';
import { PastSections } from './past-sections.ts';

/** One device's part of the store: its windows, times the audiences it shares with. */
export const MAX_SECTIONS_PER_DEVICE = 128;
export const MAX_BYTES_PER_DEVICE = 16 * 1024 * 1024;
export const MAX_SECTIONS = 4096;
export const MAX_BYTES = 64 * 1024 * 1024;
/** A section that its owner did not sign again for so long (ms) is forgotten; owners do so weekly while they run. */
export const SECTION_LIFETIME = 90 * 24 * 60 * 60 * 1000;

const FILE = 'catalogues';
/** Milliseconds between a change and its writing: what is lost by a crash is gossiped again. */
const SAVE_DELAY = 3000;
const LOAD_BATCH = 50;

/** What became of a section that someone sent us. */
export type Offer =
  | { readonly kind: 'new'; readonly signed: SignedSection }
  /** Nothing newer than what we have: a repetition or a rollback. */
  | { readonly kind: 'known' }
  /** Its owner signed two different sections with one version. The first stays. */
  | { readonly kind: 'conflict' }
  /** Signed by this very peer in another life: our own state is behind what others have seen. */
  | { readonly kind: 'own'; readonly signed: SignedSection }
  | { readonly kind: 'refused'; readonly reason: PeerwireError };

/** Who belongs to the network: `NetworkTrust` does. */
export interface MemberRegister {
  isRevoked(device: DeviceId): boolean;
  /** Throws unless the credentials prove membership of the key. */
  admit(
    device: DeviceId,
    spki: Buffer,
    credentials: Buffer,
  ): { readonly member: { readonly inviter: DeviceId | undefined } };
}

export interface CatalogueStoreOptions {
  readonly network: NetworkId;
  readonly self: PeerRef;
  readonly members: MemberRegister;
  readonly state: Pick<StateStore, 'readBytes' | 'writeBytes'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of members that have no section here, as far as it is remembered. */
  readonly inviterOf?: (device: DeviceId) => DeviceId | undefined;
}

/**
 * The newest verified section of every (peer, audience) of a network, our own ones included. Nothing enters unless its
 * signature, its signer's membership and its version were checked, whether it comes from a peer or from disk. It
 * survives restarts, so that shares of peers that are offline stay listed.
 */
export class CatalogueStore implements Disposable {
  readonly #options: CatalogueStoreOptions;
  readonly #sections = new Map<string, SignedSection>();
  readonly #changed = new Emitter<string>();
  readonly #index: CatalogueIndex;
  /** Who invited the devices whose sections are here, and maybe some others. */
  readonly #inviters = new Map<DeviceId, DeviceId>();
  /** Of sections of others. */
  readonly #room: FairShare;
  #saveTimer: Disposable | undefined;
  #disposed = false;

  readonly past = new PastSections();
  /** A section was added or replaced; the value is its key. */
  readonly onChanged: Event<string> = this.#changed.event;

  constructor(options: CatalogueStoreOptions) {
    this.#options = options;
    this.#room = new FairShare((device) => this.#inviters.get(device) ?? options.inviterOf?.(device));
    this.#index = new CatalogueIndex(() => this.#sections.values());
  }

  /** Reads what an earlier run kept. What does not verify any more is left out. */
  async load(): Promise<void> {
    const bytes = await this.#options.state.readBytes(FILE);
    if (bytes === undefined) return;
    let items: Buffer[];
    try {
      items = listOf(decode(bytes)).map((item) => bytesOf(item));
    } catch (error) {
      this.#options.logger.warn(
        `The stored catalogues cannot be read and will be fetched again: ${errorMessage(error)}`,
      );
      return;
    }
    for (const [i, item] of items.entries()) {
      if (this.#disposed) return;
      const outcome = this.#judge(item);
      if (outcome.kind === 'new' || outcome.kind === 'own') this.#set(outcome.signed);
      if (i % LOAD_BATCH === LOAD_BATCH - 1) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Judges a section received from a peer and keeps it when it is new.
   *
   * @param key which section the peer says it is: what is kept of that need not be read again
   */
  offer(bytes: Uint8Array, key?: string): Offer {
    const outcome = this.#judge(bytes, key === undefined ? undefined : this.#sections.get(key));
    if (outcome.kind === 'new') {
      if (!this.#makeRoom(outcome.signed)) return refuse('The device lists more than this peer keeps.');
      this.#keep(outcome.signed);
    }
    return outcome;
  }

  /** Keeps a section that this peer has signed. */
  putOwn(signed: SignedSection): void {
    this.#keep(signed);
  }

  get(key: string): SignedSection | undefined {
    return this.#sections.get(key);
  }

  entries(): IterableIterator<[string, SignedSection]> {
    return this.#sections.entries();
  }

  own(): SignedSection[] {
    return [...this.#sections.values()].filter(({ section }) => this.isOwn(section));
  }

  isOwn(peer: PeerRef): boolean {
    return peerKey(peer) === peerKey(this.#options.self);
  }

  /** Forgets everything that a device signed. True when there was something. */
  dropDevice(device: DeviceId): boolean {
    let dropped = false;
    for (const [key, { section }] of this.#sections) {
      if (section.device === device && !this.isOwn(section)) dropped = this.#delete(key, section) || dropped;
    }
    if (dropped) this.#afterChange();
    return dropped;
  }

  /** Forgets sections whose owners have not been seen for too long. */
  expire(): void {
    const oldest = this.#options.clock.wallTime() - SECTION_LIFETIME;
    let expired = false;
    for (const [key, { section }] of this.#sections) {
      if (section.time < oldest && !this.isOwn(section)) expired = this.#delete(key, section) || expired;
    }
    if (expired) this.#afterChange();
  }

  /** One for each peer but ourselves. */
  catalogues(): readonly PeerCatalogue[] {
    return this.#index.catalogues().filter((catalogue) => !this.isOwn(catalogue));
  }

  catalogueOf(peer: PeerRef): PeerCatalogue | undefined {
    return this.#index.catalogueOf(peer);
  }

  /** Peers that own a version or hold pieces of it, and whether they have all of it. Ourselves excluded. */
  holdersOf(infohash: InfoHash): readonly { readonly peer: PeerRef; readonly complete: boolean }[] {
    return this.#index.holdersOf(infohash).filter(({ peer }) => !this.isOwn(peer));
  }

  /** The share as its owner last signed it, `to` included. */
  shareOf(owner: DeviceId, share: ShareId): PeerCatalogue['shares'][number] | undefined {
    return this.#index.shareOf(owner, share);
  }

  /** Writes now. */
  async save(): Promise<void> {
    this.#saveTimer?.dispose();
    this.#saveTimer = undefined;
    await this.#options.state.writeBytes(FILE, encode([...this.#sections.values()].map(({ bytes }) => bytes)));
  }

  dispose(): void {
    this.#disposed = true;
    this.#saveTimer?.dispose();
    this.#changed.dispose();
  }

  #judge(bytes: Uint8Array, before?: SignedSection): Offer {
    try {
      const { proof, ...signed } = decodeSection(bytes, before);
      const { section, spki } = signed;
      const { members, network, self, clock } = this.#options;
      if (section.network !== network) return refuse('The section belongs to another network.');
      const known = this.#sections.get(keyOf(section));
      const order = known === undefined ? 1 : compareVersions(section, known.section);
      if (order < 0 || (order === 0 && known?.body.equals(signed.body))) return { kind: 'known' };
      if (!verifySignature(spki, proof.data, proof.signature)) return refuse('The signature is wrong.');
      if (this.isOwn(section)) return { kind: 'own', signed };
      if (!mayRead(section, self.device)) return refuse('The section is not addressed to this device.');
      if (section.time < clock.wallTime() - SECTION_LIFETIME) return refuse('The section is too old.');
      // Or it would outlive everything, and count as the newest of its device for ever.
      if (section.time > clock.wallTime() + SECTION_LIFETIME) return refuse('The section is of the far future.');
      if (members.isRevoked(section.device)) return refuse('Its signer is revoked.');
      const { inviter } = members.admit(section.device, spki, signed.credentials).member;
      if (inviter !== undefined) this.#noteInviter(section.device, inviter);
      return order === 0 ? { kind: 'conflict' } : { kind: 'new', signed };
    } catch (error) {
      return { kind: 'refused', reason: toPeerwireError(error) };
    }
  }

  /** False when the section must not be kept: its device, or everyone together, would take more than their room. */
  #makeRoom({ section, bytes }: SignedSection): boolean {
    const key = keyOf(section);
    let all = bytes.length;
    let count = 1;
    const siblings: SignedSection[] = [];
    for (const [other, signed] of this.#sections) {
      if (other === key) continue;
      all += signed.bytes.length;
      count++;
      if (signed.section.device === section.device) siblings.push(signed);
    }
    siblings.sort((a, b) => a.section.time - b.section.time);
    let size = siblings.reduce((sum, signed) => sum + signed.bytes.length, bytes.length);
    while (siblings.length >= MAX_SECTIONS_PER_DEVICE || size > MAX_BYTES_PER_DEVICE) {
      const oldest = siblings.shift();
      if (oldest === undefined || oldest.section.time > section.time) return false;
      size -= oldest.bytes.length;
      all -= oldest.bytes.length;
      count--;
      this.#delete(keyOf(oldest.section), oldest.section);
    }
    return this.#giveWay(keptOf(section, bytes), count, all);
  }

  /** Lets those go who take up most, with all whom they invited; false when that is who wants to come in. */
  #giveWay(item: Kept, count: number, all: number): boolean {
    if (count <= MAX_SECTIONS && all <= MAX_BYTES) return true;
    const before = this.#room.remove(item.key);
    this.#room.add(item);
    const leaving: Kept[] = [];
    while (count > MAX_SECTIONS || all > MAX_BYTES) {
      const first = this.#room.first();
      if (first === undefined || first.key === item.key) {
        this.#room.remove(item.key);
        for (const kept of [...leaving, ...(before ? [before] : [])]) this.#room.add(kept);
        return false;
      }
      this.#room.remove(first.key);
      leaving.push(first);
      all -= first.bytes;
      count--;
    }
    for (const { key } of leaving) {
      const signed = this.#sections.get(key);
      if (signed !== undefined) this.#delete(key, signed.section);
    }
    return true;
  }

  #noteInviter(device: DeviceId, inviter: DeviceId): void {
    this.#inviters.set(device, inviter);
    if (this.#inviters.size <= 2 * MAX_SECTIONS) return;
    const here = new Set([...this.#sections.values()].map(({ section }) => section.device));
    for (const other of this.#inviters.keys()) if (!here.has(other) && other !== device) this.#inviters.delete(other);
  }

  #keep(signed: SignedSection): void {
    this.#set(signed);
    this.#afterChange();
    this.#changed.fire(keyOf(signed.section));
  }

  #set(signed: SignedSection): void {
    const key = keyOf(signed.section);
    const before = this.#sections.get(key);
    if (before !== undefined) this.past.add(key, before);
    this.#sections.set(key, signed);
    if (!this.isOwn(signed.section)) this.#room.add(keptOf(signed.section, signed.bytes));
    this.#index.invalidate(signed.section);
  }

  #delete(key: string, section: Section): boolean {
    this.#index.invalidate(section);
    this.#room.remove(key);
    return this.#sections.delete(key);
  }

  #afterChange(): void {
    if (this.#disposed || this.#saveTimer !== undefined) return;
    this.#saveTimer = this.#options.clock.setTimeout(() => {
      this.save().catch((error) => this.#options.logger.warn(`Catalogues were not saved: ${errorMessage(error)}`));
    }, SAVE_DELAY);
  }
}

/** Names a section: `device/instance/audience`. */
export function keyOf(section: Pick<Section, 'device' | 'instance' | 'to'>): string {
  return sectionKey(section, audienceKey(section.to));
}

function keptOf(section: Section, { length }: Uint8Array): Kept {
  return { key: keyOf(section), device: section.device, bytes: length, time: section.time };
}

export function sectionKey(peer: PeerRef, audience: string): string {
  return `${peer.device}/${peer.instance}/${audience}`;
}

function refuse(message: string): Offer {
  return { kind: 'refused', reason: new PeerwireError('protocol', message) };
}
