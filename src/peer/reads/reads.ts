import { fileAt, type Info } from '../../bittorrent/metainfo.ts';
import type { SwarmContent } from '../../bittorrent/swarm.ts';
import type { Clock } from '../../common/clock.ts';
import { PeerwireError, toPeerwireError } from '../../common/errors.ts';
import { type InfoHash, type NetworkId, versionKey } from '../../common/ids.ts';
import { JsonBytes } from '../../common/json-bytes.ts';
import { MAX_READ, type ReadRequest, type ReadResult, type ShareInfo } from '../api.ts';
import type { SwarmHub } from '../swarm-hub.ts';
import type { Version } from '../version-store.ts';
import { CachedVersion } from './cached-version.ts';
import { overlay } from './overlay.ts';
import type { PieceCache } from './piece-cache.ts';
import { MAX_AHEAD } from './read-ahead.ts';
import { VersionReader } from './version-reader.ts';

/** Milliseconds without a source, or without a byte from one, when the reader does not say; and at most. */
const DEFAULT_WAIT = 20_000;
const LONGEST_WAIT = 3_600_000;

export interface ReadsOptions {
  readonly hub: SwarmHub;
  readonly cache: PieceCache;
  readonly clock: Clock;
  /** Metadata and layers, from disk or from peers; rejects with `no-sources` after `wait` milliseconds. */
  readonly version: (share: ShareInfo, options: { signal: AbortSignal; wait: number }) => Promise<Version>;
  /** What of a version is in our own files, or where downloads put it. */
  readonly ownContent: (network: NetworkId, infohash: InfoHash) => Promise<SwarmContent | undefined>;
  readonly downloadedContent: (network: NetworkId, infohash: InfoHash) => Promise<SwarmContent | undefined>;
  /** Why this version of the share may not be read (any more). */
  readonly refusal: (share: ShareInfo) => PeerwireError | undefined;
  /** Whether any share of the network has the version. */
  readonly isOffered: (network: NetworkId, infohash: InfoHash) => boolean;
  readonly onStale: (network: NetworkId, infohash: InfoHash) => Promise<void>;
}

interface ActiveRead {
  readonly share: ShareInfo;
  readonly abort: AbortController;
}

interface Known {
  readonly network: NetworkId;
  readonly infohash: InfoHash;
  readonly cached: CachedVersion;
  /** Under which it was read, by owner and share. */
  readonly shares: Map<string, Pick<ShareInfo, 'owner' | 'share'>>;
  reader: VersionReader | undefined;
}

