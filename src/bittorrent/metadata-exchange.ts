import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { InfoHash } from '../common/ids.ts';
import { sha256 } from './merkle.ts';
import { type Info, parseInfo } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import { decodeMetadataMessage, encodeMetadataMessage, METADATA_PIECE } from './wire/ut-metadata.ts';

/** Largest info dictionary that we ask for, in bytes: some 300,000 files. */
export const METADATA_LIMIT = 32 * 1024 * 1024;
/** Metadata pieces asked of one peer at once. */
const WINDOW = 64;

interface Attempt {
  readonly session: PeerSession;
  readonly bytes: Buffer;
  readonly arrived: Set<number>;
  asked: number;
}

/** BEP 9 both ways: serves our info dictionary, and fetches one from a single peer at a time, so that a lie has one author. */
export class MetadataExchange {
  readonly #infoHash: InfoHash;
  readonly #onInfo: (info: Info | PeerwireError) => void;
  #info: Info | undefined;
  #attempt: Attempt | undefined;
  readonly #refused = new Set<PeerSession>();
  readonly #sessions = new Set<PeerSession>();

  /** `onInfo` hears the parsed metadata, or why metadata that does match the infohash cannot be used (hostile names…). */
  constructor(infoHash: InfoHash, info: Info | undefined, onInfo: (info: Info | PeerwireError) => void) {
    this.#infoHash = infoHash;
    this.#info = info;
    this.#onInfo = onInfo;
  }

  get size(): number | undefined {
    return this.#info?.bytes.length;
  }

  /** A session whose extended handshake arrived. */
  addSession(session: PeerSession): void {
    this.#sessions.add(session);
    this.#next();
  }

  removeSession(session: PeerSession): void {
    this.#sessions.delete(session);
    if (this.#attempt?.session !== session) return;
    this.#attempt = undefined;
    this.#next();
  }

  onMessage(session: PeerSession, payload: Buffer): void {
    const message = decodeMetadataMessage(payload);
    if (!message) return;
    switch (message.type) {
      case 'request':
        this.#serve(session, message.piece);
        return;
      case 'reject':
        if (this.#attempt?.session !== session) return;
        this.#refused.add(session);
        this.#attempt = undefined;
        this.#next();
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
      bytes === undefined || start >= bytes.length
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
    if (this.#info || this.#attempt) return;
    for (const session of this.#sessions) {
      const size = session.metadataSize ?? 0;
      if (size <= 0 || size > METADATA_LIMIT || this.#refused.has(session)) continue;
      this.#attempt = { session, bytes: Buffer.alloc(size), arrived: new Set(), asked: 0 };
      this.#ask(this.#attempt);
      return;
    }
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
    this.#ask(attempt);
    if (attempt.arrived.size * METADATA_PIECE < attempt.bytes.length) return;
    if (sha256(attempt.bytes).toString('hex') !== this.#infoHash) {
      throw new PeerwireError('corrupt', 'The peer sent metadata that does not match the infohash.');
    }
    this.#attempt = undefined;
    try {
      this.#info = parseInfo(attempt.bytes);
    } catch (error) {
      this.#onInfo(toPeerwireError(error));
      return;
    }
    this.#onInfo(this.#info);
  }
}
