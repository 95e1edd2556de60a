import type { Disposable } from '../common/disposable.ts';
import { Emitter, type Event } from '../common/event.ts';
import { TRANSFER_PRIORITIES, type TransferPriority } from './bandwidth-manager.ts';
import { PieceMemory } from './piece-memory.ts';
import { rangeSize, SharedMemory } from './shared-memory.ts';
import { Watermark } from './watermark.ts';

/** Bytes beyond the budget for pieces that somebody waits for. */
const RESERVE = 4 * 1024 * 1024;
/**
 * `first`: the swarm holds none yet. That one is granted beyond the budget, however large. `urgent`: somebody waits for
 * the piece; for those there is a reserve beyond the budget, enough for one piece at least.
 */
export type BufferKind = 'first' | 'urgent' | 'normal';

/**
 * Memory for pieces that are being received, hashed or written, under one budget. The budget is the back-pressure of the
 * receiving side: no buffer, no new requests. Swarms share it, and none can keep another from going on with one piece.
 * What comes free is for the swarm of the highest priority that waits for it.
 */
export class PieceBuffers {
  readonly memory: SharedMemory;
  readonly #mark: Watermark;
  readonly #users = new Set<BufferUser>();

  /** `budget` in bytes. */
  constructor(budget: number, memory = new SharedMemory()) {
    this.memory = memory;
    this.#mark = new Watermark(budget, budget);
    this.#mark.onLow(() => {
      for (const user of this.#byPriority()) if (user.waiting) user.retry();
    });
  }

  /** Bytes in use. */
  get used(): number {
    return this.#mark.level;
  }

  /** One swarm's access, to be disposed with it. */
  user(priority: () => TransferPriority): BufferUser {
    const user = new BufferUser(this, priority, {
      comesFirst: () => this.#first(({ waiting }) => waiting),
      othersWait: () => this.#first((other) => other !== user && other.waiting) !== undefined,
      leave: () => this.#users.delete(user),
    });
    this.#users.add(user);
    return user;
  }

  fits(length: number, kind: BufferKind): boolean {
    if (kind === 'first') return true;
    if (kind === 'urgent' && this.#mark.level <= this.#mark.high) return true;
    return this.#mark.fits(rangeSize(length), kind === 'urgent' ? RESERVE : 0);
  }

  take(length: number, kind: BufferKind): PieceMemory | undefined {
    if (!this.fits(length, kind)) return undefined;
    const buffer = new PieceMemory(this.memory, length);
    this.#mark.add(buffer.size);
    return buffer;
  }

  /** Whatever was given back before is left alone. */
  give(buffer: PieceMemory): void {
    if (buffer.giveBack()) this.#mark.remove(buffer.size);
  }

  /** Of those that pass, one of the highest priority. */
  #first(test: (user: BufferUser) => boolean): BufferUser | undefined {
    let first: BufferUser | undefined;
    for (const user of this.#users) if (test(user) && (first === undefined || user.rank < first.rank)) first = user;
    return first;
  }

  #byPriority(): BufferUser[] {
    return [...this.#users].sort((a, b) => a.rank - b.rank);
  }
}

interface Queue {
  /** Of those that wait, who is served next. */
  comesFirst(): BufferUser | undefined;
  othersWait(): boolean;
  leave(): void;
}

/** What one swarm sees of the buffers. */
export class BufferUser implements Disposable {
  readonly #buffers: PieceBuffers;
  readonly #priority: () => TransferPriority;
  readonly #queue: Queue;
  readonly #onFree = new Emitter<void>();
  /** Memory came free after it had been refused. */
  readonly onFree: Event<void> = this.#onFree.event;
  /** It was refused, and has not been told since that memory came free. */
  waiting = false;

  constructor(buffers: PieceBuffers, priority: () => TransferPriority, queue: Queue) {
    this.#buffers = buffers;
    this.#priority = priority;
    this.#queue = queue;
  }

  /** 0 comes first. */
  get rank(): number {
    return TRANSFER_PRIORITIES.indexOf(this.#priority());
  }

  /** Other swarms wait for memory. */
  get othersWait(): boolean {
    return this.#queue.othersWait();
  }

  fits(length: number, kind: BufferKind): boolean {
    const first = kind === 'normal' ? this.#queue.comesFirst() : undefined;
    const granted = (first === undefined || first.rank >= this.rank) && this.#buffers.fits(length, kind);
    if (!granted) this.waiting = true;
    return granted;
  }

  take(length: number, kind: BufferKind): PieceMemory | undefined {
    return this.fits(length, kind) ? this.#buffers.take(length, kind) : undefined;
  }

  give(buffer: PieceMemory): void {
    this.#buffers.give(buffer);
  }

  /** For `PieceBuffers`: whoever still wants memory asks again. */
  retry(): void {
    this.waiting = false;
    this.#onFree.fire();
  }

  dispose(): void {
    this.waiting = false;
    this.#queue.leave();
  }
}
