import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { parseAddress } from './address.ts';

/** Datagrams waiting to be sent, past which replies are dropped: clients ask again (BEP 15). */
const SEND_QUEUE = 1000;

export interface UdpServerOptions {
  readonly host: string;
  readonly port: number;
  /** The reply to a datagram, or undefined for silence. */
  readonly answer: (packet: Buffer, address: Uint8Array) => Buffer | undefined;
}

/** The socket side of the UDP tracker. */
export class UdpServer {
  readonly #socket: Socket;
  readonly #answer: UdpServerOptions['answer'];

  static async listen(options: UdpServerOptions): Promise<UdpServer> {
    // Dual stack: with `::` IPv4 clients arrive as mapped addresses, which `parseAddress` turns back.
    const socket = createSocket(isIPv6(options.host) ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: options.host, port: options.port }, () => {
        socket.off('error', reject);
        resolve();
      });
    }).catch((error: unknown) => {
      socket.close();
      throw error;
    });
    return new UdpServer(socket, options.answer);
  }

  private constructor(socket: Socket, answer: UdpServerOptions['answer']) {
    this.#socket = socket;
    this.#answer = answer;
    socket.on('message', (packet, from) => {
      const address = from.port === 0 ? undefined : parseAddress(from.address);
      if (address === undefined) return;
      const reply = this.#answer(packet, address);
      if (reply === undefined || socket.getSendQueueCount() > SEND_QUEUE) return;
      socket.send(reply, from.port, from.address, () => undefined); // Unreachable clients are no concern of ours.
    });
    socket.on('error', () => undefined);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}
