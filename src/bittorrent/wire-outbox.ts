import type { Connection } from './connection.ts';

/** What is sent over one connection, in order: small messages of one turn of the event loop leave in one write. */
export class WireOutbox {
  readonly #connection: Connection;
  readonly #onDone: () => void;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #flushQueued = false;
  #departed = 0;
  #closed = false;

  /** `onDone`: a write of small messages has left, or never will. */
  constructor(connection: Connection, onDone: () => void) {
    this.#connection = connection;
    this.#onDone = onDone;
  }

  /** How many writes have left so far: as long as it grows, the other end reads. */
  get departed(): number {
    return this.#departed;
  }

  /** Bytes that wait to be sent. */
  get bytes(): number {
    return this.#connection.writableLength + this.#waitingBytes;
  }

  /** Sends a small message with what else this turn brings. Its memory is ours. */
  push(message: Uint8Array): void {
    if (this.#closed) return;
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.flush();
    });
  }

  /** Sends bytes as they are, behind what waits. The memory is ours until `onDone`: they have left, or never will. */
  write(bytes: Uint8Array, onDone: () => void): void {
    this.flush();
    this.#connection.write([bytes], () => {
      this.#departed++;
      onDone();
    });
  }

  /** Hands what waits to the connection now. */
  flush(): void {
    if (this.#waiting.length === 0 || this.#closed) return;
    const messages = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#connection.write(messages.length === 1 ? messages : [Buffer.concat(messages)], () => {
      this.#departed++;
      this.#onDone();
    });
  }

  /** The connection closed: nothing leaves any more. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}
