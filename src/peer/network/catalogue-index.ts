import type { DeviceId, InfoHash, ShareId } from '../../common/ids.ts';
import type { HoldEntry, PeerCatalogue, ShareEntry, SignedSection } from './catalogue.ts';
import { compareVersions } from './catalogue.ts';
import { type PeerRef, peerKey } from './channel.ts';

export interface IndexedHolder {
  readonly peer: PeerRef;
  readonly complete: boolean;
}

interface Listed {
  readonly catalogue: PeerCatalogue;
  /** Every version that the peer owns or holds, and whether all of it. */
  readonly versions: ReadonlyMap<InfoHash, boolean>;
}

/** Answers questions about all catalogues together. A change costs the peer anew whose sections changed, when first asked. */
export class CatalogueIndex {
  readonly #sections: () => Iterable<SignedSection>;
  readonly #peers = new Map<string, Listed>();
  readonly #holders = new Map<InfoHash, Map<string, IndexedHolder>>();
  /** Keys of peers whose sections changed since. */
  readonly #changed = new Set<string>();

  constructor(sections: () => Iterable<SignedSection>) {
    this.#sections = sections;
  }

  /** The sections of this peer changed. */
  invalidate(peer: PeerRef): void {
    this.#changed.add(peerKey(peer));
  }

  catalogues(): readonly PeerCatalogue[] {
    this.#update();
    return [...this.#peers.values()].map(({ catalogue }) => catalogue);
  }

  catalogueOf(peer: PeerRef): PeerCatalogue | undefined {
    this.#update();
    return this.#peers.get(peerKey(peer))?.catalogue;
  }

  holdersOf(infohash: InfoHash): readonly IndexedHolder[] {
    this.#update();
    return [...(this.#holders.get(infohash)?.values() ?? [])];
  }

  /**
   * The share as its owner last signed it, whichever of the owner's peers lists it: the word of a window that was closed
   * since, or its version, counts for nothing against a later limit.
   */
  shareOf(owner: DeviceId, share: ShareId): ShareEntry | undefined {
    this.#update();
    let found: ShareEntry | undefined;
    let signed = Number.NEGATIVE_INFINITY;
    for (const { catalogue } of this.#peers.values()) {
      if (catalogue.device !== owner) continue;
      const entry = catalogue.shares.find((candidate) => candidate.share === share);
      if (entry === undefined || catalogue.time <= signed) continue;
      found = entry;
      signed = catalogue.time;
    }
    return found;
  }

  #update(): void {
    if (this.#changed.size === 0) return;
    const groups = new Map<string, SignedSection[]>([...this.#changed].map((key) => [key, []]));
    for (const signed of this.#sections()) groups.get(peerKey(signed.section))?.push(signed);
    this.#changed.clear();
    for (const [key, group] of groups) this.#replace(key, group);
  }

  #replace(key: string, group: readonly SignedSection[]): void {
    const before = this.#peers.get(key)?.versions;
    const catalogue = group.length === 0 ? undefined : merge(group);
    const versions = versionsOf(catalogue);
    if (catalogue === undefined) this.#peers.delete(key);
    else this.#peers.set(key, { catalogue, versions });
    for (const infohash of before?.keys() ?? []) {
      if (versions.has(infohash)) continue;
      const holders = this.#holders.get(infohash);
      holders?.delete(key);
      if (holders?.size === 0) this.#holders.delete(infohash);
    }
    if (catalogue === undefined) return;
    const peer = { device: catalogue.device, instance: catalogue.instance };
    for (const [infohash, complete] of versions) {
      if (before?.get(infohash) === complete) continue;
      const holders = this.#holders.get(infohash);
      if (holders === undefined) this.#holders.set(infohash, new Map([[key, { peer, complete }]]));
      else holders.set(key, { peer, complete });
    }
  }
}

function versionsOf(catalogue: PeerCatalogue | undefined): Map<InfoHash, boolean> {
  const versions = new Map<InfoHash, boolean>();
  for (const entry of catalogue?.holds ?? []) {
    versions.set(entry.infohash, entry.complete || versions.get(entry.infohash) === true);
  }
  for (const entry of catalogue?.shares ?? []) versions.set(entry.infohash, true);
  return versions;
}

/** The sections of one peer as one catalogue. While a share moves between audiences, its newest listing counts. */
function merge(group: readonly SignedSection[]): PeerCatalogue {
  const sections = group.map((signed) => signed.section).sort(compareVersions);
  const shares = new Map<ShareId, ShareEntry>();
  const holds = new Map<string, HoldEntry>();
  for (const section of sections) {
    for (const entry of section.shares) shares.set(entry.share, entry);
    for (const entry of section.holds) holds.set(`${entry.owner}/${entry.share}/${entry.infohash}`, entry);
  }
  const newest = sections.at(-1);
  if (newest === undefined) throw new RangeError('A catalogue has at least one section.');
  return {
    network: newest.network,
    device: newest.device,
    instance: newest.instance,
    name: newest.name,
    shares: [...shares.values()],
    holds: [...holds.values()],
    time: Math.max(...sections.map((section) => section.time)),
  };
}
