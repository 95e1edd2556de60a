import type { TLSSocket } from 'node:tls';

/** Bytes: chunks shorter than this are joined with their neighbours, longer ones are sent as they are. */
const SMALL = 16 * 1024;
/** Bytes of small chunks that are joined for one write. */
const MOST_JOINED = 64 * 1024;

interface Write {
  readonly chunk: Uint8Array;
  readonly onDone: (() => void) | undefined;
}

/**
 * What waits to be sent over a TLS socket: handed to it one write at a time. Node would gather what waits in the socket's own
 * queue, and copies it to do so: megabytes of fresh memory for each write, and a collection of garbage for each few.
 *
 * Small chunks that wait go together, so that TLS packs them into full records.
 */
export class WriteQueue {
  readonly #socket: TLSSocket;
  readonly #onDrain: () => void;
  #waiting: Write[] = [];
  #bytes = 0;
  #writing = false;
  #onEnd: (() => void) | undefined;
  #disposed = false;

  /** `onDrain`: everything was handed to the operating system. */
  constructor(socket: TLSSocket, onDrain: () => void) {
    this.#socket = socket;
    this.#onDrain = onDrain;
  }

  /** Bytes not yet handed to the operating system. */
  get length(): number {
    return this.#bytes;
  }

  /** The memory is ours until `onDone`, which comes in any case, and once: see `Connection.write`. */
  push(chunks: readonly Uint8Array[], onDone: (() => void) | undefined): void {
    const last = chunks.length - 1;
    chunks.forEach((chunk, index) => {
      this.#waiting.push({ chunk, onDone: index === last ? onDone : undefined });
      this.#bytes += chunk.length;
    });
    if (!this.#writing) this.#writeNext();
  }

  /** Says good-bye when everything was sent, then calls `onEnd`. */
  end(onEnd: () => void): void {
    this.#onEnd = onEnd;
    if (!this.#writing) this.#writeNext();
  }

  /** Nothing more is sent. What the socket is sending is done with when that says so. */
  dispose(): void {
    this.#disposed = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    queueMicrotask(() => finish(waiting));
  }

  #writeNext(): void {
    const writes = this.#take();
    const [first] = writes;
    if (!first) {
      if (this.#onEnd) this.#socket.end(this.#onEnd);
      return;
    }
    const bytes = writes.length === 1 ? first.chunk : Buffer.concat(writes.map(({ chunk }) => chunk));
    this.#writing = true;
    this.#socket.write(bytes, (error) => {
      this.#writing = false;
      if (error || this.#disposed) {
        finish(writes);
        return;
      }
      this.#bytes -= bytes.length;
      // Before those who hear of it write more.
      if (this.#waiting.length > 0) this.#writeNext();
      finish(writes);
      if (this.#bytes === 0 && !this.#disposed) this.#onDrain();
      if (!this.#writing && !this.#disposed) this.#writeNext();
    });
  }

  /** The next chunks for one write: a large one, or small ones. */
  #take(): Write[] {
    let bytes = 0;
    let count = 0;
    for (const { chunk } of this.#waiting) {
      if (count > 0 && (chunk.length > SMALL || bytes + chunk.length > MOST_JOINED)) break;
      bytes += chunk.length;
      count++;
      if (chunk.length > SMALL) break;
    }
    return this.#waiting.splice(0, count);
  }
}

function finish(writes: readonly Write[]): void {
  for (const { onDone } of writes) onDone?.();
}
