import type { Clock } from '../common/clock.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { Bitfield } from './bitfield.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { type Info, pieceAt } from './metainfo.ts';
import { type PeerSession, REQUEST_QUEUE } from './peer-session.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { Storage } from './storage.ts';
import { type BlockRequest, writeBlockHeader } from './wire/messages.ts';

/** Bytes of content read and sent in one go. */
const BATCH = 1024 * 1024;
/** Blocks in it. */
const BATCH_BLOCKS = BATCH / BLOCK_SIZE;
/** No further read while this much is being read or waits to be sent: some batches keep disk, cipher and socket busy. */
const HIGH_WATER = 3 * BATCH;
const HEADER = 13;
/** Bytes: a smaller batch goes on with another piece, and its buffer is not kept. */
const LITTLE = 64 * 1024;
/** Bytes of a buffer that is kept for further batches. */
const SPARE_SIZE = BATCH + BATCH_BLOCKS * HEADER;
/** While the rate limit holds us back we look again at least this often, in ms: the rate may have been changed. */
const LONGEST_SLEEP = 500;

export interface UploaderOptions {
  readonly info: Info;
  readonly have: Bitfield;
  readonly storage: () => Storage;
  readonly clock: Clock;
  readonly limiter: RateLimiter;
  /** Content could not be read: `stale` means that it changed after it was published. */
  readonly onProblem: (error: PeerwireError) => void;
}

interface Queue {
  readonly requests: BlockRequest[];
  unsent: number;
  working: boolean;
  /** Ends the wait for room or for the rate limit. */
  wake: (() => void) | undefined;
}

