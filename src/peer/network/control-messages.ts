import { type BDict, bytesOf, decode, dictOf, encode, field, intOf, textOf } from '../../bittorrent/bencode.ts';
import { PeerwireError } from '../../common/errors.ts';
import {
  type DeviceId,
  deviceIdBytes,
  deviceIdFromHash,
  type InfoHash,
  infoHashFromBytes,
  type PeerInstance,
  parsePeerInstance,
} from '../../common/ids.ts';
import { MAX_STATEMENTS } from '../trust/statement-set.ts';
import { AUDIENCE_HASH_SIZE, MAX_SECTION_SIZE, type SectionVersion } from './catalogue.ts';

/**
 * Extension messages (BEP 10) of a control connection, besides `ut_pex`. Each payload is one bencoded dictionary whose
 * `t` says which message it is; what is longer than a frame travels in parts, in order, one thing after another.
 *
 *   pw_catalogue   heads {rows}                 the sections that I have, in their versions
 *                  want {rows, bases}           send me these; what I have of each (8 zero bytes: nothing)
 *                  part {row, size, at, data}   bytes [at, at + data) of a section of `size` bytes
 *   pw_delta       delta {row, base, size, at, data}   bytes of what leads from the version with the digest `base` to this one
 *   pw_membership  head {head}                  names the set of revocations that I know
 *                  part {head, size, at, data}  … and these are its bytes
 *   pw_connect     dial {infohash}              please dial me for this swarm: I cannot dial you
 *                  back {id}                    please dial me, and say whether you could: see dial-back.ts
 *                  backed {id, outcome}
 *   pw_relay       see relay/relay-messages.ts
 *   pw_ping        ping                         are you there?
 *                  pong                         I am
 */
export const EXTENSIONS = {
  pw_catalogue: 1,
  pw_membership: 2,
  pw_connect: 3,
  ut_pex: 4,
  pw_relay: 5,
  pw_delta: 6,
  pw_ping: 9,
} as const;
export type ControlExtension = keyof typeof EXTENSIONS;

/** Bytes of one message on a control connection. */
export const MAX_FRAME = 64 * 1024;
/** Bytes of data in one part. */
export const PART_SIZE = 48 * 1024;
export const MAX_REVOCATIONS_SIZE = MAX_STATEMENTS;

const DEVICE = 32;
const INSTANCE = 8;
const DIGEST = 8;
const KEY_ROW = DEVICE + INSTANCE + AUDIENCE_HASH_SIZE;
const HEAD_ROW = KEY_ROW + 8 + 8 + DIGEST;
/** Rows of one message. */
export const MAX_ROWS = 800;
const LIMITS = { depth: 3, tokens: 32 };
/** In place of a digest: the asker has no version, or wants the whole. */
const NO_BASE = '00'.repeat(DIGEST);

/** Names a section on the wire: `audience` as `audienceKey` gives it. */
export interface SectionName {
  readonly device: DeviceId;
  readonly instance: PeerInstance;
  readonly audience: string;
}

export interface SectionHead extends SectionName, SectionVersion {
  /** 8 bytes in hex of the hash of what was signed. */
  readonly digest: string;
}

/** A section that is asked for. `base`: digest of the version that the asker has, from which a delta may lead. */
export interface Wanted extends SectionName {
  readonly base?: string | undefined;
}

export type CatalogueMessage =
  | { readonly type: 'heads'; readonly heads: readonly SectionHead[] }
  | { readonly type: 'want'; readonly names: readonly Wanted[] }
  | ({ readonly type: 'delta'; readonly head: SectionHead; readonly base: string } & Part)
  | ({ readonly type: 'part'; readonly name: SectionName } & Part);

export type MembershipMessage =
  | { readonly type: 'head'; readonly head: string }
  | ({ readonly type: 'part'; readonly head: string } & Part);

export interface Part {
  /** Bytes of the whole. */
  readonly size: number;
  /** Offset of `data` in it. */
  readonly at: number;
  readonly data: Buffer;
}

