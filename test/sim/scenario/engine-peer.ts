import { Bitfield } from '../../../src/bittorrent/bitfield.ts';
import { blockCount, pieceRoot } from '../../../src/bittorrent/merkle.ts';
import { pieceAt } from '../../../src/bittorrent/metainfo.ts';
import { PieceBuffers } from '../../../src/bittorrent/piece-buffers.ts';
import type { PieceMemory } from '../../../src/bittorrent/piece-memory.ts';
import type { BlockHasher } from '../../../src/bittorrent/piece-verifier.ts';
import { PeerwireError, toPeerwireError } from '../../../src/common/errors.ts';
import type { Dice } from '../dice.ts';
import { MemoryStorage } from '../memory-storage.ts';
import type { SimPeer, Simulation } from '../simulation.ts';
import { leafHashes } from '../test-version.ts';
import type { Judge } from './judge.ts';
import { corruption } from './liar.ts';
import type { Run } from './run.ts';
import type { PeerPlan } from './scenario.ts';
import type { Schedule } from './schedule.ts';
import { Takeovers } from './takeovers.ts';

/** Ms after which its owner tells a peer with a problem to go on. */
const RESUME_AFTER = 1_000;
/** Bytes beyond the budget for pieces that are read. */
const READ_RESERVE = 4 * 1024 * 1024;
/** With a disk that never gets well it gives up. */
const MOST_RESUMES = 20;

/** One peer with an engine through its life: it comes, goes, comes back, and its disk and hasher fail as planned. */
export class EnginePeer {
  readonly plan: PeerPlan;
  /** While it is there. */
  peer: SimPeer | undefined;
  completedAt: number | undefined;
  /** Pieces whose blocks were not all of the version. */
  wrongPieces = 0;
  /** Who was banned, in any of its lives. */
  readonly banned = new Set<string>();
  /** Bytes fetched by its earlier lives. */
  fetchedBefore = 0;
  readonly takeovers = new Takeovers();
  /** Bytes that it had from the start. */
  hadAtStart = 0;
  readonly #sim: Simulation;
  readonly #schedule: Schedule;
  readonly #judge: Judge;
  readonly #dice: Dice;
  readonly #onChange: () => void;
  #storage: MemoryStorage;
  #have: Bitfield;
  #abort = new AbortController();
  #fetching = 0;
  #hashings = 0;
  #resumes = 0;
  #resuming = false;
  #readFailures = 0;
  #writeFailures = 0;

