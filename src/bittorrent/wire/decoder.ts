/** Cuts a byte stream into messages. What a stranger claims is checked before a byte is kept for it. */
import { asBuffer } from '../../common/as-buffer.ts';
import { PeerwireError } from '../../common/errors.ts';
import { copyBytes } from '../copy-bytes.ts';
import { BLOCK_SIZE } from '../merkle.ts';
import { BLOCK_HEADER_SIZE, BLOCK_ID, decodePayload, isKnownMessage, type Message } from './messages.ts';

export interface WireSink {
  onMessage(message: Message): void;
  /** Where to copy the block's bytes, at least `length` long; undefined drops them. */
  onBlockStart(piece: number, begin: number, length: number): Uint8Array | undefined;
  /** The block is complete; comes for dropped ones too. */
  onBlockEnd(piece: number, begin: number, length: number): void;
}

export interface WireLimits {
  /** Bytes of a message, its length prefix not counted. Default 1 MiB, as in libtorrent. */
  readonly message?: number;
  /** Bytes of a block. Default 16 KiB: nobody should ask for more. */
  readonly block?: number;
}

const LENGTH_SIZE = 4;
const DEFAULT_MESSAGE_LIMIT = 1024 * 1024;
/** Payload that comes in parts is kept in a buffer that grows with what has come, not with what was claimed. */
const FIRST_PAYLOAD_BUFFER = 4096;
const NOTHING = Buffer.alloc(0);

/**
 * Feeds messages to a sink. The bytes of a block go straight from the chunk into the memory that the sink names: that
 * is the hot path. Other messages are copied out. `push` must not be called from within the sink.
 */
export class WireDecoder {
  readonly #sink: WireSink;
  readonly #messageLimit: number;
  #blockLimit: number;

  /** `header` until the kind of message is known, `stopped` for ever. */
  #state: 'header' | 'block' | 'payload' | 'skip' | 'stopped' = 'header';
  /** Start of a header that a chunk's end has cut. */
  readonly #head = Buffer.alloc(BLOCK_HEADER_SIZE);
  #headLength = 0;
  /** Bytes of the current block or payload that have come, and in all. */
  #done = 0;
  #size = 0;

  #piece = 0;
  #begin = 0;
  #target: Uint8Array | undefined;

  #id = 0;
  #payload: Buffer = NOTHING;

  constructor(sink: WireSink, limits: WireLimits = {}) {
    this.#sink = sink;
    this.#messageLimit = limits.message ?? DEFAULT_MESSAGE_LIMIT;
    this.#blockLimit = limits.block ?? BLOCK_SIZE;
  }

  /** Lets blocks of up to this many bytes in from now on: who asks for larger ones says so. */
  setBlockLimit(bytes: number): void {
    this.#blockLimit = bytes;
  }

  /** The rest of the block that is arriving is not written where the sink said. */
  dropBlock(): void {
    this.#target = undefined;
  }

  /** Ignores everything from here on, the rest of a chunk being pushed included. */
  stop(): void {
    this.#state = 'stopped';
    this.#target = undefined;
    this.#payload = NOTHING;
  }

  /** Throws 'protocol', or what the sink threw; the decoder has stopped then. The chunk's memory is not kept. */
  push(chunk: Uint8Array): void {
    const bytes = asBuffer(chunk);
    let intact = false;
    try {
      let at = 0;
      while (at < bytes.length && this.#state !== 'stopped') at = this.#advance(bytes, at);
      intact = true;
    } finally {
      if (!intact) this.stop();
    }
  }

  /** Takes at least one byte and returns the place after what it took. */
  #advance(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'header':
        return this.#headLength === 0 ? this.#header(bytes, at) : this.#splitHeader(bytes, at);
      case 'block':
        return this.#block(bytes, at);
      case 'payload':
        return this.#collect(bytes, at);
      case 'skip': {
        const taken = Math.min(this.#size - this.#done, bytes.length - at);
        this.#done += taken;
        if (this.#done === this.#size) this.#state = 'header';
        return at + taken;
      }
      case 'stopped':
        return bytes.length;
    }
  }

  #header(bytes: Buffer, at: number): number {
    const taken = this.#readHeader(bytes, at, bytes.length);
    if (taken > 0) return at + taken;
    this.#headLength = bytes.copy(this.#head, 0, at);
    return bytes.length;
  }

