import { PeerwireError } from '../common/errors.ts';
import {
  type DeviceId,
  deviceIdIn,
  formatDeviceId,
  type InfoHash,
  type NetworkId,
  type ShareId,
} from '../common/ids.ts';
import type { ShareInfo } from './api.ts';
import type { Downloads } from './downloads.ts';
import { type HoldEntry, MAX_AUDIENCE, type ShareEntry } from './network/catalogue.ts';
import type { PeerRef } from './network/channel.ts';
import type { Networks } from './networks.ts';
import { entryOf, type OwnShare, type OwnShares } from './own-shares.ts';

export interface ShareIndexOptions {
  readonly self: PeerRef;
  readonly name: () => string;
  readonly networks: Networks;
  readonly shares: OwnShares;
  readonly downloads: Downloads;
  /** Shares under which a version is being asked for or was read; see `Reads.sharesOf`. */
  readonly usedShares: (network: NetworkId, infohash: string) => readonly Pick<ShareInfo, 'owner' | 'share'>[];
}

/** One view of all shares: our own, and those that other members' catalogues name; and who may have what. */
export class ShareIndex {
  readonly #options: ShareIndexOptions;

  constructor(options: ShareIndexOptions) {
    this.#options = options;
  }

  list(): ShareInfo[] {
    const { networks, shares } = this.#options;
    const { self } = this.#options;
    // Nothing but its owner's signature makes a share: another device that claims the same id offers another share.
    const all = new Map<string, ShareInfo>();
    /** When, by the key of the share. */
    const signed = new Map<string, number>();
    for (const share of shares.list()) {
      // Of a network that was left in another window while this one was closed nothing is shared.
      if (!networks.get(share.network)) continue;
      const key = `${self.device}/${share.share}`;
      all.set(key, this.ofOwn(share));
      signed.set(key, Number.POSITIVE_INFINITY);
    }
    for (const { trust, node } of networks.list()) {
      for (const catalogue of node.directory.catalogues()) {
        for (const entry of catalogue.shares) {
          const key = `${catalogue.device}/${entry.share}`;
          // Several windows of a device may share it: who signed last says what it is.
          if ((signed.get(key) ?? Number.NEGATIVE_INFINITY) >= catalogue.time) continue;
          signed.set(key, catalogue.time);
          all.set(key, {
            ...entry,
            network: trust.network,
            owner: catalogue.device,
            ownerName: catalogue.name,
            own: false,
            sources: node.directory.countHolders(entry.infohash),
          });
        }
      }
    }
    return [...all.values()];
  }

  /** The share of which this is a version, own or not. */
  ofVersion(network: NetworkId, infohash: InfoHash): ShareInfo | undefined {
    const own = this.#options.shares.find(network, infohash);
    if (own) return this.ofOwn(own);
    return this.list().find((share) => share.network === network && share.infohash === infohash);
  }

  ofOwn(share: OwnShare): ShareInfo {
    const { self, name, networks, shares } = this.#options;
    return {
      share: share.share,
      infohash: share.infohash,
      network: share.network,
      name: share.name,
      kind: share.kind,
      size: share.size,
      files: share.files,
      ...(share.message === undefined ? {} : { message: share.message }),
      ...(share.path === undefined ? {} : { path: share.path }),
      version: share.version,
      time: share.time,
      owner: self.device,
      ownerName: name(),
      own: true,
      sources: networks.get(share.network)?.node.directory.countHolders(share.infohash) ?? 0,
      ...(share.to === undefined ? {} : { to: share.to }),
      state: shares.state(share.share),
      source: share.source,
    };
  }

  /** By id, or by name when only one share has it. */
  resolve(text: string, accept: (share: ShareInfo) => boolean = () => true): ShareInfo {
    const all = this.list().filter(accept);
    const byId = all.filter((share) => share.share === text);
    const found = byId.length > 0 ? byId : all.filter((share) => share.name === text);
    const [first] = found;
    if (!first) throw new PeerwireError('not-found', `No share “${text}” is known here.`);
    if (found.length > 1) {
      const choices = found.map((share) => `${share.share} (${share.ownerName})`).join(', ');
      throw new PeerwireError('ambiguous', `${found.length} shares are called “${text}”: ${choices}.`);
    }
    return first;
  }

