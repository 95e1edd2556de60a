import type { BValue, Encodable } from '../bencode.ts';

/** Payload of the extended message with id 0 (BEP 10). */
export interface ExtendedHandshake<Extra = BValue> {
  readonly m: Readonly<Record<string, number>>;
  readonly p?: number;
  readonly v?: string;
  readonly reqq?: number;
  readonly metadata_size?: number;
  /** All other top-level fields. */
  readonly extra?: ReadonlyMap<string, Extra>;
}
const later = (): never => {
  throw new Error('not written yet');
};
export const encodeExtendedHandshake: (handshake: ExtendedHandshake<Encodable>) => Buffer = later;
export const decodeExtendedHandshake: (payload: Uint8Array) => ExtendedHandshake = later;
