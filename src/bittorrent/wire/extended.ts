/** The handshake of the extension protocol (BEP 10): payload of the extended message with id 0. */
import { PeerwireError } from '../../common/errors.ts';
import { type BValue, decode, dictOf, type Encodable, encode, field, intOf, textOf } from '../bencode.ts';

/** Bytes of a handshake that is read at all. */
const MAX_EXTENDED_HANDSHAKE = 64 * 1024;
const LIMITS = { depth: 8, tokens: 4096 };
const MAX_VERSION_BYTES = 256;
const MAX_EXTENSIONS = 256;

/** `Extra`: what the fields hold that are not listed here. */
export interface ExtendedHandshake<Extra = BValue> {
  /** Message id by extension name, as the sender wants to receive it; 0 disables. */
  readonly m: Readonly<Record<string, number>>;
  /** Port on which the sender listens. */
  readonly p?: number;
  /** Client name and version. */
  readonly v?: string;
  /** Outstanding requests that the sender keeps. */
  readonly reqq?: number;
  /** Bytes of the info dictionary (BEP 9). */
  readonly metadata_size?: number;
  /** Bytes of the largest block that the sender serves in one go (PROTOCOL.md §1); a standard peer says nothing. */
  readonly pw_block?: number;
  /** 1: the sender serves runs of small pieces (PROTOCOL.md §2). */
  readonly pw_run?: number;
  /** All other top-level fields, by ASCII name. */
  readonly extra?: ReadonlyMap<string, Extra>;
}

const KNOWN = ['m', 'p', 'v', 'reqq', 'metadata_size', 'pw_block', 'pw_run'] as const;

export function encodeExtendedHandshake(handshake: ExtendedHandshake<Encodable>): Buffer {
  const fields = new Map<string, Encodable>(handshake.extra ?? []);
  for (const key of KNOWN) {
    const value = handshake[key];
    if (value !== undefined) fields.set(key, value);
  }
  return encode(fields);
}

/** Throws 'bad-encoding'. `m` may be absent: a later handshake may change other fields alone. */
export function decodeExtendedHandshake(payload: Uint8Array): ExtendedHandshake {
  if (payload.length > MAX_EXTENDED_HANDSHAKE) {
    throw new PeerwireError('bad-encoding', `An extended handshake of ${payload.length} bytes is too long.`);
  }
  const fields = dictOf(decode(payload, LIMITS));
  const p = field(fields, 'p', (value) => intOf(value, 0, 65535));
  const v = field(fields, 'v', (value) => textOf(value, MAX_VERSION_BYTES));
  const reqq = field(fields, 'reqq', (value) => intOf(value, 0));
  const metadataSize = field(fields, 'metadata_size', (value) => intOf(value, 0));
  const largestBlock = field(fields, 'pw_block', (value) => intOf(value, 0));
  const runs = field(fields, 'pw_run', (value) => intOf(value, 0));
  const m = field(fields, 'm', readExtensions) ?? {};
  const extra = new Map(fields);
  for (const key of KNOWN) extra.delete(key);
  return {
    m,
    ...(p === undefined ? {} : { p }),
    ...(v === undefined ? {} : { v }),
    ...(reqq === undefined ? {} : { reqq }),
    ...(metadataSize === undefined ? {} : { metadata_size: metadataSize }),
    ...(largestBlock === undefined ? {} : { pw_block: largestBlock }),
    ...(runs === undefined ? {} : { pw_run: runs }),
    ...(extra.size === 0 ? {} : { extra }),
  };
}

function readExtensions(value: BValue): Record<string, number> {
  const entries = [...dictOf(value)];
  if (entries.length > MAX_EXTENSIONS) throw new PeerwireError('bad-encoding', 'Too many extensions.');
  // fromEntries defines properties, so that a name like `__proto__` stays a name.
  return Object.fromEntries(entries.map(([name, id]) => [name, intOf(id, 0, 255)]));
}