/** Reads of shares that are not downloaded (or are): ranges of files, with a bounded cache on disk behind them. */
export class Reads {
  readonly #options: ReadsOptions;
  readonly #known = new Map<string, Known>();
  readonly #active = new Set<ActiveRead>();
  #closed = false;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** See `PeerApi.readFile`; `share` is what the request's names now. */
  async read(share: ShareInfo, request: ReadRequest, signal: AbortSignal): Promise<ReadResult> {
    const { wait, ahead } = checkRequest(request);
    const read: ActiveRead = { share, abort: new AbortController() };
    const end = (): void => read.abort.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    this.#active.add(read);
    try {
      if (signal.aborted) end();
      if (this.#closed) throw new PeerwireError('closed', 'The peer is closing.');
      const refusal = this.#options.refusal(share);
      if (refusal) throw refusal;
      const patience = { signal: read.abort.signal, wait };
      const version = await this.#options.version(share, patience);
      read.abort.signal.throwIfAborted();
      const fileIndex = findFile(version.info, request.path, share);
      const { length: size } = fileAt(version.info, fileIndex);
      const length = Math.max(0, Math.min(request.length, size - request.offset));
      const range = { fileIndex, offset: request.offset, length, ...(ahead === undefined ? {} : { ahead }) };
      const data = length === 0 ? new Uint8Array(0) : await this.#reader(share, version).read(range, patience);
      return { infohash: share.infohash, size, data: new JsonBytes(data.buffer) };
    } catch (error) {
      throw toPeerwireError(read.abort.signal.aborted ? read.abort.signal.reason : error);
    } finally {
      this.#active.delete(read);
      signal.removeEventListener('abort', end);
    }
  }

  /** What we have of a version for whoever asks: downloaded files, and what the cache holds. */
  async content(network: NetworkId, version: Version): Promise<SwarmContent> {
    const { infoHash } = version.info;
    return overlay(
      version,
      await this.#options.downloadedContent(network, infoHash),
      this.cached(network, version.info),
    );
  }

  /** The part of the cache that belongs to a version. */
  cached(network: NetworkId, info: Info): CachedVersion {
    return this.#version(network, info).cached;
  }

  /** The full infohash of a version that was read, by its beginning. */
  find(network: NetworkId, infohash: string): InfoHash | undefined {
    for (const known of this.#known.values())
      if (known.network === network && known.infohash.startsWith(infohash)) return known.infohash;
    return undefined;
  }

  /** The shares under which a version is being read, or was. `infohash` may be its first 20 bytes. */
  sharesOf(network: NetworkId, infohash: string): Pick<ShareInfo, 'owner' | 'share'>[] {
    const of = (other: { network: NetworkId; infohash: InfoHash }): boolean =>
      other.network === network && other.infohash.startsWith(infohash);
    const known = [...this.#known.values()].filter(of).flatMap(({ shares }) => [...shares.values()]);
    return [...known, ...[...this.#active].flatMap(({ share }) => (of(share) ? [share] : []))];
  }

  /** What is shared changed: ends reads of versions that are not offered any more, and forgets those. */
  recheck(): void {
    for (const { share, abort } of this.#active) {
      const refusal = this.#options.refusal(share);
      if (refusal) abort.abort(refusal);
    }
    for (const [key, { network, infohash, reader }] of this.#known) {
      if (this.#options.isOffered(network, infohash)) continue;
      reader?.dispose();
      this.#known.delete(key);
      this.#options.cache.forget(key);
    }
  }

  /** What we have on disk changed: the next read looks at it anew. */
  renew(): void {
    for (const { reader } of this.#known.values()) reader?.renew();
  }

  /** Ends all reads and removes the cache. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { abort } of this.#active) abort.abort(new PeerwireError('closed', 'The peer is closing.'));
    for (const { reader } of this.#known.values()) reader?.dispose();
    await this.#options.cache.close();
  }

  #version(network: NetworkId, info: Info): Known {
    const key = versionKey({ network, infohash: info.infoHash });
    let known = this.#known.get(key);
    if (!known) {
      const cached = new CachedVersion(this.#options.cache, key, info);
      known = { network, infohash: info.infoHash, cached, shares: new Map(), reader: undefined };
      this.#known.set(key, known);
    }
    return known;
  }

  #reader({ network, infohash, owner, share }: ShareInfo, version: Version): VersionReader {
    const known = this.#version(network, version.info);
    known.shares.set(`${owner}/${share}`, { owner, share });
    const { hub, clock, ownContent, onStale } = this.#options;
    known.reader ??= new VersionReader({
      network,
      infohash,
      version,
      hub,
      clock,
      content: async () => (await ownContent(network, infohash)) ?? (await this.content(network, version)),
      onStale: () => onStale(network, infohash),
    });
    return known.reader;
  }
}

function checkRequest({ offset, length, wait = DEFAULT_WAIT, ahead }: ReadRequest): { wait: number; ahead?: number } {
  const inRange = (value: number, most: number): boolean => Number.isSafeInteger(value) && value >= 0 && value <= most;
  if (!inRange(offset, Number.MAX_SAFE_INTEGER) || !inRange(length, MAX_READ))
    throw new PeerwireError('usage', `A read begins at an offset of the file and has up to ${MAX_READ} bytes.`);
  if (!(wait >= 0)) throw new PeerwireError('usage', 'A read waits for a number of milliseconds.');
  if (ahead !== undefined && !inRange(ahead, Number.MAX_SAFE_INTEGER))
    throw new PeerwireError('usage', 'What is read ahead is a number of bytes.');
  return { wait: Math.min(wait, LONGEST_WAIT), ...(ahead === undefined ? {} : { ahead: Math.min(ahead, MAX_AHEAD) }) };
}

/** A share of one file needs no path. */
function findFile(info: Info, path: string | undefined, share: ShareInfo): number {
  if (path === undefined && info.single) return 0;
  if (path === undefined) throw new PeerwireError('usage', `“${share.name}” is a folder: say which file of it.`);
  const index = info.files.findIndex((file) => file.path.join('/') === path);
  if (index < 0) throw new PeerwireError('not-found', `There is no file “${path}” in “${share.name}”.`);
  return index;
}
