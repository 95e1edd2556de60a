import { HANDSHAKE_SIZE } from '../../../src/bittorrent/wire/handshake.ts';
import type { SimPeer } from '../simulation.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { Judge } from './judge.ts';
import { MessageReader } from './message-reader.ts';
import type { Takeovers } from './takeovers.ts';

const ID = { bitfield: 5, have: 4, request: 6, block: 7, cancel: 8, haveAll: 14, reject: 16, extended: 20 } as const;
/** What an honest peer may let wait: the engine promises to reject beyond 2048 requests, and some are being read. */
const MOST_REQUESTS = 2048 + 3 * 64;
/** Requests that an honest peer keeps at one other, and those that it gave up. */
const MOST_OUTSTANDING = 2 * 1024;

/**
 * Reads along on one connection of an honest peer: what it says must be true, what it sends must be right and have been
 * asked for, and what waits must stay bounded.
 */
export class WireTap {
  readonly #judge: Judge;
  readonly #who: string;
  readonly #peer: SimPeer;
  readonly #clock: VirtualClock;
  readonly #takeovers: Takeovers;
  /** Requests that were cancelled before what they are for was here, and not answered. */
  readonly #takenOver = new Set<string>();
  readonly #sent: MessageReader;
  readonly #read: MessageReader;
  /** Requests read and not answered. */
  readonly #unanswered = new Map<string, number>();
  /** Requests read, and answers written, whether they have left or not. */
  #requests = 0;
  #answers = 0;
  #handshakes = 1;
  /** When bytes were last read, in ms. */
  #readAt = 0;
  /** Requests sent and not answered. */
  readonly #outstanding = new Map<string, number>();
  #outstandingCount = 0;
  readonly #announced = new Set<number>();
  #announcedAll = false;

  constructor(judge: Judge, who: string, peer: SimPeer, takeovers: Takeovers, clock: VirtualClock) {
    this.#takeovers = takeovers;
    this.#judge = judge;
    this.#who = who;
    this.#peer = peer;
    this.#clock = clock;
    this.#sent = new MessageReader((id, payload) => this.#onSent(id, payload));
    this.#read = new MessageReader((id, payload) => this.#onRead(id, payload));
  }

  /** Every write of the engine is of whole messages. */
  written(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      let at = 0;
      for (; this.#handshakes > 0; this.#handshakes--) at += HANDSHAKE_SIZE;
      while (at < bytes.length) {
        const length = bytes.readUInt32BE(at);
        const id = length > 0 ? bytes[at + 4] : undefined;
        if (id === ID.block || id === ID.reject) this.#answers++;
        at += 4 + length;
      }
    }
  }

  sent(bytes: Buffer): void {
    this.#judgeRequests();
    this.#sent.push(bytes);
  }

  read(bytes: Buffer): void {
    this.#judgeRequests();
    this.#readAt = this.#clock.now();
    this.#read.push(bytes);
  }

  #onSent(id: number, payload: Buffer): void {
    const { have } = this.#peer;
    switch (id) {
      case ID.have:
        if (!have.has(payload.readUInt32BE(0))) this.#violation(`claims piece ${payload.readUInt32BE(0)}`);
        return;
      case ID.haveAll:
        if (!have.complete) this.#violation('claims all pieces');
        return;
      case ID.bitfield:
        for (let piece = 0; piece < have.length; piece++)
          if ((payload[piece >> 3] ?? 0) & (0x80 >> (piece & 7)) && !have.has(piece))
            this.#violation(`claims piece ${piece}`);
        return;
      case ID.request:
        this.#onRequestSent(payload);
        return;
      case ID.cancel:
        if (this.#takeovers.isTakeover(payload.readUInt32BE(0), payload.readUInt32BE(4), payload.readUInt32BE(8)))
          this.#takenOver.add(payload.toString('latin1'));
        return;
      case ID.reject:
        this.#answered(payload.toString('latin1', 0, 12), 'rejects');
        return;
      case ID.block:
        this.#onBlockSent(payload);
        return;
    }
  }

