import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { Connection, ConnectionSink } from '../bittorrent/connection.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { plainAddress } from './ip-address.ts';
import { ReadBuffer } from './read-buffer.ts';
import { WriteQueue } from './write-queue.ts';

/** Milliseconds of silence after which the operating system asks whether the other end still lives. */
const KEEP_ALIVE = 60_000;

/**
 * A TLS socket as a `Connection`. It owns the socket from the first moment, so that nothing is lost when the handshake
 * hands it on. No callback of the sink is ever called from within a call of ours.
 */
export class TlsStream implements Connection {
  readonly socket: TLSSocket;
  readonly #writes: WriteQueue;
  #sink: ConnectionSink | undefined;
  #paused = false;
  #ended = false;
  #closed = false;
  #closeReported = false;
  #drainQueued = false;
  #reason: PeerwireError | undefined;
  #lastWords: NodeJS.Timeout | undefined;
  /** Copies of chunks that came while nobody would take them: at most what one read of the socket held. */
  #backlog: Uint8Array[] = [];
  #remote: { address: string; port: number } | undefined;

  private constructor(socket: TLSSocket, reads: ReadBuffer) {
    this.socket = socket;
    this.#writes = new WriteQueue(socket, () => this.#sink?.onDrain());
    reads.onChunk = (chunk) => this.#receive(chunk);
    socket.on('error', (error) => this.close(toPeerwireError(error)));
    // A farewell may overtake what a paused sink has not taken yet: both wait for the backlog.
    const ended = (): void => {
      reads.flush();
      this.#ended = true;
      if (this.#backlog.length === 0) this.close();
    };
    socket.on('end', ended);
    socket.on('close', ended);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE);
  }

  static connect(options: ConnectionOptions): TlsStream {
    const reads = new ReadBuffer();
    // Passed on to net.Socket, which documents it; the types of tls.connect leave it out.
    const withBuffer: ConnectionOptions & Pick<ReadBuffer, 'onread'> = { ...options, onread: reads.onread };
    return new TlsStream(connect(withBuffer), reads);
  }

  static accept(raw: Socket, options: TLSSocketOptions): TlsStream {
    const socket = new TLSSocket(raw, { ...options, isServer: true });
    const reads = new ReadBuffer();
    reads.attach(socket);
    const stream = new TlsStream(socket, reads);
    stream.#peerAddress();
    return stream;
  }

  /** TLS inside of another stream, as its client; there is no address then. */
  static connectOver(inner: Duplex, options: ConnectionOptions): TlsStream {
    return TlsStream.#over(inner, connect({ ...options, socket: inner }));
  }

  /** … and as its server. */
  static acceptOver(inner: Duplex, options: TLSSocketOptions): TlsStream {
    return TlsStream.#over(inner, new TLSSocket(inner, { ...options, isServer: true }));
  }

  static #over(inner: Duplex, socket: TLSSocket): TlsStream {
    const reads = new ReadBuffer();
    reads.attach(socket);
    const stream = new TlsStream(socket, reads);
    // Either may end first, and TLS does not always hear of it.
    socket.once('close', () => inner.destroy());
    inner.once('error', (error) => stream.close(toPeerwireError(error)));
    inner.once('close', () => stream.#innerClosed());
    return stream;
  }

  #innerClosed(): void {
    if (!this.#ended) this.close();
  }

  get remoteAddress(): string {
    return this.#peerAddress().address;
  }

  get remotePort(): number {
    return this.#peerAddress().port;
  }

  get remote(): string {
    const { address, port } = this.#peerAddress();
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Kept, because a closed socket forgets it. */
  #peerAddress(): { address: string; port: number } {
    if (this.#remote) return this.#remote;
    const { remoteAddress, remotePort } = this.socket;
    if (remoteAddress === undefined || remotePort === undefined) return { address: 'unknown', port: 0 };
    this.#remote = { address: plainAddress(remoteAddress), port: remotePort };
    return this.#remote;
  }

  get writableLength(): number {
    return this.#writes.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  start(sink: ConnectionSink): void {
    this.#sink = sink;
    this.#deliverLater();
  }

  /** Puts back what a sink took too much of; only from within its `onData`. Delivery stops until the next `start`. */
  handBack(rest: Uint8Array): void {
    this.#sink = undefined;
    if (rest.length > 0) this.#backlog.unshift(Buffer.from(rest));
    this.socket.pause();
  }

  write(chunks: readonly Uint8Array[], onDone?: () => void): void {
    if (!this.#closed && chunks.length > 0) this.#writes.push(chunks, onDone);
    else if (onDone) queueMicrotask(onDone);
  }

  pause(): void {
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#deliverLater();
  }

  close(reason?: PeerwireError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = reason;
    clearTimeout(this.#lastWords);
    this.#backlog = [];
    this.#writes.dispose();
    this.#peerAddress();
    this.socket.destroy();
    this.#deliverLater();
  }

  /** Closes after what was written has left, or at the latest after `timeout` ms. */
  closeWhenSent(timeout: number): void {
    if (this.#closed || this.#lastWords) return;
    this.#lastWords = setTimeout(() => this.close(), timeout);
    this.#writes.end(() => this.close());
  }

  /** True once `closeWhenSent` was called. */
  get closing(): boolean {
    return this.#lastWords !== undefined;
  }

  #receive(chunk: Uint8Array): void {
    if (this.#closed) return;
    // Stopping the socket does not stop the records that it has already taken in.
    if (this.#sink && !this.#paused && this.#backlog.length === 0) this.#sink.onData(chunk);
    else this.#backlog.push(Buffer.from(chunk));
  }

  #deliverLater(): void {
    if (this.#drainQueued) return;
    this.#drainQueued = true;
    queueMicrotask(() => {
      this.#drainQueued = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#sink && !this.#paused && !this.#closed) {
      const chunk = this.#backlog.shift();
      if (!chunk) break;
      this.#sink.onData(chunk);
    }
    if (!this.#sink) return;
    if (this.#closed) {
      if (this.#closeReported) return;
      this.#closeReported = true;
      this.#sink.onClose(this.#reason);
    } else if (!this.#paused && this.#backlog.length === 0) {
      if (this.#ended) this.close();
      else this.socket.resume();
    }
  }
}

/** An error for a stream that closed without saying why. */
export function closedError(): PeerwireError {
  return new PeerwireError('connection', 'The peer closed the connection.');
}