  /** `onChange`: it came or completed. */
  constructor(plan: PeerPlan, run: Run, onChange: () => void) {
    const { sim, dice } = run;
    this.plan = plan;
    this.#sim = sim;
    this.#schedule = run.schedule;
    this.#judge = run.judge;
    this.#dice = dice;
    this.#onChange = onChange;
    const { info, files } = sim.version;
    this.#have = new Bitfield(info.pieceCount);
    this.#storage = new MemoryStorage(info, plan.role === 'seed' ? files : undefined);
    if (plan.role === 'seed') this.#have.fill();
    for (const piece of sim.allPieces()) {
      if (this.#have.has(piece) || !dice.chance(plan.share)) continue;
      const { fileIndex, offset, length } = pieceAt(info, piece);
      files[fileIndex]!.copy(this.#storage.files[fileIndex]!, offset, offset, offset + length);
      this.#have.add(piece);
      this.hadAtStart += length;
    }
  }

  get name(): string {
    return this.plan.name;
  }

  /** It has everything now. */
  get complete(): boolean {
    return this.#have.complete;
  }

  get missing(): number {
    return this.#have.length - this.#have.count;
  }

  /** It is there and wants something. */
  get needs(): boolean {
    return this.peer !== undefined && !this.complete;
  }

  get fetched(): number {
    return this.fetchedBefore + (this.peer?.swarm.fetched ?? 0);
  }

  come(): void {
    const { plan } = this;
    const { info } = this.#sim.version;
    // Another process: nothing is left but what is on disk.
    this.#storage = new MemoryStorage(info, this.#storage.files);
    this.#equip(this.#storage);
    this.#abort = new AbortController();
    const knowsMetadata = plan.role !== 'newcomer' || this.#have.count > 0;
    const peer = this.#sim.add(plan.name, {
      storage: this.#storage,
      have: this.#have,
      upload: plan.upload,
      download: plan.download,
      knowsMetadata,
      hasher: this.#hasher(this.#storage),
      buffers: this.#buffers(),
    });
    this.peer = peer;
    this.#judge.log(`${plan.name} comes with ${this.#have.count} of ${info.pieceCount} pieces`);
    peer.swarm.onCorrupt((source) => {
      this.banned.add(source);
      this.#judge.log(`${plan.name} bans ${source}`);
    });
    peer.swarm.onProblem((error) => this.#onProblem(error));
    peer.swarm.onUnreadable((error) => {
      if (plan.storageFault?.on !== 'read') this.#judge.violation(`${plan.name} cannot read: ${error.message}`);
    });
    peer.swarm.onComplete(() => this.#onComplete());
    if (!knowsMetadata) this.#fetchVersion(peer);
    else if (!this.#have.complete) peer.swarm.download(this.#sim.allPieces());
    this.#plan(peer);
    this.#onChange();
  }

  /** What its owner does meanwhile. */
  #plan(peer: SimPeer): void {
    const { reads = [], unlimitedAt } = this.plan;
    for (const { at, ms, from, pieces } of reads) {
      this.#schedule.after(at, () => {
        if (this.peer !== peer || !peer.swarm.hasContent || this.complete) return;
        const all = this.#sim.allPieces();
        const first = Math.floor(from * all.length);
        const window = peer.swarm.prioritize(all.slice(first, first + pieces));
        this.#judge.log(`${this.name} reads ${pieces} pieces from ${first} on`);
        this.#schedule.after(ms, () => window.dispose());
      });
    }
    if (unlimitedAt === undefined) return;
    this.#schedule.after(unlimitedAt, () => {
      peer.upload.setRate(0);
      peer.download.setRate(0);
    });
  }

  go(): void {
    const { peer } = this;
    if (!peer) return;
    this.#judge.log(`${this.name} goes`);
    this.fetchedBefore += peer.swarm.fetched;
    this.#abort.abort();
    peer.swarm.dispose();
    this.peer = undefined;
  }

  /** After it went: what it still holds. */
  leftovers(): string[] {
    const found: string[] = [];
    if (this.#fetching > 0) found.push(`${this.name} still waits for piece layers`);
    if (this.#storage.late > 0) found.push(`${this.name} used its storage after it was closed`);
    return found;
  }

  #fetchVersion(peer: SimPeer): void {
    const { info, layers } = this.#sim.version;
    const abort = this.#abort.signal;
    const fetchLayers = (): void => {
      this.#fetching++;
      peer.swarm.fetchLayers(abort).then(
        (fetched) => {
          this.#fetching--;
          if (abort.aborted) return;
          for (const [root, layer] of layers)
            if (fetched.get(root)?.equals(layer) !== true)
              this.#judge.violation(`${this.name} took a wrong piece layer`);
          this.#judge.log(`${this.name} has the piece layers`);
          peer.swarm.provide({ info, layers: fetched, have: this.#have, storage: () => this.#storage });
          peer.swarm.download(this.#sim.allPieces());
          if (this.#have.complete) this.#onComplete();
        },
        (error: unknown) => {
          this.#fetching--;
          if (!abort.aborted) this.#judge.violation(`${this.name} got no layers: ${toPeerwireError(error).message}`);
        },
      );
    };
    peer.swarm.onInfo((got) => {
      if (!got.bytes.equals(info.bytes)) this.#judge.violation(`${this.name} took wrong metadata`);
      this.#judge.log(`${this.name} has the metadata`);
      fetchLayers();
    });
  }

  #onComplete(): void {
    if (this.completedAt !== undefined) return;
    this.completedAt = this.#sim.clock.now();
    this.#judge.log(`${this.name} is complete`);
    this.#onChange();
  }

  #onProblem(error: PeerwireError): void {
    const { storageFault, hashFailure } = this.plan;
    const expected = storageFault?.on === 'write' ? storageFault.kind : undefined;
    this.#judge.log(`${this.name} has a problem: ${error.message}`);
    if (error.code !== expected && !(error.code === 'internal' && hashFailure !== undefined))
      this.#judge.violation(`${this.name} has an unexpected problem: ${error.code}, ${error.message}`);
    const { peer } = this;
    if (this.#resuming || (storageFault && storageFault.until === undefined && this.#resumes >= MOST_RESUMES)) return;
    this.#resumes++;
    this.#resuming = true;
    this.#schedule.after(RESUME_AFTER, () => {
      this.#resuming = false;
      peer?.swarm.resume();
    });
  }

  #equip(storage: MemoryStorage): void {
    const { plan } = this;
    const fault = plan.storageFault;
    const slow = async (): Promise<void> => {
      if (plan.disk > 0) await this.#sim.pause(this.#dice.int(0, plan.disk));
    };
    storage.delay = async () => {
      await slow();
      if (fault?.on === 'write' && this.#fails(fault, this.#writeFailures)) {
        this.#writeFailures++;
        throw new PeerwireError(fault.kind, `The disk fails to write (${fault.kind}).`);
      }
    };
    storage.readDelay = async () => {
      await slow();
      if (fault?.on === 'read' && this.#fails(fault, this.#readFailures)) {
        this.#readFailures++;
        throw new PeerwireError('io', 'The disk fails to read.');
      }
    };
    storage.corrupt = plan.lie === undefined ? undefined : corruption(plan.lie, this.#dice);
    storage.onWrite = (fileIndex, offset, data) => {
      if (!this.#judge.isRight(fileIndex, offset, data))
        this.#judge.violation(`${this.name} writes wrong bytes into file ${fileIndex} at ${offset}`);
    };
  }

  #fails({ from, until }: { from: number; until?: number }, failures: number): boolean {
    const now = this.#sim.clock.now();
    return now >= from && (until === undefined || now < until || (until === from && failures === 0));
  }

  #hasher(storage: MemoryStorage): BlockHasher {
    const look = (leaves: Buffer): Buffer => {
      if (this.plan.lie === undefined && this.#judge.foreignLeaves(leaves) > 0) this.wrongPieces++;
      return leaves;
    };
    const hash = async (data: SharedArrayBuffer, offset: number, length: number): Promise<Buffer> => {
      if (this.plan.hashing > 0) await this.#sim.pause(this.#dice.int(0, this.plan.hashing));
      if (++this.#hashings === this.plan.hashFailure) throw new PeerwireError('internal', 'A worker died.');
      return look(leafHashes(new Uint8Array(data, offset, length)));
    };
    const plain: BlockHasher = { hashBlocks: hash, hashBlocksSync: (data) => look(leafHashes(data)) };
    if (!this.plan.writingThreads) return plain;
    return {
      ...plain,
      writeIfRight: async ({ data, offset, length, expected, pieceLength, fileLength, descriptor, position }) => {
        const leaves = await hash(data, offset, length);
        if (!pieceRoot(leaves, pieceLength, blockCount(fileLength)).equals(expected)) return leaves;
        await storage.writeLent(descriptor, position, new Uint8Array(data, offset, length));
        return undefined;
      },
    };
  }

  /** Each piece that is granted is seen, not only what is in use when somebody looks. */
  #buffers(): PieceBuffers {
    const { plan } = this;
    const judge = this.#judge;
    // A piece is granted to whoever has none, and what is read has a reserve.
    const beyond = this.#sim.version.info.pieceLength + (plan.reads ? READ_RESERVE : 0);
    return new (class extends PieceBuffers {
      override take(...args: Parameters<PieceBuffers['take']>): PieceMemory | undefined {
        const buffer = super.take(...args);
        judge.reach('beyondBudget', this.used - plan.budget, beyond, () => plan.name);
        return buffer;
      }
    })(plan.budget);
  }
}
