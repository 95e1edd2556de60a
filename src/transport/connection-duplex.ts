import { Duplex } from 'node:stream';
import type { Connection } from '../bittorrent/connection.ts';

/**
 * A `Connection` as a Node stream, for TLS inside of it. It owns the connection: destroying one closes the other, and what
 * was written before the end leaves before the connection closes.
 */
export class ConnectionDuplex extends Duplex {
  readonly #connection: Connection;
  #onDrain: (() => void) | undefined;

  /** `head`: bytes that were read from the connection already. Moves its delivery here. */
  constructor(connection: Connection, head: Uint8Array) {
    // Halves do not close one by one: a `Connection` has no such thing.
    super({ allowHalfOpen: false });
    this.#connection = connection;
    if (head.length > 0) this.push(Buffer.from(head));
    connection.start({
      onData: (chunk) => {
        // The chunk's memory is reused by the next read.
        if (!this.push(Buffer.from(chunk))) connection.pause();
      },
      onDrain: () => this.#drained(),
      onClose: (reason) => {
        if (reason) this.destroy(reason);
        else this.push(null);
        this.#drained();
      },
    });
    connection.resume();
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#connection.write([chunk], () => callback());
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#connection.closed || this.#connection.writableLength === 0) callback();
    else this.#onDrain = callback;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#connection.close();
    callback(error);
  }

  #drained(): void {
    const onDrain = this.#onDrain;
    this.#onDrain = undefined;
    onDrain?.();
  }
}
