import { BLOCK_SIZE, type HashRequest } from '../../../src/bittorrent/merkle.ts';
import { pieceAt } from '../../../src/bittorrent/metainfo.ts';
import { PeerWire } from '../../../src/bittorrent/peer-wire.ts';
import { encodeExtendedHandshake } from '../../../src/bittorrent/wire/extended.ts';
import { type BlockRequest, encodeBlockHeader, type Message } from '../../../src/bittorrent/wire/messages.ts';
import {
  decodeMetadataMessage,
  encodeMetadataMessage,
  METADATA_PIECE,
} from '../../../src/bittorrent/wire/ut-metadata.ts';
import type { Disposable } from '../../../src/common/disposable.ts';
import type { Dice } from '../dice.ts';
import type { MemoryConnection } from '../memory-connection.ts';
import type { TestVersion } from '../test-version.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { Lie } from './lies.ts';

/** Under which it wants metadata messages. */
const METADATA_ID = 9;

/** One connection of a peer that has everything and misbehaves in one way; otherwise it serves like any other. */
export class Liar {
  readonly #lie: Lie;
  readonly #version: TestVersion;
  readonly #connection: MemoryConnection;
  readonly #clock: VirtualClock;
  readonly #dice: Dice;
  readonly #wire: PeerWire;
  readonly #timers: Disposable[] = [];
  readonly #trickling: Buffer[] = [];

  constructor(lie: Lie, version: TestVersion, connection: MemoryConnection, clock: VirtualClock, dice: Dice) {
    this.#lie = lie;
    this.#version = version;
    this.#connection = connection;
    this.#clock = clock;
    this.#dice = dice;
    const reqq = { 'no-reqq': 0, 'huge-reqq': Number.MAX_SAFE_INTEGER }[lie as string];
    this.#wire = PeerWire.initiate(
      connection,
      Buffer.from(version.info.infoHash, 'hex').subarray(0, 20),
      {
        peerId: Buffer.from(Array.from({ length: 20 }, () => dice.int(0, 255))),
        extensions: { ut_metadata: METADATA_ID },
        extended: { metadata_size: version.info.bytes.length, ...(reqq === undefined ? {} : { reqq }) },
      },
      {
        onReady: () => this.#start(),
        onMessage: (message) => {
          if (message.type === 'request') this.#onRequest(message);
          else if (message.type === 'hash-request') this.#onHashRequest(message);
        },
        onExtendedHandshake: () => {},
        onExtended: (_name, payload) => this.#onMetadata(payload),
        onBlockStart: () => undefined,
        onBlockEnd: () => {},
        onDrain: () => {},
        onClose: () => {
          for (const timer of this.#timers) timer.dispose();
        },
      },
    );
  }

