import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { BLOCK_SIZE } from './merkle.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { SharedMemory } from './shared-memory.ts';

const MIB = 1024 * 1024;
/** Bytes of content read and sent in one turn; less while the uplink is limited: this many seconds of it. */
const MOST_A_TURN = MIB;
const SECONDS_A_TURN = 0.05;
/** Bytes read and not yet sent: for one connection, for one device, for all. What waits in the kernel's way is as much again, encrypted. */
const LANE_MEMORY = 3 * MIB;
const DEVICE_MEMORY = 8 * MIB;
const MEMORY = 16 * MIB;
/**
 * Of those, what a connection has that drained little yet: as much again as has left. A batch that takes longer than this to
 * leave, in ms, makes it the least again.
 */
const FIRST_MEMORY = 256 * 1024;
const SLOW_BATCH = 5_000;
/** Beyond that a device that has nothing under way may still have this much: nobody can keep others from being served. */
const LEAST_A_TURN = 128 * 1024;
/** Batches of one device that are read or sent: tiny requests cost a read each, and would fill no memory. */
const DEVICE_BATCHES = 32;
/** Requests of one device that wait, over all its connections. */
const DEVICE_REQUESTS = 8192;
/** Content hashed for hash requests at a time: for one device, for all. Each holds a piece's memory. */
const DEVICE_HASHING = 1;
const MOST_HASHING = 4;
/** How far a device that was held up by a limit of its own may fall behind the others and catch up later, in bytes. */
const CREDIT = MIB;

/** What the requests of one connection are served by. */
export interface UploadSource {
  /** The limit that holds for it. */
  readonly limiter: RateLimiter;
  /**
   * Begins to send up to `limit` bytes (or one request, if that is larger). Returns the bytes, or more: what it cost shall be
   * counted as; 0 when nothing can be sent now.
   */
  serve(limit: number): number;
  /** Its content is read without waiting: nothing is read ahead of what waits to be sent. */
  readsAtOnce?(): boolean;
}

/** A device's part in the uplink. */
interface Account {
  readonly name: string;
  readonly lanes: Set<UploadLane>;
  /** Lanes that have something to send, the next first. */
  readonly ready: Set<UploadLane>;
  /** Bytes sent so far, as if it had always been here: who has least is next. */
  turn: number;
  memory: number;
  batches: number;
  requests: number;
  hashing: number;
}

/** One connection's place in the scheduler. */
export class UploadLane implements Disposable {
  readonly source: UploadSource;
  readonly account: Account;
  /** To its limits. */
  readonly listening: Disposable;
  readonly #scheduler: UploadScheduler;
  /** Bytes read and not yet sent; and how many there may be. */
  memory = 0;
  mostMemory = FIRST_MEMORY;
  /** When a batch last left, or the first of those under way was begun, in ms. */
  drainedAt = 0;
  batches = 0;
  requests = 0;
  /** Served only while nobody else can be. */
  background = false;
  /** When a rate limit last kept it waiting, in ms. */
  throttledAt = Number.NEGATIVE_INFINITY;
  disposed = false;

  constructor(scheduler: UploadScheduler, account: Account, source: UploadSource, listening: Disposable) {
    this.listening = listening;
    this.#scheduler = scheduler;
    this.account = account;
    this.source = source;
  }

  /** There is, or may be, something to send. */
  wake(): void {
    this.#scheduler.wake(this);
  }

  /** Says how many requests wait. */
  setRequests(count: number): void {
    this.account.requests += count - this.requests;
    this.requests = count;
  }

  /** False when the device has as many requests waiting as it may. */
  get hasRoom(): boolean {
    return this.account.requests < DEVICE_REQUESTS;
  }

  /** What `serve` returned has left our memory. */
  sent(bytes: number): void {
    this.#scheduler.sent(this, bytes);
  }

  dispose(): void {
    this.#scheduler.remove(this);
  }
}

/**
 * Decides whose requests are served next, over all swarms, connections and devices of this peer. The uplink is shared by
 * device: whoever was sent least is next, and what one leaves unused the others get. A device that comes back after a
 * while begins where the others are. (Start-time fair queueing: what deficit round robin approximates, with a shorter
 * wait for whoever asks for little.) What is read ahead, and what waits, is bounded for each device and in all.
 */
export class UploadScheduler implements Disposable {
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();
  /** What is sent is read into this. Shared, so that another thread can read many small files straight into it. */
  readonly buffers: SharedMemory;
  /** Accounts with ready lanes. */
  readonly #active = new Set<Account>();
  /** `turn` of whoever was served last. */
  #now = 0;
  #memory = 0;
  #hashing = 0;
  #pumpQueued = false;
  #timer: Disposable | undefined;
  #disposed = false;

  constructor(clock: Clock, buffers = new SharedMemory()) {
    this.#clock = clock;
    this.buffers = buffers;
  }

  /** Bytes read and not yet sent. */
  get memory(): number {
    return this.#memory;
  }

  /** Others are served only a little at a time, because of what waits to be sent. */
  get isFull(): boolean {
    return this.#memory >= MEMORY;
  }

