import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { InfoHash } from '../common/ids.ts';
import { sha256 } from './merkle.ts';
import { type Info, MAX_INFO_SIZE, parseInfo, parseInfoInTurns } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import { decodeMetadataMessage, encodeMetadataMessage, METADATA_PIECE } from './wire/ut-metadata.ts';

/** Metadata pieces asked of one peer at once. */
const WINDOW = 64;
/** A peer that sends no metadata for this long is passed over, in ms. */
const ANSWER_TIMEOUT = 5_000;
/** Metadata of up to this many bytes is read at once, in a few milliseconds. */
const PARSED_AT_ONCE = 64 * 1024;
/** Pause before peers that were passed over are asked again, in ms. */
const RETRY_AFTER = 5_000;

interface Attempt {
  readonly session: PeerSession;
  readonly bytes: Buffer;
  readonly arrived: Set<number>;
  asked: number;
  /** When it was begun, or data last came, in ms. */
  heard: number;
}

/** BEP 9 both ways: serves our info dictionary, and fetches one from a single peer at a time, so that a lie has one author. */
export class MetadataExchange implements Disposable {
  readonly #infoHash: InfoHash;
  readonly #clock: Clock;
  readonly #onInfo: (info: Info | PeerwireError) => void;
  #info: Info | undefined;
  #attempt: Attempt | undefined;
  /** Nothing is to be fetched any more: disposed, or all of the metadata is here. */
  #stopped = false;
  #disposed = false;
  /** Of the attempt, or of the pause before the next. */
  #timer: Disposable | undefined;
  readonly #refused = new Set<PeerSession>();
  /** In the order in which they are asked. */
  readonly #sessions = new Set<PeerSession>();

  /** `onInfo` hears the parsed metadata, or why metadata that does match the infohash cannot be used (hostile names…). */
  constructor(infoHash: InfoHash, clock: Clock, onInfo: (info: Info | PeerwireError) => void) {
    this.#infoHash = infoHash;
    this.#clock = clock;
    this.#onInfo = onInfo;
  }

  get size(): number | undefined {
    return this.#info?.bytes.length;
  }

  /** The metadata is known from elsewhere: it is served from now on, and not fetched. */
  setInfo(info: Info): void {
    this.#info = info;
    this.#attempt = undefined;
    this.#timer?.dispose();
    for (const session of this.#sessions) session.announceMetadata(info.bytes.length);
  }

  /** A session whose extended handshake arrived, for the first time or again. */
  addSession(session: PeerSession): void {
    if (this.#info) session.announceMetadata(this.#info.bytes.length);
    // Behind the others, so that announcing again and again does not keep them from being asked.
    this.#sessions.delete(session);
    this.#sessions.add(session);
    this.#refused.delete(session);
    this.#next();
  }

  removeSession(session: PeerSession): void {
    this.#sessions.delete(session);
    this.#refused.delete(session);
    if (this.#attempt?.session !== session) return;
    this.#attempt = undefined;
    this.#next();
  }

  dispose(): void {
    this.#stopped = true;
    this.#disposed = true;
    this.#timer?.dispose();
  }

  onMessage(session: PeerSession, payload: Buffer): void {
    const message = decodeMetadataMessage(payload);
    if (!message) return;
    switch (message.type) {
      case 'request':
        this.#serve(session, message.piece);
        return;
      case 'reject':
        if (this.#attempt?.session === session) this.#passOver(session);
        return;
      case 'data':
        this.#onData(session, message);
        return;
      default:
        message satisfies never;
    }
  }

  #serve(session: PeerSession, piece: number): void {
    const bytes = this.#info?.bytes;
    const start = piece * METADATA_PIECE;
    const reply =
      bytes === undefined || start >= bytes.length || session.wire.congested
        ? encodeMetadataMessage({ type: 'reject', piece })
        : encodeMetadataMessage({
            type: 'data',
            piece,
            totalSize: bytes.length,
            data: bytes.subarray(start, start + METADATA_PIECE),
          });
    session.wire.sendExtended('ut_metadata', reply);
  }

  #next(): void {
    if (this.#info || this.#stopped || this.#attempt) return;
    this.#timer?.dispose();
    for (const session of this.#sessions) {
      const size = session.metadataSize ?? 0;
      if (size <= 0 || size > MAX_INFO_SIZE || this.#refused.has(session)) continue;
      if (!session.wire.supports('ut_metadata')) continue;
      this.#attempt = { session, bytes: Buffer.alloc(size), arrived: new Set(), asked: 0, heard: this.#clock.now() };
      this.#ask(this.#attempt);
      this.#watch(this.#attempt);
      return;
    }
    if (this.#refused.size === 0) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#refused.clear();
      this.#next();
    }, RETRY_AFTER);
  }

  #watch(attempt: Attempt): void {
    // Data may come meanwhile; one timer for an attempt is enough.
    const left = (): number =>
      Math.max(attempt.heard, attempt.session.throttledUntil) + ANSWER_TIMEOUT - this.#clock.now();
    this.#timer = this.#clock.setTimeout(() => {
      if (left() > 0) this.#watch(attempt);
      else this.#passOver(attempt.session);
    }, left());
  }

  /** Asks another; this one again when no other is left. */
  #passOver(session: PeerSession): void {
    this.#refused.add(session);
    this.#attempt = undefined;
    this.#next();
  }

  #ask(attempt: Attempt): void {
    const count = Math.ceil(attempt.bytes.length / METADATA_PIECE);
    while (attempt.asked < count && attempt.asked - attempt.arrived.size < WINDOW) {
      attempt.session.wire.sendExtended(
        'ut_metadata',
        encodeMetadataMessage({ type: 'request', piece: attempt.asked++ }),
      );
    }
  }

  #onData(session: PeerSession, message: { piece: number; totalSize: number; data: Buffer }): void {
    const attempt = this.#attempt;
    if (attempt?.session !== session || message.piece >= attempt.asked || attempt.arrived.has(message.piece)) return;
    const start = message.piece * METADATA_PIECE;
    const expected = Math.min(METADATA_PIECE, attempt.bytes.length - start);
    if (message.totalSize !== attempt.bytes.length || message.data.length !== expected) {
      throw new PeerwireError('protocol', 'The peer sent metadata of another size than it announced.');
    }
    message.data.copy(attempt.bytes, start);
    attempt.arrived.add(message.piece);
    attempt.heard = this.#clock.now();
    this.#ask(attempt);
    if (attempt.arrived.size * METADATA_PIECE < attempt.bytes.length) return;
    if (sha256(attempt.bytes).toString('hex') !== this.#infoHash) {
      throw new PeerwireError('corrupt', 'The peer sent metadata that does not match the infohash.');
    }
    this.#attempt = undefined;
    this.#timer?.dispose();
    // Nothing more is to be fetched: these bytes are all that there is of this infohash, whether they can be used or not.
    this.#stopped = true;
    if (attempt.bytes.length <= PARSED_AT_ONCE) {
      this.#finish(parsed(attempt.bytes));
      return;
    }
    void parseInfoInTurns(attempt.bytes)
      .catch((error: unknown) => toPeerwireError(error))
      .then((info) => this.#finish(info));
  }

  #finish(info: Info | PeerwireError): void {
    // It came from elsewhere meanwhile, or nobody waits for it any more.
    if (this.#info || this.#disposed) return;
    if (!(info instanceof PeerwireError)) this.setInfo(info);
    this.#onInfo(info);
  }
}

function parsed(bytes: Buffer): Info | PeerwireError {
  try {
    return parseInfo(bytes);
  } catch (error) {
    return toPeerwireError(error);
  }
}
