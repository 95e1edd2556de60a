import type { Socket } from 'node:net';
import type { Connection, ConnectionSink } from '../../src/bittorrent/connection.ts';
import { type PeerwireError, toPeerwireError } from '../../src/common/errors.ts';

/** The engine over bare TCP: for tests against clients that know no TLS. The product never does this. */
export class PlainConnection implements Connection {
  readonly remote: string;
  readonly #socket: Socket;
  #sink: ConnectionSink | undefined;
  #reason: PeerwireError | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remote = `${socket.remoteAddress}:${socket.remotePort}`;
    socket.pause();
    socket.on('data', (chunk: Buffer) => this.#sink?.onData(chunk));
    socket.on('drain', () => this.#sink?.onDrain());
    socket.on('error', (error) => {
      this.#reason ??= toPeerwireError(error);
    });
    socket.on('close', () => this.#sink?.onClose(this.#reason));
  }

  get writableLength(): number {
    return this.#socket.writableLength;
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  start(sink: ConnectionSink): void {
    this.#sink = sink;
    queueMicrotask(() => this.#socket.resume());
  }

  write(chunks: readonly Uint8Array[], onDone?: () => void): void {
    this.#socket.write(Buffer.concat(chunks), () => onDone?.());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(reason?: PeerwireError): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }
}
