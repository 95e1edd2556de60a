import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../src/common/clock.ts';
import type { Disposable } from '../src/common/disposable.ts';
import { parseAddress } from './address.ts';
import { AddressCounter } from './address-counter.ts';
import { IDLE_DEADLINE, REQUEST_DEADLINE, REQUEST_SIZE, type TrackerLimits, UNSENT_REPLY } from './limits.ts';
import { httpReply } from './reply.ts';

/** Answers a request target with a whole HTTP response. */
export type Respond = (target: string, address: Uint8Array, keepAlive: boolean) => Buffer;

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly limits: TrackerLimits;
  readonly clock: Clock;
  readonly respond: Respond;
}

/**
 * As much of an HTTP/1.1 server as a tracker needs: GET without bodies, keep-alive, pipelining. It reads requests off
 * the socket itself because announces are tiny and Node's HTTP objects cost several times the work of answering them.
 */
export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #connections = new Set<HttpConnection>();
  readonly #addresses = new AddressCounter();
  #sweep: Disposable | undefined;

  static async listen(options: HttpServerOptions): Promise<HttpServer> {
    const http = new HttpServer(options);
    await new Promise<void>((resolve, reject) => {
      http.#server.once('error', reject);
      http.#server.listen({ host: options.host, port: options.port, backlog: 4096 }, () => {
        http.#server.off('error', reject);
        // Failing accepts (out of file descriptors) must not end the tracker: the connection is lost, others go on.
        http.#server.on('error', () => undefined);
        resolve();
      });
    });
    http.#sweep = options.clock.setInterval(() => http.#closeOverdue(), 1000);
    return http;
  }

  private constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = options.limits.connections;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#connections.size;
  }

  async close(): Promise<void> {
    this.#sweep?.dispose();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const address = parseAddress(socket.remoteAddress ?? '');
    if (address === undefined || this.#addresses.get(address) >= this.#options.limits.connectionsPerAddress) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    this.#addresses.add(address);
    const connection = new HttpConnection(socket, address, this.#options, () => {
      this.#connections.delete(connection);
      this.#addresses.remove(address);
    });
    this.#connections.add(connection);
  }

  #closeOverdue(): void {
    const now = this.#options.clock.now();
    for (const connection of this.#connections) if (connection.deadline < now) connection.destroy();
  }
}

class HttpConnection {
  readonly #socket: Socket;
  readonly #address: Uint8Array;
  readonly #clock: Clock;
  readonly #respond: Respond;
  /** The beginning of a request whose end has not come yet. */
  #rest = '';
  #ended = false;
  /** By the clock's `now`: past it the connection is closed. Bytes that dribble in do not move it. */
  deadline: number;

  constructor(socket: Socket, address: Uint8Array, options: HttpServerOptions, onClose: () => void) {
    this.#socket = socket;
    this.#address = address;
    this.#clock = options.clock;
    this.#respond = options.respond;
    this.deadline = this.#clock.now() + REQUEST_DEADLINE;
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', () => undefined); // `close` follows.
    socket.on('close', onClose);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return;
    const fresh = this.#rest === '';
    const text = fresh ? chunk.toString('latin1') : this.#rest + chunk.toString('latin1');
    let at = skipEmptyLines(text, 0);
    let answered = false;
    for (let end = text.indexOf('\r\n\r\n', at); end >= 0; end = text.indexOf('\r\n\r\n', at)) {
      if (end - at > REQUEST_SIZE) break;
      const pipelined = !answered && end + 4 < text.length;
      if (pipelined) this.#socket.cork();
      this.#answer(text, at, end);
      answered = true;
      if (this.#ended) break;
      at = skipEmptyLines(text, end + 4);
    }
    if (this.#socket.writableCorked > 0) this.#socket.uncork();
    if (this.#ended) return;
    this.#rest = at < text.length ? text.slice(at) : '';
    if (this.#rest.length > REQUEST_SIZE) this.#end(httpReply(431, 'text/plain', 'The request is too large.\n', false));
    else if (this.#socket.writableLength > UNSENT_REPLY) this.destroy();
    else if (this.#rest === '') this.deadline = this.#clock.now() + IDLE_DEADLINE;
    else if (fresh || answered) this.deadline = this.#clock.now() + REQUEST_DEADLINE;
  }

  /** Answers the request whose head is `text` from `start` to `end`, without the empty line. */
  #answer(text: string, start: number, end: number): void {
    let lineEnd = text.indexOf('\r\n', start);
    if (lineEnd < 0 || lineEnd > end) lineEnd = end;
    const methodEnd = text.indexOf(' ', start);
    const targetEnd = text.indexOf(' ', methodEnd + 1);
    if (methodEnd < 0 || targetEnd < 0 || targetEnd > lineEnd || !text.startsWith('HTTP/1.', targetEnd + 1)) {
      this.#end(httpReply(400, 'text/plain', 'Bad request.\n', false));
      return;
    }
    if (!text.startsWith('GET ', start)) {
      this.#end(httpReply(405, 'text/plain', 'Only GET is supported.\n', false));
      return;
    }
    // An HTTP/1.0 client would have to be told that the connection stays: simpler to close it.
    const http10 = text.charCodeAt(targetEnd + 8) === 0x30;
    const keepAlive = !http10 && staysOpen(text.slice(lineEnd, end));
    const reply = this.#respond(text.slice(methodEnd + 1, targetEnd), this.#address, keepAlive);
    if (keepAlive) this.#socket.write(reply);
    else this.#end(reply);
  }

  #end(reply: Buffer): void {
    this.#ended = true;
    this.#rest = '';
    this.deadline = this.#clock.now() + REQUEST_DEADLINE;
    this.#socket.end(reply);
  }
}

const HEADERS = /\r\n(connection|content-length|transfer-encoding):[ \t]*([^\r\n]*)/gi;

/** Whether another request may follow. A body would be read as one, so a request that announces one is the last. */
function staysOpen(headers: string): boolean {
  for (const [, name = '', value = ''] of headers.matchAll(HEADERS)) {
    const last = name.length === 'connection'.length ? /\bclose\b/i.test(value) : value.trim() !== '0';
    if (last) return false;
  }
  return true;
}

/** RFC 9112 §2.2: empty lines before a request are ignored. */
function skipEmptyLines(text: string, from: number): number {
  let at = from;
  while (text.startsWith('\r\n', at)) at += 2;
  return at;
}