  #onRequestSent(payload: Buffer): void {
    const piece = payload.readUInt32BE(0);
    const begin = payload.readUInt32BE(4);
    const { info } = this.#judge.version;
    if (piece >= info.pieceCount || begin % 16_384 !== 0)
      this.#violation(`requests ${piece}+${begin}, which cannot be`);
    else {
      for (const asked of [piece, ...this.#judge.runOf(piece, begin, payload.readUInt32BE(8))])
        if (!this.#announcedAll && !this.#announced.has(asked))
          this.#violation(`requests piece ${asked} that the other lacks`);
    }
    add(this.#outstanding, payload.toString('latin1'), 1);
    this.#judge.reach('outstanding', ++this.#outstandingCount, MOST_OUTSTANDING, () => this.#who);
  }

  #onBlockSent(payload: Buffer): void {
    const piece = payload.readUInt32BE(0);
    const begin = payload.readUInt32BE(4);
    const content = payload.subarray(8);
    if (!this.#judge.isRightBlock(piece, begin, content)) this.#violation(`sends wrong bytes as ${piece}+${begin}`);
    this.#answered(blockKey(payload), 'sends');
  }

  /** Each request is answered once; only what was asked for is sent. */
  #answered(key: string, verb: string): void {
    if (!add(this.#unanswered, key, -1)) this.#violation(`${verb} ${nameOf(key)}, which nobody asked for`);
  }

  #onRead(id: number, payload: Buffer): void {
    switch (id) {
      case ID.have:
        if (payload.length === 4) this.#announced.add(payload.readUInt32BE(0));
        return;
      case ID.haveAll:
        this.#announcedAll = true;
        return;
      case ID.bitfield:
        for (let piece = 0; piece < payload.length * 8; piece++)
          if ((payload[piece >> 3] ?? 0) & (0x80 >> (piece & 7))) this.#announced.add(piece);
        return;
      case ID.request:
        if (payload.length !== 12) return;
        add(this.#unanswered, payload.toString('latin1'), 1);
        this.#requests++;
        return;
      case ID.reject:
      case ID.block:
        if (payload.length < 8) return;
        this.#onAnswerRead(id, payload);
        return;
    }
  }

  #onAnswerRead(id: number, payload: Buffer): void {
    const key = id === ID.reject ? payload.toString('latin1') : blockKey(payload);
    if (add(this.#outstanding, key, -1)) this.#outstandingCount--;
    const crossing = this.#takenOver.delete(key);
    if (id === ID.block)
      this.#takeovers.came(payload.readUInt32BE(0), payload.readUInt32BE(4), payload.length - 8, crossing);
  }

  /** What arrives at one moment, however much, is refused or taken up before the next. */
  #judgeRequests(): void {
    if (this.#readAt === this.#clock.now()) return;
    this.#judge.reach('requests', this.#requests - this.#answers, MOST_REQUESTS, () => this.#who);
  }

  #violation(what: string): void {
    this.#judge.violation(`${this.#who} ${what}`);
  }
}

/** The request that a block answers. */
function blockKey(payload: Buffer): string {
  const key = Buffer.alloc(12);
  payload.copy(key, 0, 0, 8);
  key.writeUInt32BE(payload.length - 8, 8);
  return key.toString('latin1');
}

function nameOf(key: string): string {
  const bytes = Buffer.from(key, 'latin1');
  return `${bytes.readUInt32BE(0)}+${bytes.readUInt32BE(4)} (${bytes.readUInt32BE(8)} bytes)`;
}

/** False when the count would become negative. */
function add(counts: Map<string, number>, key: string, change: number): boolean {
  const count = (counts.get(key) ?? 0) + change;
  if (count < 0) return false;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
  return true;
}
