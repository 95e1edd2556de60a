import { ConnectionIds } from './connection-id.ts';
import { DATAGRAM_SIZE, DEFAULT_NUM_WANT, SCRAPE_HASHES } from './limits.ts';
import type { Intervals } from './reply.ts';
import type { TrackerStats } from './stats.ts';
import type { AnnounceEvent, SwarmStore } from './swarm-store.ts';

const PROTOCOL_ID = 0x41727101980n;
const CONNECT = 0;
const ANNOUNCE = 1;
const SCRAPE = 2;
const CONNECT_SIZE = 16;
const ANNOUNCE_SIZE = 98;
const SCRAPE_HEAD = 16;
const EVENTS: readonly AnnounceEvent[] = ['none', 'completed', 'started', 'stopped'];

export interface UdpRoutesOptions {
  readonly store: SwarmStore;
  readonly stats: TrackerStats;
  readonly intervals: Intervals;
  /** Milliseconds of the store's clock. */
  readonly now: () => number;
}

/**
 * BEP 15, one datagram at a time. Anything malformed, and anything without a connection id that this address was given,
 * gets silence: a forged sender must not make us send to its victim. Connecting answers 16 bytes with 16.
 */
export class UdpRoutes {
  readonly #options: UdpRoutesOptions;
  readonly #ids = new ConnectionIds();

  constructor(options: UdpRoutesOptions) {
    this.#options = options;
  }

  /** The reply to a datagram, or undefined for silence. */
  answer(packet: Buffer, address: Uint8Array): Buffer | undefined {
    const reply = this.#reply(packet, address);
    if (reply === undefined) this.#options.stats.udpDropped++;
    return reply;
  }

  #reply(packet: Buffer, address: Uint8Array): Buffer | undefined {
    if (packet.length < CONNECT_SIZE) return undefined;
    const action = packet.readUInt32BE(8);
    const seconds = Math.floor(this.#options.now() / 1000);
    if (action === CONNECT) return this.#connect(packet, address, seconds);
    if (!this.#ids.check(address, seconds, packet, 0)) return undefined;
    if (action === ANNOUNCE) return this.#announce(packet, address);
    if (action === SCRAPE) return this.#scrape(packet);
    return undefined;
  }

  #connect(packet: Buffer, address: Uint8Array, seconds: number): Buffer | undefined {
    if (packet.readBigUInt64BE(0) !== PROTOCOL_ID) return undefined;
    this.#options.stats.udpConnects++;
    const reply = Buffer.alloc(CONNECT_SIZE);
    reply.writeUInt32BE(CONNECT, 0);
    packet.copy(reply, 4, 12, 16);
    this.#ids.issue(address, seconds, reply, 8);
    return reply;
  }

  /**
   * connection id 8, action 4, transaction 4, infohash 20, peer id 20, downloaded 8, left 8, uploaded 8, event 4,
   * IP 4 (ignored: see query.ts), key 4, numwant 4, port 2, then options of BEP 41 (ignored).
   */
  #announce(packet: Buffer, address: Uint8Array): Buffer | undefined {
    if (packet.length < ANNOUNCE_SIZE) return undefined;
    const event = EVENTS[packet.readUInt32BE(80)];
    if (event === undefined) return undefined;
    const { store, stats, intervals, now } = this.#options;
    stats.udpAnnounces++;
    const ipv6 = address.length === 16;
    const room = Math.floor((DATAGRAM_SIZE - 20) / (ipv6 ? 18 : 6));
    const wanted = packet.readInt32BE(92);
    const answer = store.announce(
      {
        infoHash: packet.toString('latin1', 16, 36),
        peerId: packet.subarray(36, 56),
        seed: packet.readBigUInt64BE(64) === 0n,
        event,
        address,
        port: packet.readUInt16BE(96),
        numWant: Math.min(wanted < 0 ? DEFAULT_NUM_WANT : wanted, room),
      },
      now(),
    );
    const slots = ipv6 ? answer.ipv6 : answer.ipv4;
    const reply = Buffer.allocUnsafe(20 + slots.length * (ipv6 ? 18 : 6));
    reply.writeUInt32BE(ANNOUNCE, 0);
    packet.copy(reply, 4, 12, 16);
    reply.writeUInt32BE(intervals.interval, 8);
    reply.writeUInt32BE(answer.incomplete, 12);
    reply.writeUInt32BE(answer.complete, 16);
    let at = 20;
    for (const slot of slots) at = store.pool.copyEntry(slot, reply, at);
    return reply;
  }

  #scrape(packet: Buffer): Buffer | undefined {
    const hashes = Math.floor((packet.length - SCRAPE_HEAD) / 20);
    if (hashes < 1 || hashes > SCRAPE_HASHES) return undefined;
    this.#options.stats.udpScrapes++;
    const reply = Buffer.alloc(8 + hashes * 12);
    reply.writeUInt32BE(SCRAPE, 0);
    packet.copy(reply, 4, 12, 16);
    for (let i = 0; i < hashes; i++) {
      const from = SCRAPE_HEAD + i * 20;
      const counts = this.#options.store.scrape(packet.toString('latin1', from, from + 20));
      if (counts === undefined) continue;
      reply.writeUInt32BE(counts.complete, 8 + i * 12);
      reply.writeUInt32BE(counts.downloaded, 12 + i * 12);
      reply.writeUInt32BE(counts.incomplete, 16 + i * 12);
    }
    return reply;
  }
}
