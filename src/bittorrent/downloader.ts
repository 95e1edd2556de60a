import type { Clock } from '../common/clock.ts';
import { type Disposable, toDisposable } from '../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { Logger } from '../common/log.ts';
import { ActivePiece } from './active-piece.ts';
import type { Bitfield } from './bitfield.ts';
import { BLOCK_SIZE, HASH_SIZE, pieceRoot } from './merkle.ts';
import { type Info, type PieceLayers, pieceAt, pieceHash } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import type { BufferUser, PieceBuffer } from './piece-buffers.ts';
import { PiecePicker, type Random } from './piece-picker.ts';
import { PriorityWindows } from './priority-windows.ts';
import type { Storage } from './storage.ts';

/** Pieces up to this size are hashed where they arrive: a hop to a worker would cost more than it saves. */
export const HASH_HERE = 64 * 1024;
/** Requests to keep outstanding to a peer at first and at least; each block that arrives allows one more (slow start). */
const START_DEPTH = 16;
/** Never more: 16 MiB in flight to one peer. */
const MOST_DEPTH = 1024;
/** Seconds of a peer's rate to keep requested. */
const DEPTH_SECONDS = 1;
/** Endgame asks a second peer for a block that the first was asked for this long ago, in ms. */
const ENDGAME_AGE = 400;
/** The same while a piece cannot be begun for want of memory: who holds the memory gets more time. */
const STARVED_AGE = 5_000;
const ENDGAME_BLOCKS = 8;
/** A peer that sends no block for this long loses its requests to others, in ms. */
const SNUB_AFTER = 15_000;
/** Snubs in a row after which a peer gets only what nobody else has. */
const MOST_SNUBS = 2;
/** A single request that is not answered for this long goes to another, in ms. */
const LATE_AFTER = 45_000;
/** A piece of which a peer rejected or forgot a request is kept from it for this long, in ms. */
const KEPT_FROM = 10_000;
const KEY_BLOCKS = 1 << 20;

/** Leaf hashes of a piece's blocks; worker threads behind it. */
export interface BlockHasher {
  hashBlocks(data: SharedArrayBuffer, offset: number, length: number): Promise<Buffer>;
  hashBlocksSync(data: Uint8Array): Buffer;
  /**
   * Hashes the piece and, when it is right, writes it from the same thread. Resolves with undefined when it is written, with
   * its leaf hashes when it is wrong and was not. Rejects as a write does. Absent where no thread can write.
   */
  writeIfRight?(piece: PieceToWrite): Promise<Buffer | undefined>;
}

export interface PieceToWrite {
  /** Its bytes from 0 to `length`. */
  readonly data: SharedArrayBuffer;
  readonly length: number;
  /** What `pieceRoot` is to be, and its other arguments. */
  readonly expected: Buffer;
  readonly pieceLength: number;
  readonly fileBlocks: number;
  readonly descriptor: number;
  /** Where in the file. */
  readonly position: number;
}

export interface DownloaderOptions {
  readonly info: Info;
  readonly layers: PieceLayers;
  readonly have: Bitfield;
  readonly storage: () => Storage;
  readonly hasher: BlockHasher;
  readonly buffers: BufferUser;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The piece is verified and on disk. */
  readonly onPiece: (piece: number) => void;
  /** The peer sent a block that is provably wrong. */
  readonly onCorrupt: (session: PeerSession, piece: number) => void;
  /** Writing failed: nothing is lost, but nothing can go on (disk full, permission…). */
  readonly onProblem: (error: PeerwireError) => void;
  /** Asks peers for the leaf hashes of a piece; undefined when none could be proven. */
  readonly leafHashes: (piece: number) => Promise<Buffer | undefined>;
}

/**
 * Fetches the wanted pieces from all sessions at once. A piece is begun by one peer and continued by it; others help with
 * blocks that nobody was asked for, and in the endgame ask again. A piece exists only in memory until every block of it
 * hashed to the file's merkle root; then it is written in one go.
 */
