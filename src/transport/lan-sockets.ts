import { createSocket, type Socket } from 'node:dgram';
import type { Disposable } from '../common/disposable.ts';
import { errorMessage } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { Logger } from '../common/log.ts';
import { plainAddress } from './ip-address.ts';
import { LSD_GROUPS, LSD_PORT, MAX_DATAGRAM } from './lsd-announce.ts';
import type { LanInterface } from './network-interfaces.ts';

export interface LanDatagram {
  readonly data: Buffer;
  /** Source address, without zone. */
  readonly address: string;
  /** The interface by which it came: the one on whose network the source is. */
  readonly interface: LanInterface;
}

/** Multicast among the hosts of a LAN. */
export interface LanTransport extends Disposable {
  /** Datagrams of the multicast groups, our own among them, from addresses that need no router. */
  readonly onDatagram: Event<LanDatagram>;
  /** Takes these interfaces into use and gives up others. What failed before is tried again. */
  use(interfaces: readonly LanInterface[]): void;
  /** Sends to the group on one of the interfaces in use. Rejects with the system's error. */
  send(on: LanInterface, data: Buffer): Promise<void>;
}

interface Sender {
  interface: LanInterface;
  readonly socket: Socket;
  /** Settles when the socket can send, rejects when the system does not let it. */
  readonly ready: Promise<void>;
  failed: boolean;
}

/**
 * The sockets of local discovery: for each IP family one that listens on the well-known port, which other programs and the
 * other windows of this machine share, a member of the group on each interface; and one for each interface that sends, with a
 * TTL of 1, heard on this machine as well.
 */
export class LanSockets implements LanTransport {
  readonly #logger: Logger;
  readonly #datagrams = new Emitter<LanDatagram>();
  readonly onDatagram: Event<LanDatagram> = this.#datagrams.event;
  readonly #receivers = new Map<4 | 6, { readonly socket: Socket; readonly ready: Promise<void> }>();
  readonly #senders = new Map<string, Sender>();
  #disposed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  use(interfaces: readonly LanInterface[]): void {
    if (this.#disposed) return;
    const wanted = new Map(interfaces.map((entry) => [keyOf(entry), entry]));
    for (const [key, sender] of this.#senders) {
      const entry = wanted.get(key);
      if (entry !== undefined && !sender.failed) {
        sender.interface = entry;
        continue;
      }
      this.#senders.delete(key);
      sender.socket.close();
      this.#dropMembership(sender.interface);
    }
    for (const [key, entry] of wanted) if (!this.#senders.has(key)) this.#senders.set(key, this.#open(entry));
  }

  async send(on: LanInterface, data: Buffer): Promise<void> {
    const sender = this.#senders.get(keyOf(on));
    if (sender === undefined) throw new Error(`${on.name} is not in use`);
    await sender.ready;
    await new Promise<void>((resolve, reject) => {
      if (this.#senders.get(keyOf(on)) !== sender) reject(new Error(`${on.name} is not in use any more`));
      else
        sender.socket.send(data, LSD_PORT, LSD_GROUPS[on.family], (error) => {
          if (error) reject(error);
          else resolve();
        });
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const { socket } of [...this.#senders.values(), ...this.#receivers.values()]) socket.close();
    this.#senders.clear();
    this.#receivers.clear();
    this.#datagrams.dispose();
  }

  #open(entry: LanInterface): Sender {
    const socket = createSocket({ type: entry.family === 4 ? 'udp4' : 'udp6', ...only(entry.family) });
    socket.on('error', () => {}); // Those of sending come with each call.
    const joined = this.#join(entry);
    const ready = bind(socket, 0).then(async () => {
      await joined;
      socket.setMulticastInterface(multicastName(entry));
      socket.setMulticastTTL(1);
      socket.setMulticastLoopback(true);
    });
    const sender = { interface: entry, socket, ready, failed: false };
    ready.catch((error: unknown) => {
      sender.failed = true;
      if (!this.#disposed) this.#logger.debug(`No local discovery on ${keyOf(entry)}: ${errorMessage(error)}`);
    });
    return sender;
  }

  async #join(entry: LanInterface): Promise<void> {
    const { socket, ready } = this.#receiver(entry.family);
    await ready;
    // It may have gone meanwhile.
    if (this.#senders.has(keyOf(entry))) socket.addMembership(LSD_GROUPS[entry.family], multicastName(entry));
  }

  #dropMembership(entry: LanInterface): void {
    try {
      this.#receivers.get(entry.family)?.socket.dropMembership(LSD_GROUPS[entry.family], multicastName(entry));
    } catch {
      // It ended with the interface or its address, or never began.
    }
  }

  #receiver(family: 4 | 6): { socket: Socket; ready: Promise<void> } {
    const known = this.#receivers.get(family);
    if (known !== undefined) return known;
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', reuseAddr: true, ...only(family) });
    socket.on('error', (error) => this.#logger.debug(`Local discovery (IPv${family}): ${errorMessage(error)}`));
    socket.on('message', (data, { address }) => this.#receive(family, data, address));
    const ready = bind(socket, LSD_PORT).then(() => void socket.setMulticastLoopback(true));
    const receiver = { socket, ready };
    this.#receivers.set(family, receiver);
    // Another program may hold the port alone, now.
    ready.catch(() => {
      if (this.#receivers.get(family) === receiver) this.#receivers.delete(family);
    });
    return receiver;
  }

  #receive(family: 4 | 6, data: Buffer, source: string): void {
    if (data.length > MAX_DATAGRAM) return;
    const address = plainAddress(source);
    const zone = source.split('%')[1];
    // Whoever names a source that is not of this LAN wants somebody else to be dialled.
    for (const { interface: entry } of this.#senders.values()) {
      if (entry.family !== family || !entry.isOnLink(address)) continue;
      if (zone !== undefined && zone !== entry.zone) continue;
      this.#datagrams.fire({ data, address, interface: entry });
      return;
    }
  }
}

/** Resolves when it is bound; rejects with the system's error. */
function bind(socket: Socket, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, exclusive: false }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

const only = (family: 4 | 6): { ipv6Only?: boolean } => (family === 6 ? { ipv6Only: true } : {});

/** What names an interface to the calls for multicast: an address of it, in IPv6 the zone. */
function multicastName(entry: LanInterface): string {
  return entry.family === 4 ? (entry.addresses[0] ?? '0.0.0.0') : `::%${entry.zone}`;
}

/** IPv4 memberships belong to an address. */
function keyOf(entry: LanInterface): string {
  return entry.family === 4 ? `${entry.name} ${entry.addresses[0]}` : `${entry.name} IPv6`;
}
