import type { DeviceId, InfoHash, ShareId } from '../../common/ids.ts';
import type { HoldEntry, PeerCatalogue, ShareEntry, SignedSection } from './catalogue.ts';
import { compareVersions } from './catalogue.ts';
import { type PeerRef, peerKey } from './channel.ts';

export interface IndexedHolder {
  readonly peer: PeerRef;
  readonly complete: boolean;
}

/** Answers questions about all catalogues together. Built when first asked after a change. */
export class CatalogueIndex {
  readonly #sections: () => Iterable<SignedSection>;
  #catalogues: Map<string, PeerCatalogue> | undefined;
  #holders: Map<InfoHash, IndexedHolder[]> | undefined;

  constructor(sections: () => Iterable<SignedSection>) {
    this.#sections = sections;
  }

  invalidate(): void {
    this.#catalogues = undefined;
    this.#holders = undefined;
  }

  catalogues(): readonly PeerCatalogue[] {
    return [...this.#byPeer().values()];
  }

  catalogueOf(peer: PeerRef): PeerCatalogue | undefined {
    return this.#byPeer().get(peerKey(peer));
  }

  holdersOf(infohash: InfoHash): readonly IndexedHolder[] {
    this.#holders ??= this.#buildHolders();
    return this.#holders.get(infohash) ?? [];
  }

  /** The share in its newest version, whichever of the owner's peers lists it. */
  shareOf(owner: DeviceId, share: ShareId): ShareEntry | undefined {
    let found: ShareEntry | undefined;
    for (const catalogue of this.#byPeer().values()) {
      if (catalogue.device !== owner) continue;
      const entry = catalogue.shares.find((candidate) => candidate.share === share);
      if (entry !== undefined && (found === undefined || entry.version > found.version)) found = entry;
    }
    return found;
  }

  #byPeer(): Map<string, PeerCatalogue> {
    this.#catalogues ??= this.#buildCatalogues();
    return this.#catalogues;
  }

  #buildCatalogues(): Map<string, PeerCatalogue> {
    const groups = new Map<string, SignedSection[]>();
    for (const signed of this.#sections()) {
      const key = peerKey(signed.section);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [signed]);
      else group.push(signed);
    }
    const catalogues = new Map<string, PeerCatalogue>();
    for (const [key, group] of groups) catalogues.set(key, merge(group));
    return catalogues;
  }

  #buildHolders(): Map<InfoHash, IndexedHolder[]> {
    const holders = new Map<InfoHash, IndexedHolder[]>();
    for (const catalogue of this.#byPeer().values()) {
      const peer = { device: catalogue.device, instance: catalogue.instance };
      const versions = new Map<InfoHash, boolean>();
      for (const entry of catalogue.holds) {
        versions.set(entry.infohash, entry.complete || versions.get(entry.infohash) === true);
      }
      for (const entry of catalogue.shares) versions.set(entry.infohash, true);
      for (const [infohash, complete] of versions) {
        const list = holders.get(infohash);
        if (list === undefined) holders.set(infohash, [{ peer, complete }]);
        else list.push({ peer, complete });
      }
    }
    return holders;
  }
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
