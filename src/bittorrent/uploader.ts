import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { Bitfield } from './bitfield.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { type Info, pieceAt } from './metainfo.ts';
import { LARGEST_BLOCK, type PeerSession, REQUEST_QUEUE } from './peer-session.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { Storage } from './storage.ts';
import { SuperSeeding } from './super-seeding.ts';
import { runsOf, UploadQueue } from './upload-queue.ts';
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
 * turn, in batches with their headers already in place: one read for each run of contiguous blocks, one write for all.
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
    const { info, have } = this.#options;
    if (request.piece >= info.pieceCount || request.length === 0 || request.length > LARGEST_BLOCK) {
      throw new PeerwireError('protocol', 'The peer requested a block that cannot exist.');
    }
    // libtorrent treats the space behind a file's end as padding and requests it as part of a full block.
    if (request.begin + request.length > info.pieceLength) {
      throw new PeerwireError('protocol', 'The peer requested bytes beyond the end of a piece.');
    }
    if (request.length > BLOCK_SIZE && !isRunOfBlocks(request, pieceAt(info, request.piece).length)) {
      throw new PeerwireError('protocol', 'The peer requested more than a block that is not whole blocks.');
    }
    const { queue, lane } = this.#client(session);
    const accepted = !session.amChoking && have.has(request.piece) && queue.length < REQUEST_QUEUE && lane.hasRoom;
    if (!accepted || this.#verdict(session, request.piece) === 'elsewhere') {
      session.reject(request);
      return;
    }
    queue.push(request);
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
      if (this.#verdict(other, piece) !== 'elsewhere') continue;
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

  #verdict(session: PeerSession, piece: number): 'serve' | 'wait' | 'elsewhere' {
    if (!this.#superSeeding || !session.fast) return 'serve';
    const now = this.#options.clock.now();
    // What would leave the uplink idle is no saving.
    if (!this.#wasThrottled(now - BUSY_FOR)) return 'serve';
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
    const batch = client.queue.takeBatch(limit, mayServe);
    if (batch.length === 0) return 0;
    if (this.#superSeeding)
      for (const { piece, length } of batch)
        this.#superSeeding.onServed(session, piece, now, length, pieceAt(this.#options.info, piece).length);
    client.lane.setRequests(client.queue.length);
    const cost = batch.reduce((sum, request) => sum + BLOCK_HEADER_SIZE + this.#costOf(request), 0);
    client.sent = this.#send(client, batch, cost, client.sent);
    return cost;
  }

  /** At least a block, where there is one: a part of it costs as much to read. */
  readonly #costOf = ({ piece, begin, length }: BlockRequest): number => {
    const { length: pieceLength } = pieceAt(this.#options.info, piece);
    const blockBegin = begin - (begin % BLOCK_SIZE);
    return Math.max(length, Math.min(BLOCK_SIZE, pieceLength - blockBegin));
  };

  /** Resolves with false when this batch, or one before it, could not be sent: those behind it are not sent either. */
  async #send(
    client: Client,
    batch: readonly BlockRequest[],
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

  async #read(batch: readonly BlockRequest[], buffer: Buffer): Promise<void> {
    const { info, storage } = this.#options;
    const reads: Promise<void>[] = [];
    let position = 0;
    for (const run of runsOf(batch)) {
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
}

/** PROTOCOL.md §1: more than a block at once begins with a block and ends with one. */
function isRunOfBlocks({ begin, length }: BlockRequest, pieceLength: number): boolean {
  const end = begin + length;
  return begin % BLOCK_SIZE === 0 && (end === pieceLength || (end < pieceLength && end % BLOCK_SIZE === 0));
}
