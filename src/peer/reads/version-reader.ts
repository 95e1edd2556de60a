import type { FileEntry } from '../../bittorrent/metainfo.ts';
import type { Swarm, SwarmContent } from '../../bittorrent/swarm.ts';
import { onAbort } from '../../common/abort.ts';
import type { Clock } from '../../common/clock.ts';
import { type Disposable, DisposableList } from '../../common/disposable.ts';
import { errorCode, PeerwireError } from '../../common/errors.ts';
import type { InfoHash, NetworkId } from '../../common/ids.ts';
import type { SwarmHub } from '../swarm-hub.ts';
import type { Version } from '../version-store.ts';
import { partsOf } from './cached-version.ts';
import { ReadAhead } from './read-ahead.ts';

/** Without a read for so long, in ms, the reader lets go of its sources and of what it read ahead. */
const IDLE_AFTER = 15_000;
/** What is there can go away while it is fetched or read (evicted, moved, its swarm replaced by a download's). */
const ATTEMPTS = 6;

export interface VersionReaderOptions {
  readonly network: NetworkId;
  readonly infohash: InfoHash;
  readonly version: Version;
  readonly hub: SwarmHub;
  readonly clock: Clock;
  /** What is here of the version, and where more of it may be put; a new one with each call, closed by its user. */
  readonly content: () => Promise<SwarmContent>;
  /** Content on this disk is not what it was: whoever serves it must know. */
  readonly onStale: () => Promise<void>;
}

export interface Range {
  readonly fileIndex: number;
  readonly offset: number;
  readonly length: number;
  /** Bytes behind it that will be wanted next; guessed when absent. */
  readonly ahead?: number;
}

export interface Patience {
  readonly signal: AbortSignal;
  /** Milliseconds without a byte from a source after which a read fails. */
  readonly wait: number;
}

/** The pieces that one read waits for. */
interface Need {
  readonly pieces: readonly number[];
}

/**
 * Reads ranges of one version. What is here (own files, downloads, the read cache) is read from disk; the rest is fetched in
 * the version's swarm, ahead of everything else: a running download's swarm if there is one, else one of our own.
 */
export class VersionReader implements Disposable {
  readonly #options: VersionReaderOptions;
  readonly #needs = new Set<Need>();
  readonly #streams = new Map<number, ReadAhead>();
  #aheadPieces: readonly number[] = [];
  /** Content that no swarm owns. */
  #local: SwarmContent | undefined;
  #attached: { readonly swarm: Swarm; readonly owned: DisposableList } | undefined;
  #priority: { readonly pieces: readonly number[]; readonly handle: Disposable } | undefined;
  #idle: Disposable | undefined;
  #reads = 0;
  #disposed = false;

  constructor(options: VersionReaderOptions) {
    this.#options = options;
  }

  /** Exactly these bytes, which must exist. Rejects with `no-sources`, `timeout`, `stale`, `disk-full`, the signal's reason… */
  async read(range: Range, patience: Patience): Promise<Uint8Array<ArrayBuffer>> {
    this.#reads++;
    this.#idle?.dispose();
    try {
      // Asked for in the order of the calls: reads that follow each other are recognized however long they take.
      this.#aim(range);
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#readOnce(range, patience);
        } catch (error) {
          const code = errorCode(error);
          if (patience.signal.aborted || this.#disposed || attempt === ATTEMPTS) throw error;
          if (code !== 'stale' && code !== 'not-found' && code !== 'closed') throw error;
          if (code !== 'stale') continue;
          this.#closeLocal();
          await this.#options.onStale();
        }
      }
    } finally {
      this.#reads--;
      if (this.#reads === 0 && !this.#disposed)
        this.#idle = this.#options.clock.setTimeout(() => this.#rest(), IDLE_AFTER);
    }
  }

  /** What is here outside of swarms changed. */
  renew(): void {
    this.#closeLocal();
  }

  dispose(): void {
    this.#disposed = true;
    this.#rest();
  }