export function encodeCatalogueMessage(message: CatalogueMessage): Buffer {
  switch (message.type) {
    case 'heads':
      return encode({ t: 'heads', rows: Buffer.concat(message.heads.map(headRow)) });
    case 'want':
      return encode({
        t: 'want',
        rows: Buffer.concat(message.names.map(nameRow)),
        bases: Buffer.concat(message.names.map(({ base = NO_BASE }) => Buffer.from(base, 'hex'))),
      });
    case 'delta':
      return encode({
        t: 'delta',
        row: headRow(message.head),
        base: Buffer.from(message.base, 'hex'),
        ...{ size: message.size, at: message.at, data: message.data },
      });
    case 'part':
      return encode({ t: 'part', row: nameRow(message.name), size: message.size, at: message.at, data: message.data });
  }
}

/** Undefined for types of message that a later version may have. Throws `bad-encoding`. */
export function decodeCatalogueMessage(payload: Uint8Array): CatalogueMessage | undefined {
  const dict = dictOf(decode(payload, LIMITS));
  switch (textOf(dict.get('t'), 16)) {
    case 'heads':
      return { type: 'heads', heads: rowsOf(dict, HEAD_ROW).map(readHead) };
    case 'want':
      return { type: 'want', names: readWanted(dict) };
    case 'delta':
      return {
        type: 'delta',
        head: readHead(bytesOf(dict.get('row'), HEAD_ROW)),
        base: bytesOf(dict.get('base'), DIGEST).toString('hex'),
        ...readPart(dict, MAX_SECTION_SIZE),
      };
    case 'part':
      return { type: 'part', name: readName(bytesOf(dict.get('row'), KEY_ROW)), ...readPart(dict, MAX_SECTION_SIZE) };
    default:
      return undefined;
  }
}

export function encodeMembershipMessage(message: MembershipMessage): Buffer {
  switch (message.type) {
    case 'head':
      return encode({ t: 'head', head: message.head });
    case 'part':
      return encode({ t: 'part', head: message.head, size: message.size, at: message.at, data: message.data });
  }
}

/** Undefined for types of message that a later version may have. Throws `bad-encoding`. */
export function decodeMembershipMessage(payload: Uint8Array): MembershipMessage | undefined {
  const dict = dictOf(decode(payload, LIMITS));
  switch (textOf(dict.get('t'), 16)) {
    case 'head':
      return { type: 'head', head: readHeadText(dict) };
    case 'part':
      return { type: 'part', head: readHeadText(dict), ...readPart(dict, MAX_REVOCATIONS_SIZE) };
    default:
      return undefined;
  }
}

/**
 * Of an attempt to dial back: `dropped`: nobody answered, as behind a firewall; `refused`: the connection was; `other`: somebody
 * else was there; `busy`: it was not tried.
 */
export const DIAL_BACK_OUTCOMES = ['ok', 'dropped', 'refused', 'other', 'busy'] as const;
export type DialBackOutcome = (typeof DIAL_BACK_OUTCOMES)[number];

export type ConnectMessage =
  | { readonly type: 'dial'; readonly infohash: InfoHash }
  | { readonly type: 'back'; readonly id: number }
  | { readonly type: 'backed'; readonly id: number; readonly outcome: DialBackOutcome };

export function encodeConnectMessage(message: ConnectMessage): Buffer {
  switch (message.type) {
    case 'dial':
      return encode({ t: 'dial', infohash: Buffer.from(message.infohash, 'hex') });
    case 'back':
      return encode({ t: 'back', id: message.id });
    case 'backed':
      return encode({ t: 'backed', id: message.id, outcome: message.outcome });
  }
}

/** Undefined for types of message that a later version may have. Throws `bad-encoding`. */
export function decodeConnectMessage(payload: Uint8Array): ConnectMessage | undefined {
  const dict = dictOf(decode(payload, LIMITS));
  switch (textOf(dict.get('t'), 16)) {
    case 'dial':
      return { type: 'dial', infohash: infoHashFromBytes(bytesOf(dict.get('infohash'), 32)) };
    case 'back':
      return { type: 'back', id: intOf(dict.get('id'), 0) };
    case 'backed': {
      const text = textOf(dict.get('outcome'), 16);
      const outcome = DIAL_BACK_OUTCOMES.find((known) => known === text) ?? 'other';
      return { type: 'backed', id: intOf(dict.get('id'), 0), outcome };
    }
    default:
      return undefined;
  }
}

export type PingMessage = 'ping' | 'pong';

export function encodePingMessage(message: PingMessage): Buffer {
  return encode({ t: message });
}

