import { BandwidthManager } from '../../../src/bittorrent/bandwidth-manager.ts';
import { Bitfield } from '../../../src/bittorrent/bitfield.ts';
import type { IncomingWire } from '../../../src/bittorrent/incoming-wire.ts';
import { PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';
import { RateLimiter } from '../../../src/bittorrent/rate-limiter.ts';
import { SharedMemory } from '../../../src/bittorrent/shared-memory.ts';
import { Swarm } from '../../../src/bittorrent/swarm.ts';
import type { Clock } from '../../../src/common/clock.ts';
import { type Disposable, DisposableList } from '../../../src/common/disposable.ts';
import type { InfoHash } from '../../../src/common/ids.ts';
import { silentLogger } from '../../../src/common/log.ts';
import { type MemberChannel, peerKey } from '../../../src/peer/network/channel.ts';
import type { NetworkNode } from '../../../src/peer/network/network-node.ts';
import { SourceFinder } from '../../../src/peer/source-finder.ts';
import { SwarmLinks } from '../../../src/peer/swarm-links.ts';
import { MemoryStorage } from '../memory-storage.ts';
import { hasher, makeVersion, type TestVersion } from '../test-version.ts';
import type { Machine } from './churn-world.ts';
import { seededBytes } from './machine.ts';

/** Milliseconds between two looks for sources, as `SwarmHub` takes them. */
const SEEK_INTERVAL = 3_000;
const PIECE = 16_384;

/** Of all swarms: what one gave back another takes. */
const memory = new SharedMemory();

/** What there is to be shared, by infohash: every sharer of a version has the same bytes. */
const versions = new Map<InfoHash, TestVersion>();

/** A version of two pieces. */
export function sampleVersion(random: () => number): TestVersion {
  const version = makeVersion([PIECE + 100], PIECE, random);
  versions.set(version.info.infoHash, version);
  return version;
}

interface Entry {
  readonly swarm: Swarm;
  readonly finder: SourceFinder;
  readonly links: SwarmLinks;
}

/** The swarms of one run: fetches a version as a download does, and serves what the machine has. */
export class SampleSwarms implements Disposable {
  readonly #node: NetworkNode;
  readonly #machine: Machine;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #owned = new DisposableList();
  readonly #ended = new AbortController();
  readonly #entries = new Map<InfoHash, Entry>();

  constructor(node: NetworkNode, machine: Machine, clock: Clock, random: () => number) {
    this.#node = node;
    this.#machine = machine;
    this.#clock = clock;
    this.#random = random;
    this.#owned.add(node.onConnectRequest((request) => this.#serve(request.infohash)?.finder.connect(request)));
  }

  /** Fetches a version of which it has nothing, metadata included; `done` is true once all of it was verified. */
  fetch(infohash: InfoHash): { done: () => boolean; end: () => void } {
    this.#drop(infohash);
    const entry = this.#open(infohash, false);
    let complete = false;
    entry.swarm.onInfo((info) => {
      void entry.swarm
        .fetchLayers(this.#ended.signal)
        .then((layers) => {
          const storage = new MemoryStorage(info);
          entry.swarm.provide({ info, layers, have: new Bitfield(info.pieceCount), storage: () => storage });
          entry.swarm.download(Array.from({ length: info.pieceCount }, (_, piece) => piece));
        })
        .catch(() => undefined); // It ended before.
    });
    entry.swarm.onComplete(() => {
      complete = true;
    });
    const seeking = [
      entry.finder.keepSeeking(),
      this.#clock.setInterval(() => entry.finder.seek(), SEEK_INTERVAL),
      this.#node.onPeersChanged(() => entry.finder.seek()),
      this.#node.onCataloguesChanged(() => entry.finder.seek()),
    ];
    return {
      done: () => complete,
      end: () => {
        for (const one of seeking) one.dispose();
        this.#drop(infohash);
      },
    };
  }

  accept(channel: MemberChannel, incoming: IncomingWire): void {
    const hex = incoming.handshake.infoHash.toString('hex');
    const infohash = [...this.#entries.keys(), ...this.#offered()].find((full) => full.startsWith(hex));
    const entry = infohash && (this.#entries.get(infohash) ?? this.#serve(infohash));
    if (!entry?.links.add(channel)) {
      channel.close();
      return;
    }
    entry.finder.met(channel);
    entry.swarm.accept(incoming, peerKey(channel), entry.links.replacedBy(channel));
  }

  dispose(): void {
    this.#ended.abort();
    this.#owned.dispose();
    for (const infohash of [...this.#entries.keys()]) this.#drop(infohash);
  }

  #offered(): InfoHash[] {
    return [...this.#machine.shares, ...this.#machine.holds].map((entry) => entry.infohash);
  }

  #serve(infohash: InfoHash): Entry | undefined {
    const known = this.#entries.get(infohash);
    if (known) return known;
    return this.#offered().includes(infohash) ? this.#open(infohash, true) : undefined;
  }

  #open(infohash: InfoHash, whole: boolean): Entry {
    const version = versions.get(infohash);
    if (!version) throw new Error('Nobody made this version.');
    const { info, layers, files } = version;
    const have = new Bitfield(info.pieceCount);
    have.fill();
    const storage = new MemoryStorage(info, files);
    const swarm = new Swarm(
      {
        infoHash: infohash,
        peerId: seededBytes(20, this.#random),
        clock: this.#clock,
        random: this.#random,
        logger: silentLogger,
        hasher,
        buffers: new PieceBuffers(1024 * 1024, memory),
        upload: new RateLimiter(this.#clock, 0),
        download: new BandwidthManager(this.#clock).transfer(),
      },
      whole ? { info, layers, have, storage: () => storage } : undefined,
    );
    const self = { device: this.#machine.identity.device, instance: this.#machine.instance };
    const links = new SwarmLinks(self);
    const finder = new SourceFinder({
      self,
      swarm,
      links,
      networkNode: () => this.#node,
      mayAccess: (device) => !this.#machine.trust.isRevoked(device),
      clock: this.#clock,
      random: this.#random,
      logger: silentLogger,
      signal: this.#ended.signal,
    });
    const entry = { swarm, finder, links };
    this.#entries.set(infohash, entry);
    return entry;
  }

  #drop(infohash: InfoHash): void {
    const entry = this.#entries.get(infohash);
    this.#entries.delete(infohash);
    entry?.swarm.dispose();
    for (const channel of entry?.links.open() ?? []) channel.close();
  }
}
