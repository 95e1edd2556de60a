import { BLOCK_SIZE } from './merkle.ts';
import type { PieceBuffer } from './piece-buffers.ts';

const State = { free: 0, requested: 1, receiving: 2, received: 3 } as const;

/**
 * A piece that is being fetched. Each block is in one of four states: free → requested (by one peer, in endgame by
 * several) → receiving (one peer's bytes are streaming into the buffer) → received. Losing a peer leads back to free.
 */
export class ActivePiece<Peer> {
  readonly index: number;
  readonly length: number;
  readonly blocks: number;
  readonly buffer: PieceBuffer;
  /** The peer that began it and continues it; others help only when nothing else is left. */
  owner: Peer | undefined;
  /** Its memory was given back. */
  dropped = false;
  readonly #states: Uint8Array;
  readonly #askers: (Peer[] | undefined)[];
  readonly #senders: (Peer | undefined)[];
  #free: number;
  #received = 0;
  #cursor = 0;

  constructor(index: number, length: number, buffer: PieceBuffer, owner: Peer | undefined) {
    this.index = index;
    this.length = length;
    this.blocks = Math.ceil(length / BLOCK_SIZE);
    this.buffer = buffer;
    this.owner = owner;
    this.#states = new Uint8Array(this.blocks);
    this.#askers = new Array<Peer[] | undefined>(this.blocks);
    this.#senders = new Array<Peer | undefined>(this.blocks);
    this.#free = this.blocks;
  }

  /** Blocks that nobody was asked for. */
  get free(): number {
    return this.#free;
  }

  /** Nothing was requested, nothing arrived. */
  get untouched(): boolean {
    return this.#free === this.blocks;
  }

  get complete(): boolean {
    return this.#received === this.blocks;
  }

  /** Bytes of received blocks. */
  get receivedBytes(): number {
    let bytes = 0;
    for (let block = 0; block < this.blocks; block++) {
      if (this.#states[block] === State.received) bytes += this.blockLength(block);
    }
    return bytes;
  }

  blockLength(block: number): number {
    return Math.min(BLOCK_SIZE, this.length - block * BLOCK_SIZE);
  }

  blockBytes(block: number): Uint8Array {
    return this.buffer.bytes.subarray(block * BLOCK_SIZE, block * BLOCK_SIZE + this.blockLength(block));
  }

  /** Marks the next free block as requested by the peer. */
  requestNext(peer: Peer): number | undefined {
    if (this.#free === 0) return undefined;
    for (let step = 0; step < this.blocks; step++) {
      const block = (this.#cursor + step) % this.blocks;
      if (this.#states[block] !== State.free) continue;
      this.#cursor = block + 1;
      this.#states[block] = State.requested;
      this.#askers[block] = [peer];
      this.#free--;
      return block;
    }
    return undefined;
  }

  /** Endgame: a block that is requested from fewer than `most` peers, not from this one, not arriving, and `late` there. */
  requestAgain(peer: Peer, most: number, late: (asker: Peer, block: number) => boolean): number | undefined {
    for (let block = 0; block < this.blocks; block++) {
      const askers = this.#askers[block];
      if (this.#states[block] !== State.requested || !askers || askers.length >= most || askers.includes(peer))
        continue;
      if (!askers.every((asker) => late(asker, block))) continue;
      askers.push(peer);
      return block;
    }
    return undefined;
  }

  /** True when the block's bytes should be taken from this peer now. */
  beginReceive(block: number, peer: Peer): boolean {
    if (this.#states[block] !== State.requested || this.#askers[block]?.includes(peer) !== true) return false;
    this.#states[block] = State.receiving;
    this.#senders[block] = peer;
    return true;
  }

  /**
   * The block arrived from this peer. Returns the other peers that were asked for it too, whose requests can be
   * cancelled; undefined when it is not the copy that is being taken.
   */
  endReceive(block: number, peer: Peer): Peer[] | undefined {
    if (this.#states[block] !== State.receiving || this.#senders[block] !== peer) return undefined;
    this.#states[block] = State.received;
    this.#received++;
    const others = (this.#askers[block] ?? []).filter((asker) => asker !== peer);
    this.#askers[block] = undefined;
    return others;
  }

  isReceived(block: number): boolean {
    return this.#states[block] === State.received;
  }

  /** Who sent a received block. */
  sender(block: number): Peer | undefined {
    return this.#states[block] === State.received ? this.#senders[block] : undefined;
  }

  /** All peers that sent received blocks. */
  senders(): Set<Peer> {
    const all = new Set<Peer>();
    for (let block = 0; block < this.blocks; block++) {
      const sender = this.sender(block);
      if (sender !== undefined) all.add(sender);
    }
    return all;
  }

  /**
   * The peer will not deliver this block: rejected, or gone. A block whose bytes are streaming in from this very peer
   * stays with it unless it is `gone`: its next bytes would land in memory that somebody else has filled. Returns false
   * then.
   */
  release(block: number, peer: Peer, gone: boolean): boolean {
    const state = this.#states[block];
    if (state === State.received || state === State.free || state === undefined) return true;
    if (state === State.receiving && this.#senders[block] === peer) {
      if (!gone) return false;
      this.#states[block] = State.requested;
    }
    const askers = (this.#askers[block] ?? []).filter((asker) => asker !== peer);
    this.#askers[block] = askers;
    if (askers.length > 0 || this.#states[block] === State.receiving) return true;
    this.#states[block] = State.free;
    this.#askers[block] = undefined;
    this.#free++;
    this.#cursor = Math.min(this.#cursor, block);
    return true;
  }

  /** Forgets a received block that proved wrong. */
  discard(block: number): void {
    if (this.#states[block] !== State.received) return;
    this.#states[block] = State.free;
    this.#senders[block] = undefined;
    this.#received--;
    this.#free++;
    this.#cursor = 0;
  }
}