  #start(): void {
    const { pieceCount } = this.#version.info;
    this.#send({ type: 'have-all' }, { type: 'interested' });
    if (this.#lie !== 'never-unchokes') this.#send({ type: 'unchoke' });
    switch (this.#lie) {
      case 'announces-twice':
        this.#after(500, () => this.#send({ type: 'bitfield', bits: Buffer.alloc(Math.ceil(pieceCount / 8)) }));
        return;
      case 'claims-falsely':
        this.#after(200, () => this.#send({ type: 'have', piece: pieceCount + this.#dice.int(0, 1_000) }));
        return;
      case 'toggles-choke':
        this.#every(300, () => this.#send({ type: 'choke' }, { type: 'unchoke' }));
        return;
      case 'trickles':
        this.#every(900, () => this.#raw(...this.#trickling.splice(0, 1)));
        return;
      case 'unasked':
        this.#every(100, () => this.#block(this.#anyBlock()));
        return;
      case 'floods':
        this.#every(200, () => this.#flood());
        return;
      case 'never-reads':
        this.#every(100, () => {
          for (let count = 0; count < 50; count++) this.#send({ type: 'request', ...this.#anyBlock() });
        });
        this.#connection.pause();
        return;
      case 'bad-length':
        this.#after(this.#dice.int(10, 2_000), () => this.#raw(this.#badMessage()));
        return;
      case 'garbage':
        this.#after(this.#dice.int(10, 2_000), () =>
          this.#raw(Buffer.from(Array.from({ length: 2_000 }, () => this.#dice.int(0, 255)))),
        );
        return;
      case 'silent':
      case 'half-blocks':
        this.#every(20_000, () => this.#send({ type: 'keep-alive' }));
        return;
    }
  }

  #onRequest(request: BlockRequest): void {
    switch (this.#lie) {
      case 'silent':
        return;
      case 'rejects':
        this.#send({ type: 'reject', piece: request.piece, begin: request.begin, length: request.length });
        return;
      case 'late':
        // Whatever was cancelled meanwhile.
        this.#after(this.#dice.int(1_000, 20_000), () => this.#block(request));
        return;
      case 'duplicates':
        for (let count = this.#dice.int(1, 3); count > 0; count--) this.#block(request);
        return;
      case 'trickles':
        this.#trickle(request);
        return;
      case 'half-blocks':
        this.#raw(encodeBlockHeader(request.piece, request.begin, request.length), Buffer.alloc(request.length >> 1));
        return;
      case 'wrong-bounds':
        this.#wrongBounds(request);
        return;
      default:
        this.#block(request);
    }
  }

  #onHashRequest(request: HashRequest): void {
    if (this.#lie === 'silent') return;
    const { root, base, index, length, proofLayers } = request;
    if (this.#lie !== 'forges-hashes') {
      this.#send({ type: 'hash-reject', root, base, index, length, proofLayers });
      return;
    }
    const hashes = Buffer.alloc(32 * (length + proofLayers), this.#dice.int(1, 255));
    this.#send({ type: 'hashes', root, base, index, length, proofLayers, hashes });
  }

  #onMetadata(payload: Buffer): void {
    const message = decodeMetadataMessage(payload);
    if (message?.type !== 'request' || this.#lie === 'silent') return;
    const { piece } = message;
    const { bytes } = this.#version.info;
    const data = Buffer.from(bytes.subarray(piece * METADATA_PIECE, (piece + 1) * METADATA_PIECE));
    if (this.#lie === 'rejects' || data.length === 0) {
      this.#wire.sendExtended('ut_metadata', encodeMetadataMessage({ type: 'reject', piece }));
      return;
    }
    if (this.#lie === 'forges-metadata') data.fill(this.#dice.int(0, 255), data.length >> 1);
    this.#wire.sendExtended(
      'ut_metadata',
      encodeMetadataMessage({ type: 'data', piece, totalSize: bytes.length, data }),
    );
  }

  #flood(): void {
    const root = this.#version.info.files.find((file) => file.root)?.root ?? Buffer.alloc(32);
    const hashRequest = { type: 'hash-request', root, base: 0, index: 0, length: 2, proofLayers: 0 } as const;
    for (let count = 0; count < 40; count++) {
      this.#send(
        { type: 'request', ...this.#anyBlock() },
        hashRequest,
        { type: 'have', piece: 0 },
        { type: 'interested' },
      );
      this.#send({ type: 'not-interested' }, { type: 'interested' }, { type: 'cancel', ...this.#anyBlock() });
      this.#wire.sendExtended('ut_metadata', encodeMetadataMessage({ type: 'request', piece: this.#dice.int(0, 3) }));
    }
    this.#send({ type: 'extended', id: 0, payload: encodeExtendedHandshake({ m: { ut_metadata: METADATA_ID } }) });
  }

  #badMessage(): Buffer {
    return this.#dice.pick([
      Buffer.from([0, 0, 0, 3, 4, 0, 0]),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 20]),
      Buffer.from([0, 0, 0x80, 9, 7, 0, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.from([0, 0, 0, 14, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0]),
      Buffer.from([0, 0, 0, 2, 20, 0]),
    ]);
  }

  /** Part of a block now and then, so that it is never quiet. */
  #trickle(request: BlockRequest): void {
    const block = Buffer.concat([
      encodeBlockHeader(request.piece, request.begin, request.length),
      this.#content(request),
    ]);
    const step = Math.ceil(block.length / 8);
    for (let at = 0; at < block.length; at += step) this.#trickling.push(block.subarray(at, at + step));
  }

  #wrongBounds({ piece, begin, length }: BlockRequest): void {
    const wrong = this.#dice.pick([
      { piece, begin: begin + 1, length },
      { piece, begin, length: Math.max(1, length >> 1) },
      { piece: piece + 1, begin, length },
      { piece: 0xffff_ffff, begin: 0xffff_ffff, length },
    ]);
    this.#raw(encodeBlockHeader(wrong.piece, wrong.begin, wrong.length), Buffer.alloc(wrong.length, 0x55));
  }

  #block(request: BlockRequest): void {
    this.#raw(encodeBlockHeader(request.piece, request.begin, request.length), this.#content(request));
  }

  #content({ piece, begin, length }: BlockRequest): Buffer {
    const { fileIndex, offset } = pieceAt(this.#version.info, piece);
    return this.#version.files[fileIndex]?.subarray(offset + begin, offset + begin + length) ?? Buffer.alloc(0);
  }

  #anyBlock(): BlockRequest {
    const { info } = this.#version;
    if (info.pieceCount === 0) return { piece: 0, begin: 0, length: 1 };
    const piece = this.#dice.int(0, info.pieceCount - 1);
    const { length } = pieceAt(info, piece);
    const begin = this.#dice.int(0, Math.ceil(length / BLOCK_SIZE) - 1) * BLOCK_SIZE;
    return { piece, begin, length: Math.min(BLOCK_SIZE, length - begin) };
  }

  #send(...messages: Message[]): void {
    for (const message of messages) this.#wire.send(message);
  }

  #raw(...chunks: Buffer[]): void {
    this.#connection.write(chunks.map((chunk) => Buffer.from(chunk)));
  }

  #after(ms: number, action: () => void): void {
    this.#timers.push(this.#clock.setTimeout(action, ms));
  }

  #every(ms: number, action: () => void): void {
    this.#timers.push(this.#clock.setInterval(action, ms));
  }
}

/** What a liar with an engine reads from its disk. */
export function corruption(
  lie: Lie,
  dice: Dice,
): ((fileIndex: number, offset: number, view: Uint8Array) => void) | undefined {
  const flip = (view: Uint8Array): void => {
    const at = dice.int(0, view.length - 1);
    view[at] = (view[at] ?? 0) ^ (1 << dice.int(0, 7));
  };
  switch (lie) {
    case 'corrupts-all':
      return (_file, _offset, view) => flip(view);
    case 'corrupts-some':
      return (_file, _offset, view) => {
        if (dice.chance(0.1)) flip(view);
      };
    case 'corrupts-one-block':
      // Always the same: the first of each file.
      return (_file, offset, view) => {
        if (offset === 0) view[0] = (view[0] ?? 0) ^ 0x80;
      };
    case 'has-nothing':
      return (_file, _offset, view) => view.fill(0);
    default:
      return undefined;
  }
}
