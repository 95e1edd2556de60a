import { randomBytes } from 'node:crypto';
import { Bitfield } from '../../src/bittorrent/bitfield.ts';
import type { BlockHasher } from '../../src/bittorrent/downloader.ts';
import { BLOCK_SIZE, fileRoot, HASH_SIZE, pieceRoot, sha256 } from '../../src/bittorrent/merkle.ts';
import { createInfo, type Info, type PieceLayers, pieceAt } from '../../src/bittorrent/metainfo.ts';
import { readHandshake } from '../../src/bittorrent/peer-wire.ts';
import { PieceBuffers } from '../../src/bittorrent/piece-buffers.ts';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import type { Storage } from '../../src/bittorrent/storage.ts';
import { Swarm, type SwarmContent } from '../../src/bittorrent/swarm.ts';
import type { PeerwireError } from '../../src/common/errors.ts';
import { silentLogger } from '../../src/common/log.ts';
import { type Link, type MemoryConnection, memoryPair } from './memory-connection.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A small fast generator (mulberry32), so that a printed seed replays a run exactly. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface TestVersion {
  readonly info: Info;
  readonly layers: PieceLayers;
  readonly files: readonly Buffer[];
}

/** A version with files of these sizes and random content. */
export function makeVersion(sizes: readonly number[], pieceLength: number, random: () => number): TestVersion {
  const layers = new Map<string, Buffer>();
  const made = sizes.map((size, index) => {
    const content = Buffer.alloc(size);
    for (let at = 0; at < size; at++) content[at] = random() * 256;
    const leaves = leafHashes(content);
    const root = size === 0 ? undefined : fileRoot(leaves);
    if (root && size > pieceLength) {
      const perPiece = (pieceLength / BLOCK_SIZE) * HASH_SIZE;
      const layer: Buffer[] = [];
      for (let at = 0; at < leaves.length; at += perPiece) {
        layer.push(pieceRoot(leaves.subarray(at, at + perPiece), pieceLength, Math.ceil(size / BLOCK_SIZE)));
      }
      layers.set(root.toString('hex'), Buffer.concat(layer));
    }
    return { path: [`file-${String(index).padStart(3, '0')}`], length: size, root, content };
  });
  const info = createInfo({ name: 'version', pieceLength, single: false, files: made });
  return { info, layers, files: made.map(({ content }) => content) };
}

export function leafHashes(content: Uint8Array): Buffer {
  const leaves: Buffer[] = [];
  for (let at = 0; at < content.length; at += BLOCK_SIZE) leaves.push(sha256(content.subarray(at, at + BLOCK_SIZE)));
  return Buffer.concat(leaves);
}

export const hasher: BlockHasher = {
  hashBlocks: async (data, offset, length) => leafHashes(new Uint8Array(data, offset, length)),
  hashBlocksSync: leafHashes,
};

export class MemoryStorage implements Storage {
  readonly files: Buffer[];
  /** Thrown by the next reads, while set. */
  readError: PeerwireError | undefined;
  /** Thrown by the next writes, while set. */
  writeError: PeerwireError | undefined;
  /** How long a write takes. */
  delay: (() => Promise<void>) | undefined;
  /** Changes what is read: a lying or broken seeder. */
  corrupt: ((fileIndex: number, offset: number, view: Uint8Array) => void) | undefined;

  constructor(info: Info, content?: readonly Buffer[]) {
    this.files = info.files.map((file, index) => Buffer.from(content?.[index] ?? Buffer.alloc(file.length)));
  }

  async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    if (this.readError) throw this.readError;
    let at = offset;
    for (const view of views) {
      this.files[fileIndex]?.copy(view, 0, at, at + view.length);
      this.corrupt?.(fileIndex, at, view);
      at += view.length;
    }
  }

  async write(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    // Disks take their time: what must not touch the data meanwhile gets the chance to.
    await this.delay?.();
    if (this.writeError) throw this.writeError;
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).copy(this.files[fileIndex]!, offset);
  }

  async close(): Promise<void> {}
}

export interface SimPeer {
  readonly name: string;
  readonly swarm: Swarm;
  readonly storage: MemoryStorage;
  readonly have: Bitfield;
  readonly buffers: PieceBuffers;
  readonly upload: RateLimiter;
  readonly download: RateLimiter;
  completed: boolean;
  readonly problems: PeerwireError[];
}

/** Swarms of one version over connections in memory, under a virtual clock. */
export class Simulation {
  readonly clock = new VirtualClock();
  readonly random: () => number;
  version: TestVersion;
  readonly peers: SimPeer[] = [];
  readonly connections: MemoryConnection[] = [];
  /** Peers made from now on share these, as the swarms of one process do. */
  buffers: PieceBuffers | undefined;

  constructor(seed: number, sizes: readonly number[], pieceLength: number) {
    this.random = seededRandom(seed);
    this.version = makeVersion(sizes, pieceLength, this.random);
  }

  addPeer(name: string, pieces: 'all' | 'none', upload = 0): SimPeer {
    const { info, layers, files } = this.version;
    const have = new Bitfield(info.pieceCount);
    if (pieces === 'all') have.fill();
    const storage = new MemoryStorage(info, pieces === 'all' ? files : undefined);
    storage.delay = () => new Promise((resolve) => this.clock.setTimeout(resolve, this.random() * 80));
    const content: SwarmContent = { info, layers, have, storage: () => storage };
    const peer = this.#peer(name, storage, have, upload, content);
    if (pieces === 'none')
      peer.swarm.download(
        info.files.flatMap((file) => Array.from({ length: file.pieceCount }, (_, i) => file.firstPiece + i)),
      );
    return peer;
  }

  /** A peer that knows the infohash and nothing else. */
  addNewcomer(name: string): SimPeer {
    const { info } = this.version;
    return this.#peer(name, new MemoryStorage(info), new Bitfield(info.pieceCount), 0, undefined);
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

  #peer(
    name: string,
    storage: MemoryStorage,
    have: Bitfield,
    uploadRate: number,
    content: SwarmContent | undefined,
  ): SimPeer {
    const upload = new RateLimiter(this.clock, uploadRate);
    const download = new RateLimiter(this.clock);
    const buffers = this.buffers ?? new PieceBuffers(8 * 1024 * 1024);
    const swarm = new Swarm(
      {
        infoHash: this.version.info.infoHash,
        peerId: randomBytes(20),
        clock: this.clock,
        random: this.random,
        logger: silentLogger,
        hasher,
        buffers,
        upload,
        download,
        accountable: (source) => source.split('/')[0] ?? source,
      },
      content,
    );
    const peer: SimPeer = { name, swarm, storage, have, buffers, upload, download, completed: false, problems: [] };
    swarm.onComplete(() => {
      peer.completed = true;
    });
    swarm.onProblem((error) => peer.problems.push(error));
    this.peers.push(peer);
    return peer;
  }
}