  /** Why we may not have this version of a share (any more); undefined when we may. */
  refusal(version: ShareInfo): PeerwireError | undefined {
    const { share, owner, network, infohash, name } = version;
    const now = this.list().find(
      (other) => other.share === share && other.owner === owner && other.network === network,
    );
    if (!now) return new PeerwireError('not-found', `“${name}” is not shared any more.`);
    if (now.infohash !== infohash) return changed(now);
    return this.mayAccess(network, infohash, this.#options.self.device)
      ? undefined
      : new PeerwireError('revoked', `This device may not have “${name}” any more.`);
  }

  /** By id (grouped or not), or by the name of one known device. An id is an id, whatever a member calls itself. */
  resolveDevice(network: NetworkId, text: string): DeviceId {
    const id = deviceIdIn(text);
    if (id !== undefined) return id;
    const node = this.#options.networks.get(network)?.node;
    const named = new Set(
      [...(node?.directory.peers() ?? []), ...(node?.directory.catalogues() ?? [])]
        .filter(({ name }) => name === text)
        .map(({ device }) => device),
    );
    const [only] = named;
    if (only !== undefined && named.size === 1) return only;
    if (named.size > 1)
      throw new PeerwireError('ambiguous', `${named.size} devices are called “${text}”: use the device id.`);
    throw new PeerwireError('not-found', `No device “${text}” is known here.`);
  }

  deviceName(device: DeviceId): string {
    const { self, name, networks } = this.#options;
    if (device === self.device) return name();
    for (const { node } of networks.list()) {
      const known = node.directory.nameOf(device);
      if (known !== undefined) return known;
    }
    return formatDeviceId(device).slice(0, 9);
  }

  /** Whether the device may have the version, by its owner's signed word; what an owner withdrew nobody may have. */
  mayAccess(network: NetworkId, infohash: string, device: DeviceId): boolean {
    const { self, networks, shares, downloads } = this.#options;
    const running = networks.get(network);
    if (!running || running.trust.isRevoked(device)) return false;
    if (device === self.device) return true;
    const own = shares.find(network, infohash);
    if (own) return own.to === undefined || own.to.includes(device);
    // By the word of those from whose shares we have it: what others say who list it, too, opens nothing and closes nothing.
    const grounds = [...downloads.sharesOf(network, infohash), ...this.#options.usedShares(network, infohash)];
    // Else everybody who lists it has to agree.
    const listings = grounds.length > 0 ? grounds : this.#listings(network, infohash);
    return (
      listings.length > 0 &&
      listings.every(({ owner, share }) => {
        if (owner === device) return true;
        const audience = running.node.directory.audienceOf(owner, share);
        return audience === 'everyone' || audience?.has(device) === true;
      })
    );
  }

  /** What our catalogue says in a network. */
  entriesFor(network: NetworkId): { shares: ShareEntry[]; holds: HoldEntry[] } {
    const { self, networks, shares, downloads } = this.#options;
    const node = networks.get(network)?.node;
    const own = shares.list().filter((share) => share.network === network && shares.state(share.share) !== 'missing');
    const holds = downloads.holds().filter((hold) => hold.network === network);
    return {
      shares: own.map(entryOf),
      holds: holds.flatMap(({ infohash, share, owner, complete }) => {
        const audience = node?.directory.audienceOf(owner, share);
        // Withdrawn by its owner: we do not offer it any longer.
        if (audience === undefined) return [];
        // A list of the longest size that we are not in leaves no room for its owner: such a hold stays unsaid.
        const to =
          audience === 'everyone'
            ? undefined
            : [...new Set([...audience, owner])].filter((device) => device !== self.device);
        if (to !== undefined && to.length > MAX_AUDIENCE) return [];
        return [
          {
            infohash,
            share,
            owner,
            complete,
            ...(to === undefined ? {} : { to }),
          },
        ];
      }),
    };
  }

  /** Everybody else's shares of a version. */
  #listings(network: NetworkId, infohash: string): { owner: DeviceId; share: ShareId }[] {
    const catalogues = this.#options.networks.get(network)?.node.directory.catalogues() ?? [];
    return catalogues.flatMap((catalogue) =>
      catalogue.shares
        .filter((share) => share.infohash.startsWith(infohash))
        .map((share) => ({ owner: catalogue.device, share: share.share })),
    );
  }
}

/** For whoever works with an earlier version of a share. */
export function changed({ name, version }: ShareInfo): PeerwireError {
  return new PeerwireError('stale', `“${name}” changed meanwhile: version ${version} is shared now.`);
}
