import { allOf } from '../common/all-of.ts';
import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { type PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { Bitfield } from './bitfield.ts';
import { checkRequest } from './check-request.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { fileAt, type Info, pieceAt } from './metainfo.ts';
import { type PeerSession, REQUEST_QUEUE } from './peer-session.ts';
import { nextFile } from './piece-runs.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { Storage, WholeRead } from './storage.ts';
import { SuperSeeding } from './super-seeding.ts';
import { contiguousOf, isRun, UploadQueue, type UploadRequest } from './upload-queue.ts';
import type { UploadLane, UploadScheduler } from './upload-scheduler.ts';
import { BLOCK_HEADER_SIZE, type BlockRequest, writeBlockHeader } from './wire/messages.ts';

/** The uplink is the bottleneck as long as it kept somebody waiting within this time, in ms; and it is busy within this. */
const BOTTLENECK_FOR = 3_000;
const BUSY_FOR = 250;
/** A receiver that became complete is no other source yet for this long, in ms: the others are about to be complete, too. */
const NEW_SOURCE_FOR = 5_000;

export interface UploaderOptions {
  readonly info: Info;
  readonly have: Bitfield;
  readonly storage: () => Storage;
  readonly clock: Clock;
  readonly limiter: RateLimiter;
  readonly scheduler: UploadScheduler;
  /** The peers are members of our network: they pass on what they get, and ask others for what is rejected. */
  readonly members: boolean;
  /** The device behind a session. */
  readonly deviceOf: (session: PeerSession) => string;
  /** Everybody connected. */
  readonly sessions: () => Iterable<PeerSession>;
  /** Content could not be read: `stale` means that it changed after it was published. */
  readonly onProblem: (error: PeerwireError) => void;
}

interface Client {
  readonly session: PeerSession;
  readonly queue: UploadQueue;
  readonly lane: UploadLane;
  /** Whether what was taken up last could be sent. */
  sent: Promise<boolean>;
}

/**
 * Answers block requests. Requests are queued, not data: content is read when the scheduler says that it is the peer's
 * turn, in batches with their headers already in place: one read for all contiguous blocks, one for all runs of small
 * pieces, one write for all.
 */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #clients = new Map<PeerSession, Client>();
  /** Since when others have been seen complete, in ms. */
  readonly #completeSince = new WeakMap<PeerSession, number>();
  #superSeeding: SuperSeeding<PeerSession> | undefined;
  #idleWatch: Disposable | undefined;

  constructor(options: UploaderOptions) {
    this.#options = options;
  }

  /** We are the only complete source, and our uplink is what everybody waits for. */
  get isSuperSeeding(): boolean {
    return this.#superSeeding !== undefined;
  }

  onRequest(session: PeerSession, request: BlockRequest): void {
    const { piece, begin, length } = request;
    const pieces = checkRequest(this.#options.info, request, session.servesRuns);
    const { queue, lane } = this.#client(session);
    const accepted = !session.amChoking && this.#has(piece, pieces) && queue.length < REQUEST_QUEUE && lane.hasRoom;
    if (!accepted || this.#verdict(session, piece, pieces) === 'elsewhere') {
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
    if (!this.#superSeeding) return;
    this.#superSeeding.onHave(session, piece, this.#options.clock.now());
    for (const { session: other, queue, lane } of this.#clients.values()) {
      if (other === session || !queue.hasPiece(piece)) continue;
      if (this.#verdict(other, piece, 1) !== 'elsewhere') continue;
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
    const now = this.#options.clock.now();
    if (!this.#needsSuperSeeding(now)) this.#stopSuperSeeding();
    else if (!this.#superSeeding) this.#startSuperSeeding();
    for (const { session, queue, lane } of this.#clients.values()) {
      this.#superSeeding?.add(session, now);
      lane.background = this.#superSeeding?.keeps(session, now) === true;
      if (queue.length > 0) lane.wake();
    }
  }

  remove(session: PeerSession): void {
    const client = this.#clients.get(session);
    if (!client) return;
    this.#clients.delete(session);
    if (this.#clients.size === 0) this.#stopSuperSeeding();
    client.lane.dispose();
    client.queue.clear();
    this.#superSeeding?.remove(session);
    this.#wakeAll();
  }

  dispose(): void {
    for (const session of [...this.#clients.keys()]) this.remove(session);
  }

  #wakeAll(): void {
    for (const { queue, lane } of this.#clients.values()) if (queue.length > 0) lane.wake();
  }

  #client(session: PeerSession): Client {
    let client = this.#clients.get(session);
    if (!client) {
      const { scheduler, deviceOf, limiter, clock } = this.#options;
      const serve = (limit: number): number => this.#serve(session, limit);
      const lane = scheduler.add(deviceOf(session), { limiter, serve });
      client = { session, queue: new UploadQueue(this.#costOf), lane, sent: Promise.resolve(true) };
      this.#clients.set(session, client);
      this.#superSeeding?.add(session, clock.now());
    }
    return client;
  }

  #needsSuperSeeding(now: number): boolean {
    if (!this.#options.members || !this.#options.have.complete) return false;
    if (!this.#wasThrottled(now - BOTTLENECK_FOR)) return false;
    const devices = new Set<string>();
    for (const session of this.#options.sessions()) {
      if (session.pieces?.complete === true) {
        const since = this.#completeSince.get(session) ?? (this.#clients.has(session) ? now : Number.NEGATIVE_INFINITY);
        this.#completeSince.set(session, since);
        if (now - since >= NEW_SOURCE_FOR) return false;
      } else if (session.peerInterested && session.fast) devices.add(this.#options.deviceOf(session));
    }
    return devices.size > 1;
  }

  #startSuperSeeding(): void {
    this.#superSeeding = new SuperSeeding();
    this.#idleWatch = this.#options.clock.setInterval(() => this.#inviteIfIdle(), BUSY_FOR);
  }

  #stopSuperSeeding(): void {
    if (!this.#superSeeding) return;
    this.#invite();
    this.#superSeeding = undefined;
    this.#idleWatch?.dispose();
    this.#idleWatch = undefined;
  }

  #inviteIfIdle(): void {
    if (!this.#wasThrottled(this.#options.clock.now() - BUSY_FOR)) this.#invite();
  }

  #invite(): void {
    for (const session of this.#clients.keys())
      for (const piece of this.#superSeeding?.invite(session) ?? []) session.send({ type: 'suggest', piece });
    this.#wakeAll();
  }

  #wasThrottled(since: number): boolean {
    for (const { lane } of this.#clients.values()) if (lane.throttledAt >= since) return true;
    return false;
  }

  #has(piece: number, pieces: number): boolean {
    const { have } = this.#options;
    for (let index = 0; index < pieces; index++) if (!have.has(piece + index)) return false;
    return true;
  }

  #verdict(session: PeerSession, piece: number, pieces: number): 'serve' | 'wait' | 'elsewhere' {
    if (!this.#superSeeding || !session.fast) return 'serve';
    const now = this.#options.clock.now();
    // What would leave the uplink idle is no saving.
    if (!this.#wasThrottled(now - BUSY_FOR)) return 'serve';
    // Each piece leaves us about once, to whoever has its turn: they are to be asked for one by one.
    if (pieces > 1) return 'elsewhere';
    const { length } = pieceAt(this.#options.info, piece);
    return this.#superSeeding.verdict(session, piece, now, length, this.#holders(session, piece), this.#isOnItsWay);
  }

  *#holders(except: PeerSession, piece: number): Generator<PeerSession> {
    for (const session of this.#options.sessions()) if (session !== except && session.has(piece)) yield session;
  }

  readonly #isOnItsWay = (session: PeerSession, piece: number): boolean => {
    const client = this.#clients.get(session);
    return client !== undefined && (client.lane.memory > 0 || client.queue.hasPiece(piece));
  };

  /** Begins to read and send a batch. Batches leave in the order of their requests, though several are read at once. */
  #serve(session: PeerSession, limit: number): number {
    const client = this.#clients.get(session);
    if (!client || session.wire.closed) return 0;
    const now = this.#options.clock.now();
    const seeding = session.fast ? this.#superSeeding : undefined;
    const mayServe =
      seeding && this.#wasThrottled(now - BUSY_FOR)
        ? (piece: number) =>
            seeding.mayServe(session, piece, now, pieceAt(this.#options.info, piece).length, this.#isOnItsWay)
        : undefined;
    if (mayServe) {
      // Taken up before: see `#verdict`.
      for (const run of client.queue.removeRuns()) session.reject(run);
      if (session.wire.closed) return 0;
    }
    const batch = client.queue.takeBatch(limit, mayServe);
    client.lane.setRequests(client.queue.length);
    if (batch.length === 0) return 0;
    this.#countServed(session, batch, now);
    const cost = batch.reduce((sum, request) => sum + BLOCK_HEADER_SIZE + this.#costOf(request), 0);
    client.sent = this.#send(client, batch, cost, client.sent);
    return cost;
  }

  #countServed(session: PeerSession, batch: readonly UploadRequest[], now: number): void {
    if (!this.#superSeeding) return;
    for (const { piece, length, pieces } of batch) {
      for (let index = piece; index < piece + pieces; index++) {
        const { length: pieceLength } = pieceAt(this.#options.info, index);
        this.#superSeeding.onServed(session, index, now, pieces > 1 ? pieceLength : length, pieceLength);
      }
    }
  }

  /**
   * At least a block, where there is one: a part of it costs as much to read. A run costs as much as its pieces would one by
   * one.
   */
  readonly #costOf = ({ piece, begin, length, pieces }: UploadRequest): number => {
    if (pieces > 1) return length + (pieces - 1) * BLOCK_HEADER_SIZE;
    const { length: pieceLength } = pieceAt(this.#options.info, piece);
    const blockBegin = begin - (begin % BLOCK_SIZE);
    return Math.max(length, Math.min(BLOCK_SIZE, pieceLength - blockBegin));
  };

  /** Resolves with false when this batch, or one before it, could not be sent: those behind it are not sent either. */
  async #send(
    client: Client,
    batch: readonly UploadRequest[],
    cost: number,
    before: Promise<boolean>,
  ): Promise<boolean> {
    const { session, queue, lane } = client;
    const { scheduler } = this.#options;
    const payload = batch.reduce((sum, { length }) => sum + length, 0);
    const bytes = payload + batch.length * BLOCK_HEADER_SIZE;
    const buffer = scheduler.buffers.take(bytes);
    const finish = (): void => {
      scheduler.buffers.give(buffer);
      lane.sent(cost);
    };
    const failure = await this.#read(batch, buffer).then(
      () => undefined,
      (error: unknown) => toPeerwireError(error),
    );
    const inTurn = await before;
    if (failure && inTurn) {
      this.#options.onProblem(failure);
      // Only what was taken up meanwhile fails with it.
      client.sent = Promise.resolve(true);
    }
    if (failure || !inTurn || session.wire.closed) {
      finish();
      for (const request of [...batch, ...queue.clear()]) session.reject(request);
      lane.setRequests(0);
      return false;
    }
    session.uploaded.add(payload, this.#options.clock.now());
    session.wire.writeBlocks(buffer.subarray(0, bytes), finish);
    return true;
  }

  async #read(batch: readonly UploadRequest[], buffer: Buffer): Promise<void> {
    const { info, storage } = this.#options;
    const reads: Promise<void>[] = [];
    const files: WholeRead[] = [];
    let position = 0;
    for (const blocks of contiguousOf(batch)) {
      const [first] = blocks;
      if (!first) continue;
      if (isRun(first)) {
        position = this.#readRun(first, buffer, position, files);
        continue;
      }
      const { fileIndex, offset, length: pieceLength } = pieceAt(info, first.piece);
      const views: Uint8Array[] = [];
      for (const { piece, begin, length } of blocks) {
        position = writeBlockHeader(buffer, position, piece, begin, length);
        const content = Math.max(0, Math.min(length, pieceLength - begin));
        if (content > 0) views.push(buffer.subarray(position, position + content));
        buffer.fill(0, position + content, position + length);
        position += length;
      }
      if (views.length > 0) reads.push(storage().read(fileIndex, offset + first.begin, views));
    }
    if (files.length > 0) reads.push(storage().readAll(files));
    // All of them, also when one fails: they write to memory that is used again.
    await allOf(reads);
  }

  /** Places a run in the buffer and adds what is to be read into it to `files`. Returns the position behind it. */
  #readRun({ piece, length, pieces }: UploadRequest, buffer: Buffer, position: number, files: WholeRead[]): number {
    const { info } = this.#options;
    let at = writeBlockHeader(buffer, position, piece, 0, length);
    let { fileIndex } = pieceAt(info, piece);
    for (let left = pieces; left > 0; left--) {
      const end = at + fileAt(info, fileIndex).length;
      files.push({ fileIndex, view: buffer.subarray(at, end) });
      at = end;
      if (left > 1) fileIndex = nextFile(info, fileIndex);
    }
    return at;
  }
}