/**
 * Answers block requests. Requests are queued, not data: content is read only while the connection has little left to
 * send, in batches with their headers already in place: one read for each run of contiguous blocks, one write for all.
 */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #queues = new Map<PeerSession, Queue>();
  readonly #spare: Buffer[] = [];

  constructor(options: UploaderOptions) {
    this.#options = options;
  }

  onRequest(session: PeerSession, request: BlockRequest): void {
    const { info, have } = this.#options;
    if (request.piece >= info.pieceCount || request.length === 0 || request.length > BLOCK_SIZE) {
      throw new PeerwireError('protocol', 'The peer requested a block that cannot exist.');
    }
    // libtorrent treats the space behind a file's end as padding and requests it as part of a full block.
    if (request.begin + request.length > info.pieceLength) {
      throw new PeerwireError('protocol', 'The peer requested bytes beyond the end of a piece.');
    }
    const queue = this.#queue(session);
    if (session.amChoking || !have.has(request.piece) || queue.requests.length >= REQUEST_QUEUE) {
      this.#reject(session, request);
      return;
    }
    queue.requests.push(request);
    this.#pump(session, queue);
  }

  onCancel(session: PeerSession, request: BlockRequest): void {
    const queue = this.#queues.get(session);
    const index = queue?.requests.findIndex(
      (other) => other.piece === request.piece && other.begin === request.begin && other.length === request.length,
    );
    if (!queue || index === undefined || index < 0) return;
    queue.requests.splice(index, 1);
    this.#reject(session, request);
  }

  /** The connection sent what it had. */
  wake(session: PeerSession): void {
    this.#queues.get(session)?.wake?.();
  }

  remove(session: PeerSession): void {
    const queue = this.#queues.get(session);
    this.#queues.delete(session);
    queue?.wake?.();
  }

  #queue(session: PeerSession): Queue {
    let queue = this.#queues.get(session);
    if (!queue) {
      queue = { requests: [], unsent: 0, working: false, wake: undefined };
      this.#queues.set(session, queue);
    }
    return queue;
  }

  #reject(session: PeerSession, request: BlockRequest): void {
    if (session.fast)
      session.send({ type: 'reject', piece: request.piece, begin: request.begin, length: request.length });
  }

  #pump(session: PeerSession, queue: Queue): void {
    if (queue.working) return;
    queue.working = true;
    void this.#work(session, queue).finally(() => {
      queue.working = false;
      // Requests that came after the work had seen an empty queue.
      if (queue.requests.length > 0 && this.#isOpen(session, queue)) this.#pump(session, queue);
    });
  }

  #isOpen(session: PeerSession, queue: Queue): boolean {
    return !session.wire.closed && this.#queues.get(session) === queue;
  }

  /** Reads ahead while earlier batches are encrypted and sent; batches leave in the order of their requests. */
  async #work(session: PeerSession, queue: Queue): Promise<void> {
    const { limiter } = this.#options;
    // Let the requests that arrived in the same chunk join the first batch.
    await undefined;
    let sent = Promise.resolve(true);
    while (queue.requests.length > 0 && this.#isOpen(session, queue)) {
      const wait = limiter.wait();
      if (wait > 0 || queue.unsent >= HIGH_WATER) {
        await this.#sleep(queue, wait);
        continue;
      }
      const most = limiter.rate === 0 ? BATCH : Math.max(BLOCK_SIZE, Math.min(BATCH, limiter.rate / 20));
      const batch = takeBatch(queue.requests, most);
      const bytes = batch.reduce((sum, request) => sum + HEADER + request.length, 0);
      limiter.spend(bytes);
      queue.unsent += bytes;
      sent = this.#send(session, queue, batch, bytes, sent);
    }
    await sent;
  }

  #sleep(queue: Queue, wait: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer?.dispose();
        queue.wake = undefined;
        resolve();
      };
      const timer = wait > 0 ? this.#options.clock.setTimeout(wake, Math.min(wait, LONGEST_SLEEP)) : undefined;
      queue.wake = wake;
    });
  }

  /** Resolves with false when this batch, or one before it, could not be sent: those behind it are not sent either. */
  async #send(
    session: PeerSession,
    queue: Queue,
    batch: readonly BlockRequest[],
    bytes: number,
    before: Promise<boolean>,
  ): Promise<boolean> {
    const buffer = this.#take(bytes);
    const finish = (): void => {
      queue.unsent -= bytes;
      if (buffer.length === SPARE_SIZE && this.#spare.length < 8) this.#spare.push(buffer);
      if (queue.unsent < HIGH_WATER) queue.wake?.();
    };
    const failure = await this.#read(batch, buffer).then(
      () => undefined,
      (error: unknown) => toPeerwireError(error),
    );
    const inTurn = await before;
    if (failure && inTurn) this.#options.onProblem(failure);
    if (failure || !inTurn || session.wire.closed) {
      finish();
      for (const request of [...batch, ...queue.requests.splice(0)]) this.#reject(session, request);
      return false;
    }
    session.uploaded.add(bytes - batch.length * HEADER, this.#options.clock.now());
    session.wire.writeBlocks(buffer.subarray(0, bytes), finish);
    return true;
  }

  async #read(batch: readonly BlockRequest[], buffer: Buffer): Promise<void> {
    const { info, storage } = this.#options;
    const reads: Promise<void>[] = [];
    let position = 0;
    for (const run of runs(batch)) {
      const [first] = run;
      if (!first) continue;
      const { fileIndex, offset, length: pieceLength } = pieceAt(info, first.piece);
      const views: Uint8Array[] = [];
      for (const { piece, begin, length } of run) {
        position = writeBlockHeader(buffer, position, piece, begin, length);
        const content = Math.max(0, Math.min(length, pieceLength - begin));
        if (content > 0) views.push(buffer.subarray(position, position + content));
        buffer.fill(0, position + content, position + length);
        position += length;
      }
      if (views.length > 0) reads.push(storage().read(fileIndex, offset + first.begin, views));
    }
    // All of them, also when one fails: they write to memory that is used again.
    for (const result of await Promise.allSettled(reads)) if (result.status === 'rejected') throw result.reason;
  }

  #take(bytes: number): Buffer {
    if (bytes < LITTLE || bytes > SPARE_SIZE) return Buffer.allocUnsafe(bytes);
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SPARE_SIZE);
  }
}

/** Takes a run of contiguous requests from the head of the queue, up to `limit` bytes, and short ones together. */
function takeBatch(requests: BlockRequest[], limit: number): BlockRequest[] {
  let bytes = 0;
  let count = 0;
  let last: BlockRequest | undefined;
  for (const request of requests) {
    const full = count === BATCH_BLOCKS || bytes + request.length > limit;
    // Only little is worth joining: what is read can no longer be overtaken.
    if (last && (full || (bytes >= LITTLE && !follows(request, last)))) break;
    bytes += request.length;
    count++;
    last = request;
  }
  return requests.splice(0, count);
}

function follows(request: BlockRequest, last: BlockRequest): boolean {
  return request.piece === last.piece && request.begin === last.begin + last.length;
}

/** Cuts a batch into contiguous blocks of one piece. */
function runs(batch: readonly BlockRequest[]): BlockRequest[][] {
  const all: BlockRequest[][] = [];
  let run: BlockRequest[] = [];
  for (const request of batch) {
    const last = run.at(-1);
    if (last && !follows(request, last)) {
      all.push(run);
      run = [];
    }
    run.push(request);
  }
  all.push(run);
  return all;
}