  async #readOnce(range: Range, { signal, wait }: Patience): Promise<Uint8Array<ArrayBuffer>> {
    signal.throwIfAborted();
    const pieces = this.#pieces(range.fileIndex, range.offset, range.length);
    let content = await this.#content();
    if (
      pieces.some((piece) => !content.have.has(piece)) ||
      this.#aheadPieces.some((piece) => !content.have.has(piece))
    ) {
      const swarm = await this.#attach();
      content = contentOf(swarm);
      await this.#fetch(swarm, pieces, signal, wait);
    }
    // Of its own, so that it crosses to another thread without its neighbors.
    const data = new Uint8Array(range.length);
    await content.storage().read(range.fileIndex, range.offset, [data]);
    return data;
  }

  /** Where bytes are read now: a swarm's content if there is one, because it grows. */
  async #content(): Promise<SwarmContent> {
    const { hub, network, infohash } = this.#options;
    const open = hub.get(network, infohash)?.content ?? this.#local;
    if (open) return open;
    const made = await this.#options.content();
    if (this.#local || this.#disposed) void made.storage().close();
    else this.#local = made;
    this.#throwIfDisposed();
    return this.#local ?? made;
  }

  /** The version's swarm, with content, kept and connected to whoever has more of it. */
  async #attach(): Promise<Swarm> {
    const { hub, network, infohash } = this.#options;
    if (hub.get(network, infohash)?.content === undefined) await this.#content();
    this.#throwIfDisposed();
    const attached = this.#attached;
    if (attached && hub.get(network, infohash) === attached.swarm) return attached.swarm;
    this.#detach();
    const lease = hub.lease(network, infohash);
    const { swarm } = lease;
    const owned = new DisposableList();
    owned.add(lease);
    this.#attached = { swarm, owned };
    if (!swarm.content) {
      const local = this.#local;
      // It had content when we looked, and was dropped since: the next attempt makes another.
      if (!local) throw new PeerwireError('closed', 'The swarm was replaced.');
      this.#local = undefined;
      swarm.provide(local);
    }
    owned.add(hub.keepSeeking(network, infohash));
    return swarm;
  }

  async #fetch(swarm: Swarm, pieces: readonly number[], signal: AbortSignal, wait: number): Promise<void> {
    const { have } = contentOf(swarm);
    const need: Need = { pieces };
    const owned = new DisposableList();
    this.#needs.add(need);
    try {
      // A disk that was full may have room again.
      swarm.resume();
      this.#prioritize();
      await new Promise<void>((resolve, reject) => {
        const check = (): void => {
          if (pieces.every((piece) => have.has(piece))) resolve();
        };
        let fetched = swarm.fetched;
        const watch = (): Disposable =>
          this.#options.clock.setTimeout(() => {
            if (swarm.fetched === fetched) reject(unanswered(swarm));
            fetched = swarm.fetched;
            timer = watch();
          }, wait);
        let timer = watch();
        owned.add({ dispose: () => timer.dispose() });
        owned.add(swarm.onPiece(check));
        owned.add(swarm.onProblem(reject));
        owned.add(swarm.onDisposed(() => reject(new PeerwireError('closed', 'The swarm was closed.'))));
        owned.add(onAbort(signal, reject));
        check();
      });
    } finally {
      owned.dispose();
      this.#needs.delete(need);
      this.#prioritize();
    }
  }

  /** Says what is wanted behind a read, and no longer what was wanted behind another place. */
  #aim({ fileIndex, offset, length, ahead }: Range): void {
    const stream = this.#streams.get(fileIndex) ?? new ReadAhead();
    this.#streams.set(fileIndex, stream);
    const window = stream.window(offset, length, ahead);
    const end = offset + length;
    this.#aheadPieces = this.#pieces(fileIndex, end, Math.min(window, this.#file(fileIndex).length - end));
    this.#prioritize();
  }

  /** All that reads wait for, in the order of their calls, then what is read ahead. */
  #prioritize(): void {
    const swarm = this.#attached?.swarm;
    if (!swarm) return;
    const { have } = contentOf(swarm);
    const wanted = [...[...this.#needs].flatMap((need) => need.pieces), ...this.#aheadPieces];
    const pieces = [...new Set(wanted)].filter((piece) => !have.has(piece));
    const before = this.#priority;
    if (before && before.pieces.length === pieces.length && pieces.every((piece, at) => piece === before.pieces[at]))
      return;
    // The new one first: what is in both stays wanted.
    this.#priority = pieces.length > 0 ? { pieces, handle: swarm.prioritize(pieces) } : undefined;
    before?.handle.dispose();
  }

  /** Pieces of a range; none of an empty one. */
  #pieces(fileIndex: number, offset: number, length: number): number[] {
    return [...partsOf(this.#options.version.info, fileIndex, offset, length)].map(({ piece }) => piece);
  }

  #file(index: number): FileEntry {
    const file = this.#options.version.info.files[index];
    if (!file) throw new PeerwireError('internal', 'There is no such file in this version.');
    return file;
  }

  #throwIfDisposed(): void {
    if (this.#disposed) throw new PeerwireError('closed', 'Reading has ended.');
  }

  #detach(): void {
    this.#priority?.handle.dispose();
    this.#priority = undefined;
    this.#attached?.owned.dispose();
    this.#attached = undefined;
  }

  #closeLocal(): void {
    const local = this.#local;
    this.#local = undefined;
    // Files that were only read have nothing to lose.
    void local
      ?.storage()
      .close()
      .catch(() => undefined);
  }

  #rest(): void {
    this.#idle?.dispose();
    this.#streams.clear();
    this.#aheadPieces = [];
    this.#detach();
    this.#closeLocal();
  }
}

function contentOf(swarm: Swarm): SwarmContent {
  if (!swarm.content) throw new PeerwireError('internal', 'The swarm has no content.');
  return swarm.content;
}

function unanswered(swarm: Swarm): PeerwireError {
  return swarm.connectedSources.size === 0
    ? new PeerwireError('no-sources', 'Nobody who has it is online; try again when a source is.')
    : new PeerwireError('timeout', 'No source sends it; try again later.');
}