export class Downloader {
  readonly #options: DownloaderOptions;
  readonly #picker: PiecePicker;
  readonly #urgent = new PriorityWindows();
  /** Pieces that are wanted only because they are, or were, urgent. */
  readonly #borrowed = new Set<number>();
  readonly #active = new Map<number, ActivePiece<PeerSession>>();
  readonly #sessions = new Set<PeerSession>();
  /** Pieces that a session is not asked for now → when it may be again, in ms. */
  readonly #keptFrom = new Map<PeerSession, Map<number, number>>();
  /** Bytes of the largest piece. */
  readonly #largest: number;
  /** Pieces that are being hashed or written. */
  readonly #verifying = new Set<Promise<void>>();
  #missing = 0;
  #pumpQueued = false;
  #paused = false;
  #stopped = false;
  /** A piece could not be begun for want of a buffer. */
  #starved = false;
  /** Payload bytes that crossed the network, duplicates and discarded ones included. */
  fetched = 0;

  constructor(options: DownloaderOptions) {
    this.#options = options;
    this.#picker = new PiecePicker(options.info.pieceCount, options.random);
    const { files, pieceLength } = options.info;
    this.#largest = files.reduce((most, file) => Math.max(most, Math.min(file.length, pieceLength)), 0);
  }

  /** Pieces wanted and not had. */
  get missing(): number {
    return this.#missing;
  }

