import { type PeerwireError, toPeerwireError } from '../common/errors.ts';
import { checkRequest } from './check-request.ts';
import { type PeerSession, REQUEST_QUEUE } from './peer-session.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { Storage } from './storage.ts';
import { SuperSeedingMode, type SuperSeedingModeOptions, type UploadClient } from './super-seeding-mode.ts';
import { readBatch, uploadCost } from './upload-batch.ts';
import { type CostOf, UploadQueue, type UploadRequest } from './upload-queue.ts';
import type { UploadLane, UploadScheduler } from './upload-scheduler.ts';
import { BLOCK_HEADER_SIZE, type BlockRequest } from './wire/messages.ts';

export interface UploaderOptions extends SuperSeedingModeOptions<PeerSession> {
  readonly storage: () => Storage;
  readonly limiter: RateLimiter;
  readonly scheduler: UploadScheduler;
  /** Content could not be read: `stale` means that it changed after it was published. */
  readonly onProblem: (error: PeerwireError) => void;
}

interface Client extends UploadClient {
  readonly session: PeerSession;
  readonly queue: UploadQueue;
  readonly lane: UploadLane;
  /** Whether what was taken up last could be sent. */
  sent: Promise<boolean>;
}

/**
 * Answers block requests. Requests are queued, not data: content is read when the scheduler says that it is the peer's
 * turn, in batches.
 */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #clients = new Map<PeerSession, Client>();
  readonly #superSeeding: SuperSeedingMode<PeerSession>;
  readonly #costOf: CostOf;

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#superSeeding = new SuperSeedingMode(options, this.#clients);
    this.#costOf = (request) => uploadCost(options.info, request);
  }

  /** We are the only complete source, and our uplink is what everybody waits for. */
  get isSuperSeeding(): boolean {
    return this.#superSeeding.active;
  }

  onRequest(session: PeerSession, request: BlockRequest): void {
    const { piece, begin, length } = request;
    const pieces = checkRequest(this.#options.info, request, session.servesRuns);
    const { queue, lane } = this.#client(session);
    const accepted = !session.amChoking && this.#has(piece, pieces) && queue.length < REQUEST_QUEUE && lane.hasRoom;
    if (!accepted || this.#superSeeding.verdict(session, piece, pieces) === 'elsewhere') {
      session.reject(request);
      return;
    }
    queue.push({ piece, begin, length, pieces });
    lane.setRequests(queue.length);
    lane.wake();
  }

  onCancel(session: PeerSession, request: BlockRequest): void {
    const client = this.#clients.get(session);
    if (client?.queue.cancel(request) !== true) return;
    client.lane.setRequests(client.queue.length);
    session.reject(request);
  }

  /** We choke the peer: what it asked for it may ask of others (BEP 6; without it, a choke says as much). */
  onChoke(session: PeerSession): void {
    const client = this.#clients.get(session);
    if (!client) return;
    for (const request of client.queue.clear()) session.reject(request);
    client.lane.setRequests(0);
  }

  /** The peer has the piece now. */
  onHave(session: PeerSession, piece: number): void {
    if (!this.#superSeeding.active) return;
    this.#superSeeding.onHave(session, piece);
    for (const { session: other, queue, lane } of this.#clients.values()) {
      if (other === session || !queue.hasPiece(piece)) continue;
      if (this.#superSeeding.verdict(other, piece, 1) !== 'elsewhere') continue;
      for (const request of queue.removePiece(piece)) other.reject(request);
      lane.setRequests(queue.length);
    }
  }

  /** The connection sent what it had. */
  wake(session: PeerSession): void {
    this.#clients.get(session)?.lane.wake();
  }

  /** Called about once a second. */
  tick(): void {
    this.#superSeeding.tick();
    for (const { session, queue, lane } of this.#clients.values()) {
      lane.background = this.#superSeeding.keeps(session);
      if (queue.length > 0) lane.wake();
    }
  }

  remove(session: PeerSession): void {
    const client = this.#clients.get(session);
    if (!client) return;
    this.#clients.delete(session);
    client.lane.dispose();
    client.queue.clear();
    this.#superSeeding.remove(session);
    // What others were kept waiting for may go to them now.
    for (const { queue, lane } of this.#clients.values()) if (queue.length > 0) lane.wake();
  }

  dispose(): void {
    for (const session of [...this.#clients.keys()]) this.remove(session);
  }

  #client(session: PeerSession): Client {
    let client = this.#clients.get(session);
    if (!client) {
      const { scheduler, deviceOf, limiter, storage } = this.#options;
      const serve = (limit: number): number => this.#serve(session, limit);
      const readsAtOnce = (): boolean => storage().readsAtOnce === true;
      const lane = scheduler.add(deviceOf(session), { limiter, serve, readsAtOnce });
      client = { session, queue: new UploadQueue(this.#costOf), lane, sent: Promise.resolve(true) };
      this.#clients.set(session, client);
      this.#superSeeding.add(session);
    }
    return client;
  }

  #has(piece: number, pieces: number): boolean {
    const { have } = this.#options;
    for (let index = 0; index < pieces; index++) if (!have.has(piece + index)) return false;
    return true;
  }

  /** Begins to read and send a batch. Batches leave in the order of their requests, though several are read at once. */
  #serve(session: PeerSession, limit: number): number {
    const client = this.#clients.get(session);
    if (!client || session.wire.closed) return 0;
    const mayServe = this.#superSeeding.turnsOf(session);
    if (mayServe) {
      for (const run of client.queue.removeRuns()) session.reject(run);
      if (session.wire.closed) return 0;
    }
    const batch = client.queue.takeBatch(limit, mayServe);
    client.lane.setRequests(client.queue.length);
    if (batch.length === 0) return 0;
    this.#superSeeding.onServed(session, batch);
    const cost = batch.reduce((sum, request) => sum + BLOCK_HEADER_SIZE + this.#costOf(request), 0);
    client.sent = this.#send(client, batch, cost, client.sent);
    return cost;
  }

  /** Resolves with false when this batch, or one before it, could not be sent: those behind it are not sent either. */
  async #send(
    client: Client,
    batch: readonly UploadRequest[],
    cost: number,
    before: Promise<boolean>,
  ): Promise<boolean> {
    const { session, queue, lane } = client;
    const { scheduler, info, storage } = this.#options;
    const payload = batch.reduce((sum, { length }) => sum + length, 0);
    const bytes = payload + batch.length * BLOCK_HEADER_SIZE;
    const buffer = scheduler.buffers.take(bytes);
    const finish = (): void => {
      scheduler.buffers.give(buffer);
      lane.sent(cost);
    };
    const failure = await readBatch(info, storage(), batch, buffer.bytes).then(
      () => undefined,
      (error: unknown) => toPeerwireError(error),
    );
    const inTurn = await before;
    if (failure && inTurn) {
      this.#options.onProblem(failure);
      // Only what was taken up meanwhile fails with it.
      client.sent = Promise.resolve(true);
      for (const request of queue.clear()) session.reject(request);
      lane.setRequests(0);
    }
    if (failure || !inTurn || session.wire.closed) {
      finish();
      for (const request of batch) session.reject(request);
      return false;
    }
    session.uploaded.add(payload, this.#options.clock.now());
    session.wire.writeBlocks(buffer.bytes, finish);
    return true;
  }
}
