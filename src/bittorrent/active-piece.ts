import { copyBytes } from './copy-bytes.ts';
import { BLOCK_SIZE, blockCount } from './merkle.ts';
import type { PieceMemory } from './piece-memory.ts';
import type { PieceRequest } from './request-queue.ts';

const State = { free: 0, requested: 1, receiving: 2, received: 3 } as const;

/**
 * A piece that is being fetched. Each block is in one of four states: free → requested (in one request, in the endgame in
 * several) → receiving (the bytes of one of them are arriving) → received. Giving up a request leads back to free.
 *
 * Requests are for runs of blocks, but every block is accounted for alone: who sent it, and who else was asked for it.
 */
export class ActivePiece<Peer> {
  readonly index: number;
  readonly length: number;
  readonly blocks: number;
  readonly buffer: PieceMemory;
  /** The peer that began it and continues it; others help only when nothing else is left. Set by `ActivePieces`. */
  owner: Peer | undefined;
  readonly #states: Uint8Array;
  /** The request that a block is part of, and further ones (seldom: no map is made for most pieces). */
  readonly #asked: (PieceRequest<Peer> | undefined)[];
  #askedAgain: Map<number, readonly PieceRequest<Peer>[]> | undefined;
  readonly #senders: (Peer | undefined)[];
  /** Memory of answers that hold blocks which are here already: their bytes must not touch the piece. */
  #apart: Map<PieceRequest<Peer>, Buffer> | undefined;
  #free: number;
  #received = 0;
  #cursor = 0;

