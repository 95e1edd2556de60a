/** The messages of BEP 3, 6, 10 and 52 as bytes. Blocks (`piece`) have only a header here: their content is never copied. */
import { PeerwireError } from '../../common/errors.ts';
import { HASH_SIZE, type HashRequest } from '../merkle.ts';

/** A block; numbers come from strangers: any unsigned 32-bit value. */
export interface BlockRequest {
  readonly piece: number;
  /** Bytes from the start of the piece. */
  readonly begin: number;
  /** Bytes. */
  readonly length: number;
}

export type Message =
  | { readonly type: 'keep-alive' }
  | { readonly type: BareType }
  | { readonly type: PieceType; readonly piece: number }
  | { readonly type: 'bitfield'; readonly bits: Buffer }
  | ({ readonly type: BlockType } & BlockRequest)
  | ({ readonly type: HashType } & HashRequest)
  | ({ readonly type: 'hashes'; readonly hashes: Buffer } & HashRequest)
  | { readonly type: 'extended'; readonly id: number; readonly payload: Buffer };

type BareType = 'choke' | 'unchoke' | 'interested' | 'not-interested' | 'have-all' | 'have-none';
type PieceType = 'have' | 'suggest' | 'allowed-fast';
type BlockType = 'request' | 'cancel' | 'reject';
type HashType = 'hash-request' | 'hash-reject';

const IDS: Readonly<Record<Exclude<Message['type'], 'keep-alive'>, number>> = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  'not-interested': 3,
  have: 4,
  bitfield: 5,
  request: 6,
  cancel: 8,
  suggest: 13,
  'have-all': 14,
  'have-none': 15,
  reject: 16,
  'allowed-fast': 17,
  extended: 20,
  'hash-request': 21,
  hashes: 22,
  'hash-reject': 23,
};

/** Message id of a block. */
export const BLOCK_ID = 7;
/** Bytes before a block's content: length, id, piece, begin. */
export const BLOCK_HEADER_SIZE = 13;

const LENGTH_SIZE = 4;
const HASH_FIELDS_SIZE = HASH_SIZE + 16;
const KEEP_ALIVE = Buffer.alloc(LENGTH_SIZE);

/** The whole message with its length prefix. */
export function encodeMessage(message: Message): Buffer {
  switch (message.type) {
    case 'keep-alive':
      return Buffer.from(KEEP_ALIVE);
    case 'choke':
    case 'unchoke':
    case 'interested':
    case 'not-interested':
    case 'have-all':
    case 'have-none':
      return start(message.type, 0);
    case 'have':
    case 'suggest':
    case 'allowed-fast': {
      const bytes = start(message.type, 4);
      bytes.writeUInt32BE(message.piece, 5);
      return bytes;
    }
    case 'bitfield': {
      const bytes = start(message.type, message.bits.length);
      bytes.set(message.bits, 5);
      return bytes;
    }
    case 'request':
    case 'cancel':
    case 'reject': {
      const bytes = start(message.type, 12);
      bytes.writeUInt32BE(message.piece, 5);
      bytes.writeUInt32BE(message.begin, 9);
      bytes.writeUInt32BE(message.length, 13);
      return bytes;
    }
    case 'hash-request':
    case 'hash-reject':
      return writeHashFields(start(message.type, HASH_FIELDS_SIZE), message);
    case 'hashes': {
      const bytes = writeHashFields(start(message.type, HASH_FIELDS_SIZE + message.hashes.length), message);
      bytes.set(message.hashes, 5 + HASH_FIELDS_SIZE);
      return bytes;
    }
    case 'extended': {
      const bytes = start(message.type, 1 + message.payload.length);
      bytes.writeUInt8(message.id, 5);
      bytes.set(message.payload, 6);
      return bytes;
    }
  }
}

/** What precedes the `length` bytes of a block on the wire. */
export function encodeBlockHeader(piece: number, begin: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(BLOCK_HEADER_SIZE);
  writeBlockHeader(bytes, 0, piece, begin, length);
  return bytes;
}

/** Writes the header at an offset of a buffer that gets the block behind it; returns the offset of the block. */
export function writeBlockHeader(target: Buffer, at: number, piece: number, begin: number, length: number): number {
  target.writeUInt32BE(BLOCK_HEADER_SIZE - LENGTH_SIZE + length, at);
  target.writeUInt8(BLOCK_ID, at + 4);
  target.writeUInt32BE(piece, at + 5);
  return target.writeUInt32BE(begin, at + 9);
}

