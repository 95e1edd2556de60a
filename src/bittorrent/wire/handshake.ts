/** The first bytes of a BitTorrent connection (BEP 3). */
import { PeerwireError } from '../../common/errors.ts';

/** Bytes of a handshake. */
export const HANDSHAKE_SIZE = 68;
/** Bytes of an infohash in it (version 2 truncates its own) and of a peer id. */
const WIRE_ID_SIZE = 20;

const PROTOCOL = Buffer.from('\x13BitTorrent protocol', 'latin1');
const RESERVED = PROTOCOL.length;
const INFO_HASH = RESERVED + 8;
const PEER_ID = INFO_HASH + WIRE_ID_SIZE;

/** Bits in the reserved bytes: BEP 10, BEP 6, BEP 52. */
const EXTENDED = { byte: RESERVED + 5, bit: 0x10 };
const FAST = { byte: RESERVED + 7, bit: 0x04 };
const V2 = { byte: RESERVED + 7, bit: 0x10 };

export interface Handshake {
  readonly infoHash: Buffer;
  readonly peerId: Buffer;
  /** Understands the extension protocol (BEP 10). */
  readonly extended: boolean;
  /** Understands the fast extension (BEP 6). */
  readonly fast: boolean;
  /** Claims version 2 (BEP 52). A claim only. */
  readonly v2: boolean;
}

/** Announces BEP 10, BEP 6 and BEP 52. Both ids are 20 bytes. */
export function encodeHandshake(ids: { readonly infoHash: Uint8Array; readonly peerId: Uint8Array }): Buffer {
  if (ids.infoHash.length !== WIRE_ID_SIZE || ids.peerId.length !== WIRE_ID_SIZE) {
    throw new RangeError(`An infohash and a peer id take ${WIRE_ID_SIZE} bytes each in a handshake`);
  }
  const bytes = Buffer.alloc(HANDSHAKE_SIZE);
  bytes.set(PROTOCOL, 0);
  for (const { byte, bit } of [EXTENDED, FAST, V2]) bytes.writeUInt8(bytes.readUInt8(byte) | bit, byte);
  bytes.set(ids.infoHash, INFO_HASH);
  bytes.set(ids.peerId, PEER_ID);
  return bytes;
}

/** Reads exactly HANDSHAKE_SIZE bytes; the result holds copies. Throws 'protocol'. */
export function decodeHandshake(bytes: Uint8Array): Handshake {
  const own = Buffer.from(bytes);
  if (own.length !== HANDSHAKE_SIZE || !own.subarray(0, PROTOCOL.length).equals(PROTOCOL)) {
    throw new PeerwireError('protocol', 'The peer does not speak the BitTorrent protocol.');
  }
  const has = ({ byte, bit }: { byte: number; bit: number }): boolean => (own.readUInt8(byte) & bit) !== 0;
  return {
    infoHash: own.subarray(INFO_HASH, PEER_ID),
    peerId: own.subarray(PEER_ID),
    extended: has(EXTENDED),
    fast: has(FAST),
    v2: has(V2),
  };
}