  #splitHeader(bytes: Buffer, at: number): number {
    const kept = this.#headLength;
    const added = bytes.copy(this.#head, kept, at, Math.min(bytes.length, at + BLOCK_HEADER_SIZE - kept));
    // Zero first: the sink may throw out of this.
    this.#headLength = 0;
    const taken = this.#readHeader(this.#head, 0, kept + added);
    if (taken > 0) return at + taken - kept;
    this.#headLength = kept + added;
    return at + added;
  }

  /** Bytes of the header that begins at `at`, or 0 when more of it must come first: never so with 13 bytes there. */
  #readHeader(bytes: Buffer, at: number, end: number): number {
    if (end - at < LENGTH_SIZE) return 0;
    const length = bytes.readUInt32BE(at);
    if (length === 0) {
      this.#sink.onMessage({ type: 'keep-alive' });
      return LENGTH_SIZE;
    }
    if (length > this.#messageLimit) throw new PeerwireError('protocol', `A message of ${length} bytes is too long.`);
    if (end - at < LENGTH_SIZE + 1) return 0;
    const id = bytes.readUInt8(at + LENGTH_SIZE);
    if (id !== BLOCK_ID) {
      this.#startPayload(id, length - 1);
      return LENGTH_SIZE + 1;
    }
    const size = length - (BLOCK_HEADER_SIZE - LENGTH_SIZE);
    if (size < 1 || size > this.#blockLimit) {
      throw new PeerwireError('protocol', `A block of ${size} bytes was not asked for.`);
    }
    if (end - at < BLOCK_HEADER_SIZE) return 0;
    this.#startBlock(bytes.readUInt32BE(at + 5), bytes.readUInt32BE(at + 9), size);
    return BLOCK_HEADER_SIZE;
  }

  #startBlock(piece: number, begin: number, size: number): void {
    this.#state = 'block';
    this.#piece = piece;
    this.#begin = begin;
    this.#size = size;
    this.#done = 0;
    this.#target = this.#sink.onBlockStart(piece, begin, size);
  }

  #block(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#size - this.#done);
    if (this.#target) copyBytes(bytes, at, end, this.#target, this.#done);
    this.#done += end - at;
    if (this.#done === this.#size) {
      this.#state = 'header';
      this.#target = undefined;
      this.#sink.onBlockEnd(this.#piece, this.#begin, this.#size);
    }
    return end;
  }

  #startPayload(id: number, size: number): void {
    const known = isKnownMessage(id, size);
    if (size === 0) {
      if (known) this.#sink.onMessage(decodePayload(id, NOTHING, 0, 0));
      return;
    }
    // BEP 3 leaves unknown ids open; later extensions are to be skipped.
    this.#state = known ? 'payload' : 'skip';
    this.#id = id;
    this.#size = size;
    this.#done = 0;
  }

  #collect(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#size - this.#done);
    if (this.#done === 0 && end - at === this.#size) {
      this.#state = 'header';
      this.#sink.onMessage(decodePayload(this.#id, bytes, at, end));
      return end;
    }
    const needed = this.#done + end - at;
    if (needed > this.#payload.length) {
      const grown = Buffer.allocUnsafe(
        Math.min(this.#size, Math.max(needed, this.#payload.length * 2, FIRST_PAYLOAD_BUFFER)),
      );
      this.#payload.copy(grown, 0, 0, this.#done);
      this.#payload = grown;
    }
    bytes.copy(this.#payload, this.#done, at, end);
    this.#done = needed;
    if (this.#done === this.#size) {
      const payload = this.#payload;
      this.#payload = NOTHING;
      this.#state = 'header';
      this.#sink.onMessage(decodePayload(this.#id, payload, 0, this.#size));
    }
    return end;
  }
}