/** Undefined for types of message that a later version may have. Throws `bad-encoding`. */
export function decodePingMessage(payload: Uint8Array): PingMessage | undefined {
  const type = textOf(dictOf(decode(payload, LIMITS)).get('t'), 16);
  return type === 'ping' || type === 'pong' ? type : undefined;
}

/** Cuts bytes into parts that fit into a frame. */
export function* partsOf(bytes: Buffer): Generator<Part> {
  for (let at = 0; at === 0 || at < bytes.length; at += PART_SIZE) {
    yield { size: bytes.length, at, data: bytes.subarray(at, at + PART_SIZE) };
  }
}

/** Puts parts together again. Takes no more memory than has arrived. */
export class PartCollector {
  #size = 0;
  #received = 0;
  #chunks: Buffer[] = [];

  /** Returns the whole when this was its last part. A part at 0 starts anew. Throws `protocol` for one out of place. */
  add(part: Part): Buffer | undefined {
    if (part.at === 0) {
      this.#size = part.size;
      this.#received = 0;
      this.#chunks = [];
    }
    if (part.at !== this.#received || part.size !== this.#size || this.#received + part.data.length > this.#size) {
      throw new PeerwireError('protocol', 'A part arrived out of place.');
    }
    this.#chunks.push(part.data);
    this.#received += part.data.length;
    if (this.#received < this.#size) {
      if (part.data.length === 0) throw new PeerwireError('protocol', 'A part is empty.');
      return undefined;
    }
    const whole = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#received = 0;
    this.#size = 0;
    return whole;
  }
}

function readHeadText(dict: BDict): string {
  return textOf(dict.get('head'), 128);
}

function readPart(dict: BDict, limit: number): Part {
  const size = intOf(dict.get('size'), 0, limit);
  return { size, at: intOf(dict.get('at'), 0, size), data: bytesOf(dict.get('data')) };
}

function rowsOf(dict: BDict, length: number): Buffer[] {
  const bytes = bytesOf(dict.get('rows'));
  if (bytes.length % length !== 0 || bytes.length > MAX_ROWS * length) {
    throw new PeerwireError('bad-encoding', 'A list of catalogue sections has a wrong length.');
  }
  return Array.from({ length: bytes.length / length }, (_, i) => bytes.subarray(i * length, (i + 1) * length));
}

function nameRow(name: SectionName): Buffer {
  const audience = name.audience === '' ? Buffer.alloc(AUDIENCE_HASH_SIZE) : Buffer.from(name.audience, 'hex');
  return Buffer.concat([deviceIdBytes(name.device), Buffer.from(name.instance, 'hex'), audience]);
}

function readName(row: Buffer): SectionName {
  const audience = row.subarray(DEVICE + INSTANCE, KEY_ROW);
  return {
    device: deviceIdFromHash(row.subarray(0, DEVICE)),
    instance: parsePeerInstance(row.subarray(DEVICE, DEVICE + INSTANCE).toString('hex')),
    audience: audience.every((byte) => byte === 0) ? '' : audience.toString('hex'),
  };
}

/** `bases` that are not one for each row say nothing. */
function readWanted(dict: BDict): Wanted[] {
  const names = rowsOf(dict, KEY_ROW).map(readName);
  const bases = field(dict, 'bases', bytesOf);
  if (bases?.length !== names.length * DIGEST) return names;
  return names.map((name, i) => {
    const base = bases.toString('hex', i * DIGEST, (i + 1) * DIGEST);
    return base === NO_BASE ? name : { ...name, base };
  });
}

function headRow(head: SectionHead): Buffer {
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64BE(BigInt(head.incarnation), 0);
  numbers.writeBigUInt64BE(BigInt(head.sequence), 8);
  return Buffer.concat([nameRow(head), numbers, Buffer.from(head.digest, 'hex')]);
}

function readHead(row: Buffer): SectionHead {
  const incarnation = Number(row.readBigUInt64BE(KEY_ROW));
  const sequence = Number(row.readBigUInt64BE(KEY_ROW + 8));
  if (!Number.isSafeInteger(incarnation) || !Number.isSafeInteger(sequence)) {
    throw new PeerwireError('bad-encoding', 'A catalogue version is out of range.');
  }
  return { ...readName(row), incarnation, sequence, digest: row.subarray(KEY_ROW + 16).toString('hex') };
}
