import { BandwidthManager, type TransferBandwidth } from '../../src/bittorrent/bandwidth-manager.ts';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import { readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import { pieceAt } from '../../src/bittorrent/metainfo.ts';
import { PieceBuffers } from '../../src/bittorrent/piece-buffers.ts';
import type { BlockHasher } from '../../src/bittorrent/piece-verifier.ts';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import type { SharedSources } from '../../src/bittorrent/shared-sources.ts';
import { Swarm, type SwarmContent } from '../../src/bittorrent/swarm.ts';
import type { UploadScheduler } from '../../src/bittorrent/upload-scheduler.ts';
import type { PeerwireError } from '../../src/common/errors.ts';
import { silentLogger } from '../../src/common/log.ts';
import { type Link, type MemoryConnection, memoryPair } from './memory-connection.ts';
import { MemoryStorage } from './memory-storage.ts';
import { seededRandom } from './seeded-random.ts';
import { hasher, makeVersion, type TestVersion, writingHasher } from './test-version.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface SimPeer {
  readonly name: string;
  readonly swarm: Swarm;
  readonly storage: MemoryStorage;
  readonly have: Bitfield;
  readonly buffers: PieceBuffers;
  readonly upload: RateLimiter;
  readonly download: TransferBandwidth;
  /** Sources that were reported as quiet. */
  readonly quiet: ReadonlySet<string>;
  completed: boolean;
  readonly problems: PeerwireError[];
}

export interface PeerOptions {
  readonly storage: MemoryStorage;
  /** What of the storage's content counts as verified. */
  readonly have: Bitfield;
  /** Bytes per second; 0: unlimited. */
  readonly upload?: number;
  readonly download?: number;
  /** It has the metadata and piece layers from the start. */
  readonly knowsMetadata: boolean;
  readonly hasher?: BlockHasher;
  readonly buffers?: PieceBuffers;
}

/** Swarms of one version over connections in memory, under a virtual clock. */
export class Simulation {
  readonly clock = new VirtualClock(1);
  readonly random: () => number;
  version: TestVersion;
  readonly peers: SimPeer[] = [];
  readonly connections: MemoryConnection[] = [];
  /** Peers made from now on share these, as the swarms of one process do. */
  buffers: PieceBuffers | undefined;
  /** Peers made from now on write in the thread that hashes. */
  writingThreads = false;
  bandwidth: BandwidthManager | undefined;
  sources: SharedSources | undefined;

  /** The same for the uplink: its schedule, and its limit, within which each peer's own holds. */
  uplink: { readonly scheduler: UploadScheduler; readonly limiter: RateLimiter } | undefined;

  constructor(seed: number, sizes: readonly number[], pieceLength: number) {
    this.random = seededRandom(seed);
    this.version = makeVersion(sizes, pieceLength, this.random);
  }

  addPeer(name: string, pieces: 'all' | 'none', upload = 0): SimPeer {
    const { info, files } = this.version;
    const have = new Bitfield(info.pieceCount);
    if (pieces === 'all') have.fill();
    const storage = new MemoryStorage(info, pieces === 'all' ? files : undefined);
    storage.delay = () => this.pause(this.random() * 80);
    const peer = this.add(name, { storage, have, upload, knowsMetadata: true });
    if (pieces === 'none') peer.swarm.download(this.allPieces());
    return peer;
  }

  /** A peer that knows the infohash and nothing else. */
  addNewcomer(name: string): SimPeer {
    const { info } = this.version;
    const storage = new MemoryStorage(info);
    return this.add(name, { storage, have: new Bitfield(info.pieceCount), knowsMetadata: false });
  }

  add(name: string, options: PeerOptions): SimPeer {
    const { storage, have } = options;
    const { info, layers } = this.version;
    const upload = new RateLimiter(this.clock, options.upload ?? 0, this.uplink?.limiter);
    const download = (this.bandwidth ?? new BandwidthManager(this.clock)).transfer();
    download.setRate(options.download ?? 0);
    const buffers = options.buffers ?? this.buffers ?? new PieceBuffers(8 * 1024 * 1024);
    const content: SwarmContent = { info, layers, have, storage: () => storage };
    const quiet = new Set<string>();
    const swarm = new Swarm(
      {
        infoHash: info.infoHash,
        peerId: Buffer.from(Array.from({ length: 20 }, () => this.random() * 256)),
        clock: this.clock,
        random: this.random,
        logger: silentLogger,
        hasher: options.hasher ?? (this.writingThreads ? writingHasher(storage) : hasher),
        buffers,
        upload,
        ...(this.uplink ? { uploads: this.uplink.scheduler } : {}),
        download,
        ...(this.sources ? { sources: this.sources } : {}),
        accountable: (source) => source.split('/')[0] ?? source,
        onQuiet: (source) => quiet.add(source),
      },
      options.knowsMetadata ? content : undefined,
    );
    const peer: SimPeer = {
      name,
      swarm,
      storage,
      have,
      buffers,
      upload,
      download,
      quiet,
      completed: false,
      problems: [],
    };
    swarm.onComplete(() => {
      peer.completed = true;
    });
    swarm.onProblem((error) => peer.problems.push(error));
    this.peers.push(peer);
    return peer;
  }

  connect(
    from: SimPeer,
    to: SimPeer,
    link: Link = { latency: 5, rate: 10_000_000 },
  ): [MemoryConnection, MemoryConnection] {
    const pair = memoryPair(this.clock, link, this.random);
    this.connections.push(...pair);
    from.swarm.initiate(pair[0], to.name);
    readHandshake(pair[1], this.clock)
      .then((incoming) => to.swarm.accept(incoming, from.name))
      .catch(() => undefined);
    return pair;
  }

  allPieces(): number[] {
    return Array.from({ length: this.version.info.pieceCount }, (_, piece) => piece);
  }

  /** Resolves after this many ms of virtual time. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimeout(resolve, ms));
  }

  /** Every wanted byte is there and right. */
  isComplete(peer: SimPeer): boolean {
    return (
      peer.have.complete && this.version.files.every((content, index) => content.equals(peer.storage.files[index]!))
    );
  }

  /** A piece that the peer says it has, but whose bytes are wrong. */
  wrongPiece(peer: SimPeer): number | undefined {
    for (const piece of peer.have) {
      const { fileIndex, offset, length } = pieceAt(this.version.info, piece);
      const right = this.version.files[fileIndex]!.subarray(offset, offset + length);
      if (!right.equals(peer.storage.files[fileIndex]!.subarray(offset, offset + length))) return piece;
    }
    return undefined;
  }

  dispose(): void {
    for (const { swarm } of this.peers) swarm.dispose();
  }
}