function start(type: keyof typeof IDS, payloadSize: number): Buffer {
  const bytes = Buffer.allocUnsafe(LENGTH_SIZE + 1 + payloadSize);
  bytes.writeUInt32BE(1 + payloadSize, 0);
  bytes.writeUInt8(IDS[type], LENGTH_SIZE);
  return bytes;
}

function writeHashFields(bytes: Buffer, request: HashRequest): Buffer {
  if (request.root.length !== HASH_SIZE) throw new RangeError(`A merkle root is ${HASH_SIZE} bytes long`);
  bytes.set(request.root, 5);
  bytes.writeUInt32BE(request.base, 37);
  bytes.writeUInt32BE(request.index, 41);
  bytes.writeUInt32BE(request.length, 45);
  bytes.writeUInt32BE(request.proofLayers, 49);
  return bytes;
}

type Shape = { readonly type: Exclude<Message['type'], 'keep-alive'>; readonly min: number; readonly max: number };

const fixed = (type: Shape['type'], size: number): Shape => ({ type, min: size, max: size });

/** What may follow the id, by id. */
const SHAPES: readonly (Shape | undefined)[] = shapesById([
  fixed('choke', 0),
  fixed('unchoke', 0),
  fixed('interested', 0),
  fixed('not-interested', 0),
  fixed('have-all', 0),
  fixed('have-none', 0),
  fixed('have', 4),
  fixed('suggest', 4),
  fixed('allowed-fast', 4),
  fixed('request', 12),
  fixed('cancel', 12),
  fixed('reject', 12),
  fixed('hash-request', HASH_FIELDS_SIZE),
  fixed('hash-reject', HASH_FIELDS_SIZE),
  { type: 'hashes', min: HASH_FIELDS_SIZE, max: Number.POSITIVE_INFINITY },
  { type: 'bitfield', min: 0, max: Number.POSITIVE_INFINITY },
  { type: 'extended', min: 1, max: Number.POSITIVE_INFINITY },
]);

function shapesById(shapes: readonly Shape[]): (Shape | undefined)[] {
  const byId: (Shape | undefined)[] = [];
  for (const shape of shapes) byId[IDS[shape.type]] = shape;
  return byId;
}

/**
 * Whether a message with this id is known. Throws 'protocol' when it is and `payloadSize` (bytes after the id) cannot be
 * right, so that this is known before anything is buffered.
 */
export function isKnownMessage(id: number, payloadSize: number): boolean {
  const shape = SHAPES[id];
  if (!shape) return false;
  if (payloadSize < shape.min || payloadSize > shape.max) {
    throw new PeerwireError('protocol', `A “${shape.type}” message cannot have ${payloadSize} bytes.`);
  }
  return true;
}

/** Reads the bytes after the id of a known message, from `at` to `end`. What the result keeps is copied. */
export function decodePayload(id: number, bytes: Buffer, at: number, end: number): Message {
  const type = SHAPES[id]?.type;
  switch (type) {
    case 'choke':
    case 'unchoke':
    case 'interested':
    case 'not-interested':
    case 'have-all':
    case 'have-none':
      return { type };
    case 'have':
    case 'suggest':
    case 'allowed-fast':
      return { type, piece: bytes.readUInt32BE(at) };
    case 'bitfield':
      return { type, bits: Buffer.from(bytes.subarray(at, end)) };
    case 'request':
    case 'cancel':
    case 'reject':
      return {
        type,
        piece: bytes.readUInt32BE(at),
        begin: bytes.readUInt32BE(at + 4),
        length: bytes.readUInt32BE(at + 8),
      };
    case 'hash-request':
    case 'hash-reject':
      return { type, ...readHashFields(bytes, at) };
    case 'hashes':
      if ((end - at - HASH_FIELDS_SIZE) % HASH_SIZE !== 0) {
        throw new PeerwireError('protocol', 'A “hashes” message does not hold whole hashes.');
      }
      return {
        type,
        ...readHashFields(bytes, at),
        hashes: Buffer.from(bytes.subarray(at + HASH_FIELDS_SIZE, end)),
      };
    case 'extended':
      return { type, id: bytes.readUInt8(at), payload: Buffer.from(bytes.subarray(at + 1, end)) };
    case undefined:
      throw new RangeError(`No message has id ${id}`);
  }
}

function readHashFields(bytes: Buffer, at: number): HashRequest {
  return {
    root: Buffer.from(bytes.subarray(at, at + HASH_SIZE)),
    base: bytes.readUInt32BE(at + HASH_SIZE),
    index: bytes.readUInt32BE(at + HASH_SIZE + 4),
    length: bytes.readUInt32BE(at + HASH_SIZE + 8),
    proofLayers: bytes.readUInt32BE(at + HASH_SIZE + 12),
  };
}
