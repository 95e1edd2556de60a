import { PeerwireError } from './errors.ts';

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** SHA-256 of a device's 91-byte SPKI, as 52 characters of unpadded upper-case base32. */
export type DeviceId = Brand<string, 'DeviceId'>;
/** SHA-256 of a network's root public key (91-byte SPKI), as 64 hex digits. */
export type NetworkId = Brand<string, 'NetworkId'>;
/** BitTorrent v2 infohash (SHA-256 of the raw info dictionary), as 64 hex digits. */
export type InfoHash = Brand<string, 'InfoHash'>;
/** Stable name of a share over all its versions: 16 random bytes as 26 characters of lower-case base32. */
export type ShareId = Brand<string, 'ShareId'>;
/** One running peer of a device (an editor window, a CLI home): 8 random bytes as 16 hex digits, kept across restarts. */
export type PeerInstance = Brand<string, 'PeerInstance'>;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648 base32, upper case, without padding. */
export function base32Encode(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((value >>> bits) & 31);
      value &= (1 << bits) - 1;
    }
  }
  if (bits > 0) text += ALPHABET.charAt((value << (5 - bits)) & 31);
  return text;
}

/** Reads unpadded base32 of either case; undefined when a character or the trailing bits are wrong. */
export function base32Decode(text: string): Buffer | undefined {
  const bytes = Buffer.alloc(Math.floor((text.length * 5) / 8));
  let bits = 0;
  let value = 0;
  let used = 0;
  for (const character of text.toUpperCase()) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return undefined;
    value = (value << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[used++] = value >>> bits;
      value &= (1 << bits) - 1;
    }
  }
  return value === 0 && bits < 5 ? bytes : undefined;
}

export function deviceIdFromHash(hash: Uint8Array): DeviceId {
  if (hash.length !== 32) throw new PeerwireError('bad-encoding', 'A device id is 32 bytes long.');
  return base32Encode(hash) as DeviceId;
}

export function parseDeviceId(text: string): DeviceId {
  const compact = text.replaceAll(/[\s-]/g, '').toUpperCase();
  if (base32Decode(compact)?.length !== 32) {
    throw new PeerwireError('bad-encoding', `“${text}” is not a device id: expected 52 letters and digits.`);
  }
  return compact as DeviceId;
}

/** The id that a text is, or undefined. */
export function deviceIdIn(text: string): DeviceId | undefined {
  try {
    return parseDeviceId(text);
  } catch {
    return undefined;
  }
}

export function deviceIdBytes(id: DeviceId): Buffer {
  const bytes = base32Decode(id);
  if (bytes?.length !== 32) throw new PeerwireError('bad-encoding', 'A device id is 32 bytes long.');
  return bytes;
}

/** A device id for people: groups of four characters. */
export function formatDeviceId(id: DeviceId): string {
  return id.match(/.{1,4}/g)?.join('-') ?? id;
}

function hexId(kind: string, length: number) {
  const pattern = new RegExp(`^[0-9a-f]{${length * 2}}$`);
  return (text: string): string => {
    if (!pattern.test(text)) throw new PeerwireError('bad-encoding', `A ${kind} is ${length} bytes in lower-case hex.`);
    return text;
  };
}

const parseHash32 = hexId('hash', 32);
const parseHex8 = hexId('peer instance', 8);

export const parseNetworkId = (text: string): NetworkId => parseHash32(text) as NetworkId;
export const parseInfoHash = (text: string): InfoHash => parseHash32(text) as InfoHash;
export const parsePeerInstance = (text: string): PeerInstance => parseHex8(text) as PeerInstance;

export function infoHashFromBytes(bytes: Uint8Array): InfoHash {
  return parseInfoHash(Buffer.from(bytes).toString('hex'));
}

export function networkIdFromBytes(bytes: Uint8Array): NetworkId {
  return parseNetworkId(Buffer.from(bytes).toString('hex'));
}

export function shareIdFromBytes(bytes: Uint8Array): ShareId {
  if (bytes.length !== 16) throw new PeerwireError('bad-encoding', 'A share id is 16 bytes long.');
  return base32Encode(bytes).toLowerCase() as ShareId;
}

export function parseShareId(text: string): ShareId {
  if (!/^[a-z2-7]{26}$/.test(text) || base32Decode(text)?.length !== 16) {
    throw new PeerwireError('bad-encoding', 'A share id is 26 characters of base32.');
  }
  return text as ShareId;
}

/** Names a version in a network. */
export function versionKey({
  network,
  infohash,
}: {
  readonly network: NetworkId;
  readonly infohash: InfoHash;
}): string {
  return `${network}/${infohash}`;
}
