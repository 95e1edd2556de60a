import type { ConnectionSink } from '../bittorrent/connection.ts';
import { PeerwireError } from '../common/errors.ts';
import { closedError, type TlsStream } from './tls-stream.ts';

/** Bytes of type and payload together. */
export const MAX_FRAME = 4096;

export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

/** `u32 length | u8 type | payload`; the length counts type and payload. */
export function encodeFrame(type: number, payload: Uint8Array): Buffer {
  const length = 1 + payload.length;
  if (length > MAX_FRAME) throw new PeerwireError('internal', 'A handshake message is too long.');
  const frame = Buffer.allocUnsafe(4 + length);
  frame.writeUInt32BE(length, 0);
  frame[4] = type;
  frame.set(payload, 5);
  return frame;
}

/** What a `FrameReader` needs of a stream. */
export type FrameSource = Pick<TlsStream, 'start' | 'handBack' | 'close'>;

/**
 * Reads one frame at a time, and only when it is due: nothing that comes early is looked at, and a stranger can make
 * us hold no more than `MAX_FRAME` bytes (and what the socket had taken in already).
 */
export class FrameReader implements ConnectionSink {
  readonly #stream: FrameSource;
  readonly #header = Buffer.alloc(4);
  #headerSize = 0;
  #body: Buffer | undefined;
  #bodySize = 0;
  #limit = MAX_FRAME;
  #waiting: { resolve(frame: Frame): void; reject(error: PeerwireError): void } | undefined;
  #failure: PeerwireError | undefined;

  constructor(stream: FrameSource) {
    this.#stream = stream;
  }

  /** `maxLength`: the longest frame (type and payload) that is acceptable now. One call at a time. */
  read(maxLength: number = MAX_FRAME): Promise<Frame> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#limit = maxLength;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#stream.start(this);
    });
  }

  onData(chunk: Uint8Array): void {
    let at = 0;
    while (this.#headerSize < 4 && at < chunk.length) this.#header[this.#headerSize++] = chunk[at++] ?? 0;
    if (this.#headerSize < 4) return;
    if (!this.#body) {
      const length = this.#header.readUInt32BE(0);
      // Before any memory is reserved for it.
      if (length < 1 || length > this.#limit) {
        this.#stream.close(new PeerwireError('protocol', 'The peer sent a handshake message of a wrong length.'));
        return;
      }
      this.#body = Buffer.alloc(length);
      this.#bodySize = 0;
    }
    const part = chunk.subarray(at, at + this.#body.length - this.#bodySize);
    this.#body.set(part, this.#bodySize);
    this.#bodySize += part.length;
    if (this.#bodySize < this.#body.length) return;
    const body = this.#body;
    this.#body = undefined;
    this.#headerSize = 0;
    this.#stream.handBack(chunk.subarray(at + part.length));
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ type: body[0] ?? 0, payload: body.subarray(1) });
  }

  onDrain(): void {}

  onClose(reason: PeerwireError | undefined): void {
    this.#failure = reason ?? closedError();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#failure);
  }
}