  /** Adds a connection of a device (or whatever answers for it). */
  add(device: string, source: UploadSource): UploadLane {
    const account = this.#account(device);
    // Whoever sleeps because of a limit hears when it changes.
    const listening = source.limiter.onChange(() => this.#active.size > 0 && this.#pumpSoon());
    const lane = new UploadLane(this, account, source, listening);
    account.lanes.add(lane);
    return lane;
  }

  /** Room to hash a piece for a device: undefined when it, or everybody together, has as much under way as may be. */
  beginHashing(device: string): Disposable | undefined {
    const account = this.#account(device);
    if (account.hashing >= DEVICE_HASHING || this.#hashing >= MOST_HASHING) {
      this.#forget(account);
      return undefined;
    }
    account.hashing++;
    this.#hashing++;
    let done = false;
    return {
      dispose: () => {
        if (done) return;
        done = true;
        account.hashing--;
        this.#hashing--;
        this.#forget(account);
      },
    };
  }

  /** For `UploadLane`. */
  wake(lane: UploadLane): void {
    if (lane.disposed || this.#disposed) return;
    const { account } = lane;
    account.ready.add(lane);
    if (!this.#active.has(account)) {
      account.turn = Math.max(account.turn, this.#now);
      this.#active.add(account);
    }
    this.#pumpSoon();
  }

  /** For `UploadLane`. */
  sent(lane: UploadLane, bytes: number): void {
    if (lane.disposed) return;
    const now = this.#clock.now();
    const slow = now - lane.drainedAt > SLOW_BATCH;
    lane.mostMemory = slow ? LEAST_A_TURN : Math.min(LANE_MEMORY, lane.mostMemory + bytes);
    lane.drainedAt = now;
    lane.memory -= bytes;
    lane.account.memory -= bytes;
    lane.batches--;
    lane.account.batches--;
    this.#memory -= bytes;
    if (this.#active.size > 0) this.#pumpSoon();
  }

  /** For `UploadLane`. */
  remove(lane: UploadLane): void {
    if (lane.disposed) return;
    lane.disposed = true;
    lane.listening.dispose();
    const { account } = lane;
    lane.setRequests(0);
    account.memory -= lane.memory;
    account.batches -= lane.batches;
    this.#memory -= lane.memory;
    account.lanes.delete(lane);
    this.#rest(lane);
    this.#forget(account);
    if (this.#active.size > 0) this.#pumpSoon();
  }

  dispose(): void {
    this.#disposed = true;
    this.#timer?.dispose();
    this.#timer = undefined;
    this.#active.clear();
  }

  #account(device: string): Account {
    let account = this.#accounts.get(device);
    if (!account) {
      account = {
        name: device,
        lanes: new Set(),
        ready: new Set(),
        turn: this.#now,
        memory: 0,
        batches: 0,
        requests: 0,
        hashing: 0,
      };
      this.#accounts.set(device, account);
    }
    return account;
  }

  /** A device that just left comes back as one that was never here; it cannot gain by it, since all begin at `#now`. */
  #forget(account: Account): void {
    if (account.lanes.size > 0 || account.hashing > 0) return;
    this.#accounts.delete(account.name);
  }

  #rest(lane: UploadLane): void {
    lane.account.ready.delete(lane);
    if (lane.account.ready.size === 0) this.#active.delete(lane.account);
  }

  /** In a microtask: requests that arrived in the same chunk join the first batch. */
  #pumpSoon(): void {
    if (this.#pumpQueued || this.#disposed) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#pump();
    });
  }

  #pump(): void {
    this.#timer?.dispose();
    this.#timer = undefined;
    while (!this.#disposed) {
      const { lane, wait } = this.#next();
      if (!lane) {
        if (wait > 0) this.#timer = this.#clock.setTimeout(() => this.#pump(), wait);
        return;
      }
      this.#serve(lane);
    }
  }

  #serve(lane: UploadLane): void {
    const { account, source } = lane;
    const { limiter } = source;
    const most =
      limiter.rate === 0 ? MOST_A_TURN : Math.max(BLOCK_SIZE, Math.min(MOST_A_TURN, limiter.rate * SECONDS_A_TURN));
    const bytes = source.serve(Math.min(most, this.isFull ? LEAST_A_TURN : lane.mostMemory));
    // Behind its siblings; or out until it is woken.
    account.ready.delete(lane);
    if (bytes === 0) {
      this.#rest(lane);
      return;
    }
    account.ready.add(lane);
    limiter.spend(bytes);
    if (lane.memory === 0) lane.drainedAt = this.#clock.now();
    this.#now = Math.max(this.#now, account.turn);
    account.turn = Math.max(account.turn, this.#now - CREDIT) + bytes;
    lane.memory += bytes;
    account.memory += bytes;
    lane.batches++;
    account.batches++;
    this.#memory += bytes;
  }

  /** The lane whose turn it is; without one, the ms until a rate limit lets some go on (0: until something is sent). */
  #next(): { lane: UploadLane | undefined; wait: number } {
    let best: UploadLane | undefined;
    let soonest = Number.POSITIVE_INFINITY;
    for (const account of this.#active) {
      for (const lane of account.ready) {
        if (!this.#hasMemory(lane)) continue;
        const wait = lane.source.limiter.wait();
        if (wait > 0) {
          lane.throttledAt = this.#clock.now();
          soonest = Math.min(soonest, wait);
          continue;
        }
        const better =
          !best ||
          (best.background && !lane.background) ||
          (best.background === lane.background && account.turn < best.account.turn);
        if (better) best = lane;
        if (!lane.background) break;
      }
    }
    return { lane: best, wait: best || soonest === Number.POSITIVE_INFINITY ? 0 : soonest };
  }

  #hasMemory(lane: UploadLane): boolean {
    if (lane.memory > 0 && lane.source.readsAtOnce?.() === true) return false;
    if (lane.account.memory === 0) return true;
    if (lane.account.batches >= DEVICE_BATCHES) return false;
    return lane.memory < lane.mostMemory && lane.account.memory < DEVICE_MEMORY && this.#memory < MEMORY;
  }
}
