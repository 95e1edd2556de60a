/** Messages of metadata exchange (BEP 9): payloads of the extension `ut_metadata`. */
import { PeerwireError } from '../../common/errors.ts';
import { decodePrefix, dictOf, encode, intOf } from '../bencode.ts';
import { MAX_INFO_SIZE } from '../metainfo.ts';

/** Bytes of a piece of metadata; the last may be shorter. */
export const METADATA_PIECE = 16384;

export type MetadataMessage =
  | { readonly type: 'request'; readonly piece: number }
  | { readonly type: 'data'; readonly piece: number; readonly totalSize: number; readonly data: Buffer }
  | { readonly type: 'reject'; readonly piece: number };

const TYPES = ['request', 'data', 'reject'] as const;
const LIMITS = { depth: 4, tokens: 64 };
const MAX_PIECE = Math.ceil(MAX_INFO_SIZE / METADATA_PIECE) - 1;

export function encodeMetadataMessage(message: MetadataMessage): Buffer {
  const fields = { msg_type: TYPES.indexOf(message.type), piece: message.piece };
  if (message.type !== 'data') return encode(fields);
  return Buffer.concat([encode({ ...fields, total_size: message.totalSize }), message.data]);
}

/**
 * Undefined for a type that BEP 9 says to ignore. Throws 'bad-encoding', also when a piece is not as long as it must be.
 * `data` is a view of the payload.
 */
export function decodeMetadataMessage(payload: Uint8Array): MetadataMessage | undefined {
  const { value, end } = decodePrefix(payload, LIMITS);
  const fields = dictOf(value);
  const type = TYPES[intOf(fields.get('msg_type'))];
  if (type === undefined) return undefined;
  const piece = intOf(fields.get('piece'), 0, MAX_PIECE);
  const data = Buffer.from(payload.buffer, payload.byteOffset + end, payload.byteLength - end);
  if (type !== 'data') {
    if (data.length > 0) throw new PeerwireError('bad-encoding', `Bytes follow a metadata ${type}.`);
    return { type, piece };
  }
  const totalSize = intOf(fields.get('total_size'), 1, MAX_INFO_SIZE);
  if (data.length !== Math.max(0, Math.min(METADATA_PIECE, totalSize - piece * METADATA_PIECE)) || data.length === 0) {
    throw new PeerwireError('bad-encoding', `A piece of metadata cannot have ${data.length} bytes.`);
  }
  return { type, piece, totalSize, data };
}
