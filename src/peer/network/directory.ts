import { type DeviceId, formatDeviceId, type InfoHash, type ShareId } from '../../common/ids.ts';
import type { PeerCatalogue } from './catalogue.ts';
import type { CatalogueStore } from './catalogue-store.ts';
import type { PeerRef } from './channel.ts';
import type { ControlPeer } from './control-peer.ts';
import { addressOf, type Links } from './links.ts';

export interface ControlPeerInfo extends PeerRef {
  /** From its catalogue; until that arrives, what it called itself when it connected. */
  readonly name: string;
  /** `host:port` at which it can be dialled; undefined when it is outbound only. */
  readonly address: string | undefined;
  /** `relay`: another member passes on what we say to each other. */
  readonly via: 'direct' | 'relay';
  /** When it connected, ms since the Unix epoch. */
  readonly since: number;
}

export interface KnownCatalogue extends PeerCatalogue {
  /** The peer that signed it is connected now. */
  readonly online: boolean;
}

export interface Holder extends ControlPeerInfo {
  /** It owns the version or holds every piece of it. */
  readonly complete: boolean;
}

/** Who may have a version: every member, or these devices (the owner is among them). */
export type Audience = 'everyone' | ReadonlySet<DeviceId>;

/** Who of a network is here, and who has what: what its connections and catalogues say together. */
export class Directory {
  readonly #links: Links;
  readonly #store: CatalogueStore;

  constructor(links: Links, store: CatalogueStore) {
    this.#links = links;
    this.#store = store;
  }

  /** Connected control peers, other windows of this device included. */
  peers(): readonly ControlPeerInfo[] {
    return [...this.#links.byPeer()].map((links) => this.#describe(links));
  }

  isConnected(peer: PeerRef): boolean {
    return this.#links.has(peer);
  }

  /** What a device is called by one of its peers: the connected ones come first. Undefined for one that nobody knows. */
  nameOf(device: DeviceId): string | undefined {
    for (const link of this.#links.all()) if (link.peer.device === device) return this.#nameOf(link);
    return this.#store.catalogues().find((catalogue) => catalogue.device === device)?.name;
  }

  /** Every verified catalogue but our own, also of peers that are offline. */
  catalogues(): readonly KnownCatalogue[] {
    return this.#store.catalogues().map((catalogue) => ({ ...catalogue, online: this.#links.has(catalogue) }));
  }

  /** Connected peers that own the version or hold pieces of it. */
  holdersOf(infohash: InfoHash): readonly Holder[] {
    return this.#store.holdersOf(infohash).flatMap(({ peer, complete }) => {
      const links = this.#links.to(peer);
      return links.length === 0 ? [] : [{ ...this.#describe(links), complete }];
    });
  }

  /** How many `holdersOf` names: asked for every share whenever all are listed. */
  countHolders(infohash: InfoHash): number {
    let count = 0;
    for (const { peer } of this.#store.holdersOf(infohash)) if (this.#links.has(peer)) count++;
    return count;
  }

  /**
   * The access list of a share as its owner last signed it, own shares included; undefined when no catalogue lists it.
   * Ask for the share under which you got a version: that another member lists the same infohash opens nothing.
   */
  audienceOf(owner: DeviceId, share: ShareId): Audience | undefined {
    const entry = this.#store.shareOf(owner, share);
    if (entry === undefined) return undefined;
    return entry.to === undefined ? 'everyone' : new Set([owner, ...entry.to]);
  }

  #describe(links: readonly ControlPeer[]): ControlPeerInfo {
    const newest = links.at(-1);
    const oldest = links[0];
    if (newest === undefined || oldest === undefined) throw new RangeError('A connected peer has a connection.');
    return {
      ...newest.peer,
      name: this.#nameOf(newest),
      address: addressOf(links),
      via: links.every((link) => link.relayed) ? 'relay' : 'direct',
      since: oldest.since,
    };
  }

  #nameOf({ peer, name }: ControlPeer): string {
    return this.#store.catalogueOf(peer)?.name ?? name ?? formatDeviceId(peer.device).slice(0, 9);
  }
}
