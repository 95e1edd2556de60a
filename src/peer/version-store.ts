import { join } from 'node:path';
import { decodeTorrent, encodeTorrent, type Info, type PieceLayers } from '../bittorrent/metainfo.ts';
import type { InfoHash } from '../common/ids.ts';
import { StateStore } from './state-store.ts';

export interface Version {
  readonly info: Info;
  readonly layers: PieceLayers;
}

/** Keeps the metadata and piece layers of versions, one .torrent file each, so that a restart needs no peer for them. */
export class VersionStore {
  readonly #store: StateStore;
  readonly #loaded = new Map<InfoHash, Version>();

  constructor(dir: string, report: (message: string) => void) {
    this.#store = new StateStore(join(dir, 'versions'), report);
  }

  async load(infohash: InfoHash): Promise<Version | undefined> {
    const loaded = this.#loaded.get(infohash);
    if (loaded) return loaded;
    const bytes = await this.#store.readBytes(fileName(infohash));
    if (!bytes) return undefined;
    let version: Version;
    try {
      version = decodeTorrent(bytes);
    } catch {
      // Damaged on disk: peers have it.
      await this.#store.delete(fileName(infohash));
      return undefined;
    }
    if (version.info.infoHash !== infohash) return undefined;
    this.#loaded.set(infohash, version);
    return version;
  }

  async save(version: Version): Promise<void> {
    this.#loaded.set(version.info.infoHash, version);
    await this.#store.writeBytes(fileName(version.info.infoHash), encodeTorrent(version.info, version.layers));
  }

  /** Resolves when all that was saved is on disk, or could not be. */
  async flush(): Promise<void> {
    await this.#store.flush();
  }

  /** Deletes every version that nothing refers to any more. */
  async keepOnly(infohashes: ReadonlySet<InfoHash>): Promise<void> {
    const names = new Set([...infohashes].map(fileName));
    for (const infohash of this.#loaded.keys()) if (!infohashes.has(infohash)) this.#loaded.delete(infohash);
    for (const name of await this.#store.list()) if (!names.has(name)) await this.#store.delete(name);
  }
}

function fileName(infohash: InfoHash): string {
  return `${infohash}.torrent`;
}