  want(pieces: Iterable<number>): void {
    for (const piece of pieces) {
      this.#borrowed.delete(piece);
      if (this.#options.have.has(piece) || this.#picker.isOpen(piece) || this.#active.has(piece)) continue;
      this.#picker.add(piece);
      this.#missing++;
    }
    for (const session of this.#sessions) this.#updateInterest(session);
    this.pumpAll();
  }

  /** These come before all others, in this order, until had or disposed; ones not wanted yet are wanted until then. */
  prioritize(pieces: readonly number[]): Disposable {
    const missing = pieces.filter((piece) => !this.#options.have.has(piece));
    const window = this.#urgent.add(missing);
    const unwanted = missing.filter((piece) => !this.#isMissing(piece));
    this.want(unwanted);
    for (const piece of unwanted) this.#borrowed.add(piece);
    return toDisposable(() => {
      window.dispose();
      for (const piece of missing) if (this.#picker.isOpen(piece)) this.#forgo(piece);
    });
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.pumpAll();
  }

  /** The pieces of a session became known; called again when it announces them after an empty start. */
  addSession(session: PeerSession): void {
    this.#sessions.add(session);
    for (const piece of session.pieces ?? []) this.#picker.increase(piece);
    this.#updateInterest(session);
    this.#pump(session);
  }

  removeSession(session: PeerSession): void {
    if (!this.#sessions.delete(session)) return;
    for (const piece of session.pieces ?? []) this.#picker.decrease(piece);
    this.#keptFrom.delete(session);
    this.#releaseAll(session, true);
    this.pumpAll();
  }

  onHave(session: PeerSession, piece: number): void {
    if (!this.#sessions.has(session)) return;
    this.#picker.increase(piece);
    if (this.#isMissing(piece)) session.setInterested(true);
    this.#pump(session);
  }

  /** A buffer came free, perhaps in another swarm. */
  onBufferFree(): void {
    if (!this.#starved || this.#stopped) return;
    this.#starved = false;
    this.pumpAll();
  }

  onUnchoke(session: PeerSession): void {
    this.#pump(session);
  }

  onChoke(session: PeerSession): void {
    // BEP 6: a choke does not clear the queue. Without it, it does.
    if (!session.fast && this.#releaseAll(session, false)) this.pumpAll();
  }

  onReject(session: PeerSession, piece: number, begin: number): void {
    const block = Math.floor(begin / BLOCK_SIZE);
    if (!session.outstanding.delete(keyOf(piece, block))) return;
    const active = this.#active.get(piece);
    // A reject also answers a cancel (BEP 6): then the block is here already.
    if (active && !active.isReceived(block)) {
      active.release(block, session, false);
      this.#keepFrom(session, active);
    }
    this.pumpAll();
  }

  /** The peer has room for requests for this piece, though it rejected some a while ago. */
  onSuggest(session: PeerSession, piece: number): void {
    if (this.#keptFrom.get(session)?.delete(piece) === true) this.pumpAll();
  }

  onBlockStart(session: PeerSession, piece: number, begin: number, length: number): Uint8Array | undefined {
    const active = this.#active.get(piece);
    const block = begin / BLOCK_SIZE;
    if (!active || !Number.isInteger(block) || block >= active.blocks || active.blockLength(block) !== length)
      return undefined;
    if (!session.outstanding.has(keyOf(piece, block))) return undefined;
    return active.beginReceive(block, session) ? active.blockBytes(block) : undefined;
  }

  onBlockEnd(session: PeerSession, piece: number, begin: number, length: number): void {
    const now = this.#options.clock.now();
    const block = Math.floor(begin / BLOCK_SIZE);
    const expected = session.outstanding.delete(keyOf(piece, block));
    this.fetched += length;
    session.downloaded.add(length, now);
    if (!expected) {
      // Late answers to cancelled requests are normal; a flood of blocks nobody asked for is not.
      session.unasked += length;
      if (session.unasked > 64 * 1024 * 1024)
        throw new PeerwireError('protocol', 'The peer sends blocks that nobody requested.');
      return;
    }
    session.lastBlock = now;
    session.snubs = 0;
    session.blocks++;
    const active = this.#active.get(piece);
    const others = active?.endReceive(block, session);
    if (active && others) {
      const cancel = { type: 'cancel', piece, begin: block * BLOCK_SIZE, length: active.blockLength(block) } as const;
      for (const other of others) {
        if (!other.outstanding.has(keyOf(piece, block))) continue;
        other.send(cancel);
        // BEP 6 answers a cancel with the block or a reject; without it there is no answer to wait for.
        if (!other.fast) other.outstanding.delete(keyOf(piece, block));
      }
      // Only the block that completes it: a duplicate may still arrive while the piece is hashed and written.
      if (active.complete) {
        const verifying = this.#verify(active).finally(() => this.#verifying.delete(verifying));
        this.#verifying.add(verifying);
      }
    }
    if (session.outstanding.size < session.depth * 0.75) this.#pump(session);
  }

  /** Called about once a second: takes requests back from peers that went silent, and keeps the endgame going. */
  tick(): void {
    const now = this.#options.clock.now();
    for (const pieces of this.#keptFrom.values())
      for (const [piece, until] of pieces) if (until <= now) pieces.delete(piece);
    for (const session of [...this.#sessions]) this.#checkProgress(session, now);
    for (const session of this.#sessions) this.#pump(session, true);
  }

  /** Forgets what is in flight and asks for nothing more; resolves when the pieces that arrived whole are verified and kept. */
  async halt(): Promise<void> {
    this.#paused = true;
    for (const active of [...this.#active.values()]) if (!active.complete) this.#abandon(active);
    await Promise.all(this.#verifying);
  }

  /** Forgets what is in flight. */
  stop(): void {
    this.#stopped = true;
    for (const active of [...this.#active.values()]) if (!active.complete) this.#drop(active);
    this.#active.clear();
    this.#sessions.clear();
  }

  /** Soon, and once however often it is called until then. */
  pumpAll(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      for (const session of this.#sessions) this.#pump(session);
    });
  }

  #checkProgress(session: PeerSession, now: number): void {
    const oldest = session.outstanding.values().next().value;
    if (oldest === undefined) return;
    const quietSince = Math.max(oldest, session.lastBlock, session.throttledUntil);
    if (now - quietSince >= LATE_AFTER) {
      // A snub has taken back all but a block that has begun to arrive: nobody else can fill its memory while it may go on.
      session.close(new PeerwireError('timeout', 'The peer stopped in the middle of a block.'));
    } else if (now - Math.max(quietSince, session.lastSnub) >= SNUB_AFTER) {
      this.#options.logger.info(`${session.source} answers nothing; asking others`);
      session.snubs++;
      session.lastSnub = now;
      this.#releaseAll(session, false);
    } else if (now - Math.max(oldest, session.throttledUntil) >= LATE_AFTER) {
      this.#releaseLate(session, now);
    }
  }

  /** Takes back requests that the peer passes over while it answers others. */
  #releaseLate(session: PeerSession, now: number): void {
    for (const [key, sent] of session.outstanding) {
      if (now - sent < LATE_AFTER) return;
      const block = key % KEY_BLOCKS;
      const active = this.#active.get(Math.floor(key / KEY_BLOCKS));
      if (!active || active.isReceived(block)) session.outstanding.delete(key);
      else if (active.release(block, session, false)) {
        session.outstanding.delete(key);
        const length = active.blockLength(block);
        session.send({ type: 'cancel', piece: active.index, begin: block * BLOCK_SIZE, length });
        this.#keepFrom(session, active);
      }
    }
  }

  /** The session is not asked for the piece again for a while: others get the chance to be. */
  #keepFrom(session: PeerSession, active: ActivePiece<PeerSession>): void {
    const pieces = this.#keptFrom.get(session) ?? new Map<number, number>();
    this.#keptFrom.set(session, pieces);
    pieces.set(active.index, this.#options.clock.now() + KEPT_FROM);
    if (active.owner === session) this.#disown(active);
  }

  /** True when nobody waits for the piece any more and nobody else wanted it: then it is wanted no longer. */
  #forgo(piece: number): boolean {
    if (this.#urgent.has(piece) || !this.#borrowed.delete(piece)) return false;
    this.#picker.remove(piece);
    this.#missing--;
    if (this.#missing === 0) for (const session of this.#sessions) session.setInterested(false);
    return true;
  }

  #isMissing(piece: number): boolean {
    return this.#picker.isOpen(piece) || this.#active.has(piece);
  }

  /** The session has the piece, and nothing speaks against asking it. */
  #mayAsk(session: PeerSession, piece: number): boolean {
    if (!session.has(piece) || this.#keptFrom.get(session)?.has(piece) === true) return false;
    if (session.snubs < MOST_SNUBS) return true;
    for (const other of this.#sessions)
      if (other.snubs < MOST_SNUBS && !other.peerChoking && other.has(piece)) return false;
    return true;
  }

  #depth(session: PeerSession): number {
    if (session.snubs > 0) return 1;
    const byRate = Math.ceil((session.downloaded.rate(this.#options.clock.now()) * DEPTH_SECONDS) / BLOCK_SIZE);
    return Math.min(Math.max(START_DEPTH, byRate), START_DEPTH + session.blocks, MOST_DEPTH, session.requestQueue);
  }

  /** `all`: also peers that are given hardly anything; finding out whether they are takes long. */
  #pump(session: PeerSession, all = false): void {
    if (this.#paused || this.#stopped || session.peerChoking || !session.amInterested || session.wire.closed) return;
    if (session.snubs >= MOST_SNUBS && !all) return;
    const now = this.#options.clock.now();
    const depth = this.#depth(session);
    session.depth = depth;
    while (session.outstanding.size < depth) {
      const active =
        this.#urgentPiece(session) ?? this.#continue(session) ?? this.#begin(session) ?? this.#help(session);
      if (!active) break;
      while (session.outstanding.size < depth) {
        const block = active.requestNext(session);
        if (block === undefined) break;
        this.#request(session, active, block, now);
      }
    }
    if (session.outstanding.size > 0) return;
    if (this.#picker.open === 0) this.#endgame(session, now, ENDGAME_AGE);
    else if (this.#starved) this.#endgame(session, now, STARVED_AGE);
  }

  #request(session: PeerSession, active: ActivePiece<PeerSession>, block: number, now: number): void {
    session.outstanding.set(keyOf(active.index, block), now);
    session.send({
      type: 'request',
      piece: active.index,
      begin: block * BLOCK_SIZE,
      length: active.blockLength(block),
    });
  }

  /** The first piece that somebody waits for and this peer can do something about. */
  #urgentPiece(session: PeerSession): ActivePiece<PeerSession> | undefined {
    for (const piece of this.#urgent) {
      const active = this.#active.get(piece);
      if (active ? active.free === 0 : !this.#picker.isOpen(piece)) continue;
      if (!this.#mayAsk(session, piece)) continue;
      if (active) return active;
      const kind = this.#active.size === 0 ? 'first' : 'urgent';
      const buffer = this.#options.buffers.take(pieceAt(this.#options.info, piece).length, kind);
      if (!buffer) {
        this.#starved = true;
        return undefined;
      }
      this.#picker.remove(piece);
      return this.#activate(session, piece, buffer);
    }
    return undefined;
  }

  /** A piece that this peer began, or that lost its owner. */
  #continue(session: PeerSession): ActivePiece<PeerSession> | undefined {
    for (const active of this.#active.values()) {
      if (active.free === 0 || (active.owner !== session && active.owner !== undefined)) continue;
      if (!this.#mayAsk(session, active.index)) continue;
      if (session.snubs === 0) active.owner = session;
      return active;
    }
    return undefined;
  }

  #begin(session: PeerSession): ActivePiece<PeerSession> | undefined {
    if (this.#picker.open === 0) return undefined;
    const { info, buffers } = this.#options;
    const kind = this.#active.size === 0 ? 'first' : 'normal';
    if (!buffers.fits(this.#largest, kind)) {
      this.#starved = true;
      return undefined;
    }
    const piece = this.#picker.begin((candidate) => this.#mayAsk(session, candidate));
    if (piece === undefined) return undefined;
    const buffer = buffers.take(pieceAt(info, piece).length, kind);
    if (!buffer) throw new PeerwireError('internal', 'There was a buffer a moment ago.');
    return this.#activate(session, piece, buffer);
  }

  #activate(session: PeerSession, piece: number, buffer: PieceBuffer): ActivePiece<PeerSession> {
    const { length } = pieceAt(this.#options.info, piece);
    const active = new ActivePiece<PeerSession>(piece, length, buffer, session.snubs === 0 ? session : undefined);
    this.#active.set(piece, active);
    return active;
  }

  /** A piece of another peer that has blocks nobody was asked for. */
  #help(session: PeerSession): ActivePiece<PeerSession> | undefined {
    for (const active of this.#active.values())
      if (active.free > 0 && this.#mayAsk(session, active.index)) return active;
    return undefined;
  }

  #endgame(session: PeerSession, now: number, age: number): void {
    for (const active of this.#active.values()) {
      if (active.complete || !this.#mayAsk(session, active.index)) continue;
      while (session.outstanding.size < ENDGAME_BLOCKS) {
        const block = active.requestAgain(session, 2, (asker, candidate) => {
          const sent = asker.outstanding.get(keyOf(active.index, candidate));
          return sent === undefined || now - sent > age;
        });
        if (block === undefined) break;
        this.#request(session, active, block, now);
      }
    }
  }

  /** True when something came free for others. */
  #releaseAll(session: PeerSession, gone: boolean): boolean {
    let released = false;
    for (const key of session.outstanding.keys()) {
      const active = this.#active.get(Math.floor(key / KEY_BLOCKS));
      if (active?.release(key % KEY_BLOCKS, session, gone) === false) continue;
      session.outstanding.delete(key);
      released = true;
    }
    for (const active of this.#active.values()) {
      if (active.owner !== session) continue;
      this.#disown(active);
      released = true;
    }
    return released;
  }

  #disown(active: ActivePiece<PeerSession>): void {
    active.owner = undefined;
    // Nothing of it is worth keeping memory for.
    if (active.untouched) this.#abandon(active);
  }

  #updateInterest(session: PeerSession): void {
    if (session.amInterested || this.#missing === 0) return;
    for (const piece of session.pieces ?? []) {
      if (!this.#isMissing(piece)) continue;
      session.setInterested(true);
      return;
    }
  }

  async #verify(active: ActivePiece<PeerSession>): Promise<void> {
    const { info, layers, have } = this.#options;
    try {
      const expected = pieceHash(info, layers, active.index);
      if (!expected) throw new PeerwireError('internal', 'A piece was fetched before its hash was known.');
      const wrong = await this.#writeIfRight(active, expected);
      if (wrong === 'stopped') return this.#drop(active);
      if (wrong) {
        await this.#blame(active, wrong);
        return;
      }
      this.#credit(active);
      this.#drop(active);
      have.add(active.index);
      this.#urgent.delete(active.index);
      this.#borrowed.delete(active.index);
      this.#missing--;
      this.#options.onPiece(active.index);
      if (this.#missing === 0) for (const session of this.#sessions) session.setInterested(false);
    } catch (error) {
      this.#abandon(active);
      if (!this.#stopped) this.#options.onProblem(toPeerwireError(error));
    } finally {
      // Buffers came free: whoever waited for one may go on.
      if (!this.#stopped) this.pumpAll();
    }
  }

  /** Undefined when it is right and on disk; its leaf hashes when it is wrong. */
  async #writeIfRight(active: ActivePiece<PeerSession>, expected: Buffer): Promise<Buffer | 'stopped' | undefined> {
    const { info, hasher } = this.#options;
    const { fileIndex, offset, file } = pieceAt(info, active.index);
    const { shared, bytes } = active.buffer;
    const storage = this.#options.storage();
    const { writeIfRight } = hasher;
    if (active.length > HASH_HERE && writeIfRight) {
      const piece = {
        data: shared,
        length: active.length,
        expected,
        pieceLength: info.pieceLength,
        fileBlocks: Math.ceil(file.length / BLOCK_SIZE),
        position: offset,
      };
      const writing = storage.writeBy?.(fileIndex, (descriptor) => writeIfRight.call(hasher, { ...piece, descriptor }));
      if (writing) {
        const wrong = await writing;
        return wrong && this.#stopped ? 'stopped' : wrong;
      }
    }
    const leaves =
      active.length <= HASH_HERE ? hasher.hashBlocksSync(bytes) : await hasher.hashBlocks(shared, 0, active.length);
    if (this.#stopped) return 'stopped';
    if (!this.#rootOf(active.index, leaves).equals(expected)) return leaves;
    await storage.write(fileIndex, offset, bytes);
    return undefined;
  }

  #rootOf(piece: number, leaves: Buffer): Buffer {
    const { info } = this.#options;
    return pieceRoot(leaves, info.pieceLength, Math.ceil(pieceAt(info, piece).file.length / BLOCK_SIZE));
  }

  #credit(active: ActivePiece<PeerSession>): void {
    for (let block = 0; block < active.blocks; block++) {
      const sender = active.sender(block);
      if (sender) sender.verifiedBytes += active.blockLength(block);
    }
  }

  /** Finds out who sent what was wrong. With one sender that is clear; otherwise the leaf hashes tell. */
  async #blame(active: ActivePiece<PeerSession>, leaves: Buffer): Promise<void> {
    const senders = active.senders();
    const [only] = senders;
    if (senders.size === 1 && only) {
      this.#abandon(active);
      this.#options.onCorrupt(only, active.index);
      return;
    }
    const proven = await this.#options.leafHashes(active.index);
    if (this.#stopped) return this.#drop(active);
    const expected = pieceHash(this.#options.info, this.#options.layers, active.index);
    if (!proven || !expected || !this.#rootOf(active.index, proven).equals(expected)) {
      // Nobody could prove the leaves: fetch the piece again, from one peer alone if need be.
      this.#abandon(active);
      return;
    }
    const liars = new Set<PeerSession>();
    for (let block = 0; block < active.blocks; block++) {
      const at = block * HASH_SIZE;
      if (leaves.compare(proven, at, at + HASH_SIZE, at, at + HASH_SIZE) === 0) continue;
      const sender = active.sender(block);
      if (sender) liars.add(sender);
      active.discard(block);
    }
    for (const liar of liars) this.#options.onCorrupt(liar, active.index);
  }

  /** Gives the piece's memory back, once. */
  #drop(active: ActivePiece<PeerSession>): void {
    if (active.dropped) return;
    active.dropped = true;
    if (this.#active.get(active.index) === active) this.#active.delete(active.index);
    this.#options.buffers.give(active.buffer);
  }

  #abandon(active: ActivePiece<PeerSession>): void {
    this.#drop(active);
    if (!this.#stopped && !this.#forgo(active.index)) this.#picker.add(active.index);
  }
}

function keyOf(piece: number, block: number): number {
  return piece * KEY_BLOCKS + block;
}