  constructor(index: number, length: number, buffer: PieceMemory, owner: Peer | undefined) {
    this.index = index;
    this.length = length;
    this.blocks = blockCount(length);
    this.buffer = buffer;
    this.owner = owner;
    this.#states = new Uint8Array(this.blocks);
    this.#asked = new Array<PieceRequest<Peer> | undefined>(this.blocks);
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

  blockLength(block: number): number {
    return Math.min(BLOCK_SIZE, this.length - block * BLOCK_SIZE);
  }

  /** Asks the peer for the next free blocks, up to `most` in a row. */
  request(peer: Peer, most: number, now: number, urgent = false): PieceRequest<Peer> | undefined {
    if (this.#free === 0) return undefined;
    let first = this.#states.indexOf(State.free, this.#cursor);
    if (first < 0) first = this.#states.indexOf(State.free);
    let end = first;
    while (end < this.blocks && end - first < most && this.#states[end] === State.free) end++;
    const request = this.#make(peer, first, end, now, urgent);
    for (let block = first; block < end; block++) {
      this.#states[block] = State.requested;
      this.#asked[block] = request;
    }
    this.#free -= end - first;
    this.#cursor = end;
    return request;
  }

  /**
   * Asks another peer too for what `late` does not bring yet, up to `most` blocks in a row, unless they are part of `limit`
   * requests already.
   */
  requestAgain(
    late: PieceRequest<Peer>,
    peer: Peer,
    most: number,
    limit: number,
    now: number,
  ): PieceRequest<Peer> | undefined {
    const mayAsk = (block: number): boolean => {
      if (this.#states[block] !== State.requested || !this.#isAsked(block, late)) return false;
      const askers = this.askers(block);
      return askers.length < limit && askers.every((request) => request.peer !== peer);
    };
    const behind = late.first + late.count;
    let first = late.first;
    while (first < behind && !mayAsk(first)) first++;
    let end = first;
    while (end < behind && end - first < most && mayAsk(end)) end++;
    if (end === first) return undefined;
    const request = this.#make(peer, first, end, now, late.urgent);
    this.#askedAgain ??= new Map();
    for (let block = first; block < end; block++)
      this.#askedAgain.set(block, [...(this.#askedAgain.get(block) ?? []), request]);
    return request;
  }

  /** The requests that a block is part of. */
  askers(block: number): PieceRequest<Peer>[] {
    const asked = this.#asked[block];
    return asked ? [asked, ...(this.#askedAgain?.get(block) ?? [])] : [];
  }

  /** Where the bytes of the answer go; undefined when none of them is needed any more. */
  beginReceive(request: PieceRequest<Peer>): Uint8Array | undefined {
    let taken = 0;
    for (let block = request.first; block < request.first + request.count; block++) {
      if (this.#states[block] !== State.requested || !this.#isAsked(block, request)) continue;
      this.#states[block] = State.receiving;
      this.#senders[block] = request.peer;
      taken++;
    }
    if (taken === 0) return undefined;
    const begin = request.first * BLOCK_SIZE;
    const { bytes } = this.buffer;
    if (taken === request.count)
      return request.length === this.length ? bytes : bytes.subarray(begin, begin + request.length);
    const apart = Buffer.allocUnsafe(request.length);
    this.#apart ??= new Map();
    this.#apart.set(request, apart);
    return apart;
  }

  /**
   * The answer arrived. Returns the requests of other peers that nothing is left to wait for: they can be cancelled;
   * undefined when the answer brought nothing new.
   */
  endReceive(request: PieceRequest<Peer>): Set<PieceRequest<Peer>> | undefined {
    const apart = this.#apart?.get(request);
    let others: Set<PieceRequest<Peer>> | undefined;
    for (let block = request.first; block < request.first + request.count; block++) {
      if (!this.#isArriving(block, request)) continue;
      if (apart) {
        const from = (block - request.first) * BLOCK_SIZE;
        copyBytes(apart, from, from + this.blockLength(block), this.buffer.bytes, block * BLOCK_SIZE);
      }
      this.#states[block] = State.received;
      this.#received++;
      others ??= new Set();
      if (this.#askedAgain) for (const other of this.askers(block)) if (other !== request) others.add(other);
      this.#asked[block] = undefined;
      this.#askedAgain?.delete(block);
    }
    this.release(request);
    for (const other of others ?? []) if (this.isNeeded(other)) others?.delete(other);
    return others;
  }

  /** Some block of the request is not here yet. */
  isNeeded(request: PieceRequest<Peer>): boolean {
    for (let block = request.first; block < request.first + request.count; block++)
      if (this.#states[block] !== State.received) return true;
    return false;
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

  /** The requests that blocks wait for, by place. */
  requests(): Set<PieceRequest<Peer>> {
    const all = new Set<PieceRequest<Peer>>();
    for (const request of this.#asked) if (request) all.add(request);
    return all;
  }

  /** The request will not be answered, or its answer will not be taken: no byte of it may be written from now on. */
  release(request: PieceRequest<Peer>): void {
    this.#apart?.delete(request);
    for (let block = request.first; block < request.first + request.count; block++) {
      if (!this.#isAsked(block, request)) continue;
      const arriving = this.#isArriving(block, request);
      const [asked, ...again] = this.askers(block).filter((other) => other !== request);
      this.#asked[block] = asked;
      if (again.length > 0) this.#askedAgain?.set(block, again);
      else this.#askedAgain?.delete(block);
      if (arriving) this.#senders[block] = undefined;
      if (asked) {
        if (arriving) this.#states[block] = State.requested;
        continue;
      }
      this.#states[block] = State.free;
      this.#free++;
      this.#cursor = Math.min(this.#cursor, block);
    }
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

  #make(peer: Peer, first: number, end: number, now: number, urgent: boolean): PieceRequest<Peer> {
    const length = Math.min(end * BLOCK_SIZE, this.length) - first * BLOCK_SIZE;
    return { peer, piece: this.index, first, count: end - first, length, sent: now, urgent, cancelled: false };
  }

  #isAsked(block: number, request: PieceRequest<Peer>): boolean {
    return this.#asked[block] === request || this.#askedAgain?.get(block)?.includes(request) === true;
  }

  #isArriving(block: number, request: PieceRequest<Peer>): boolean {
    return (
      this.#states[block] === State.receiving && this.#senders[block] === request.peer && this.#isAsked(block, request)
    );
  }
}
