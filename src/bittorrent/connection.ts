import type { PeerwireError } from '../common/errors.ts';

/**
 * A reliable byte stream to one peer, as the engine sees it. The transport provides one over TLS; simulations provide
 * one in memory. Nothing is delivered before `start`, so bytes cannot be lost between two owners of the stream.
 */
export interface Connection {
  /** For logs and the user interface: `host:port` of the other end. */
  readonly remote: string;
  /** Bytes accepted by `write` and not yet handed to the operating system. */
  readonly writableLength: number;
  readonly closed: boolean;

  /** Begins (or moves) delivery. The sink's callbacks are never called before this returns. */
  start(sink: ConnectionSink): void;
  /**
   * Queues the chunks in order. Their memory is not to be reused before `onDone`, which comes in any case and once, never
   * before this returns: they were sent, or the connection closed.
   */
  write(chunks: readonly Uint8Array[], onDone?: () => void): void;
  /** Stops and continues reading, for back-pressure. */
  pause(): void;
  resume(): void;
  /** Closes both directions at once; the reason is what `onClose` reports on this side. Idempotent. */
  close(reason?: PeerwireError): void;
}

export interface ConnectionSink {
  /** The chunk is valid only during the call: its memory is reused by the next read. */
  onData(chunk: Uint8Array): void;
  /** The queue of written bytes fell to zero. */
  onDrain(): void;
  /** Exactly once; undefined when the other end closed in good order. */
  onClose(reason: PeerwireError | undefined): void;
}
