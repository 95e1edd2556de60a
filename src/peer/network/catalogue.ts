import { createHash } from 'node:crypto';
import {
  type BDict,
  type BValue,
  bytesOf,
  decode,
  dictOf,
  type Encodable,
  encode,
  field,
  intOf,
  listOf,
  textOf,
} from '../../bittorrent/bencode.ts';
import { BencodeReader } from '../../bittorrent/bencode-reader.ts';
import { checkComponent } from '../../bittorrent/safe-path.ts';
import { PeerwireError } from '../../common/errors.ts';
import {
  base32Decode,
  type DeviceId,
  deviceIdBytes,
  deviceIdFromHash,
  type InfoHash,
  infoHashFromBytes,
  type NetworkId,
  networkIdFromBytes,
  type PeerInstance,
  parsePeerInstance,
  type ShareId,
  shareIdFromBytes,
} from '../../common/ids.ts';
import type { ShareKind } from '../api.ts';
import { type EntryLayout, type RawEntries, readEntries } from './section-entries.ts';

/**
 * A catalogue is what one peer (device and instance) offers. Since everything in it is forwarded by others, and part of
 * it may concern only some devices, it travels as *sections*: one for every member, and one for each set of devices
 * that shares are limited to. Each section is signed by itself, names its audience, and is forwarded to nobody else, so
 * a member outside a share's audience learns neither its name nor that it exists.
 *
 * Versions `(incarnation, sequence)` only grow: a run of a peer has a higher incarnation than those before it, and each
 * section it signs the next sequence. A section that lost its last entry stays, empty, so that the old one is gone everywhere.
 */

const VERSION = 1;
/** Bytes of a signed section; entries (shares and holds) in it. */
export const MAX_SECTION_SIZE = 4 * 1024 * 1024;
export const MAX_SECTION_ENTRIES = 50_000;
/** Devices that a share may be limited to. */
export const MAX_AUDIENCE = 256;
/** Bytes of UTF-8. */
export const MAX_DEVICE_NAME = 128;
export const MAX_SHARE_NAME = 255;
export const MAX_MESSAGE = 4096;
export const MAX_PATH = 4096;
export const MAX_CREDENTIALS = 4096;

/** Byte length of `H(audience)` in keys; all zero for the section that is for everyone. */
export const AUDIENCE_HASH_SIZE = 16;
const DECODE_LIMITS = { depth: 8, tokens: 40 * MAX_SECTION_ENTRIES };

/** One version of a share, as its owner signed it. */
export interface ShareEntry {
  readonly share: ShareId;
  readonly infohash: InfoHash;
  /** A safe path component, at most 255 bytes. */
  readonly name: string;
  readonly kind: ShareKind;
  /** Bytes. */
  readonly size: number;
  readonly files: number;
  readonly version: number;
  /** When this version was published, ms since the Unix epoch. */
  readonly time: number;
  /** At most 4096 bytes. */
  readonly message?: string;
  /** `/`-separated safe components, at most 4096 bytes. */
  readonly path?: string;
  /** Devices that may have it, besides the owner: every seeder enforces this. Absent: every member. */
  readonly to?: readonly DeviceId[];
}

/** Someone else's version of which this peer has pieces. */
export interface HoldEntry {
  readonly infohash: InfoHash;
  readonly share: ShareId;
  readonly owner: DeviceId;
  /** All pieces, or only some. */
  readonly complete: boolean;
  /** The share's own `to` plus its owner: who may learn that we hold it. Absent: every member. */
  readonly to?: readonly DeviceId[];
}

/** What is known of one peer's offers. */
export interface PeerCatalogue {
  readonly network: NetworkId;
  readonly device: DeviceId;
  readonly instance: PeerInstance;
  /** Device name chosen by its user. */
  readonly name: string;
  readonly shares: readonly ShareEntry[];
  readonly holds: readonly HoldEntry[];
  /** When its newest section was signed, ms since the Unix epoch. */
  readonly time: number;
}

export interface SectionVersion {
  readonly incarnation: number;
  readonly sequence: number;
}

/** One signed part of a peer's catalogue. `to` is absent in the section for everyone, else sorted and without the signer. */
export interface Section extends SectionVersion, PeerCatalogue {
  readonly to?: readonly DeviceId[];
}

/** Signs as a device; `Identity` does. */
export interface SectionSigner {
  readonly spki: Buffer;
  sign(data: Uint8Array): Buffer;
}

/** A section with the bytes in which it travels. */
export interface SignedSection {
  readonly section: Section;
  /** The signer's public key (91-byte SPKI), whose hash is `section.device`. */
  readonly spki: Buffer;
  /** Exactly what was signed: equal bodies are equal sections, whatever their signatures. */
  readonly body: Buffer;
  /** First 8 bytes of the body's SHA-256 in hex: tells two sections of one version apart. */
  readonly digest: string;
  /** The signer's proof of membership, for peers that never met it. */
  readonly credentials: Buffer;
  readonly bytes: Buffer;
}

const DOMAIN = Buffer.from('peerwire catalogue v1\0');
const KINDS: readonly ShareKind[] = ['file', 'folder', 'patch', 'snippet'];

/** Which section of a peer: lower-case hex of the audience's hash, empty for everyone's. */
export function audienceKey(to: readonly DeviceId[] | undefined): string {
  if (to === undefined) return '';
  const hash = createHash('sha256');
  for (const device of [...to].sort()) hash.update(deviceIdBytes(device));
  return hash.digest('hex').slice(0, 2 * AUDIENCE_HASH_SIZE);
}

export function compareVersions(a: SectionVersion, b: SectionVersion): number {
  return a.incarnation - b.incarnation || a.sequence - b.sequence;
}

/** True when `device` may receive the section. */
export function mayRead(section: Section, device: DeviceId): boolean {
  return section.to === undefined || section.device === device || section.to.includes(device);
}

/** Signs a section. Throws `usage` when it is larger than others accept. */
export function signSection(section: Section, signer: SectionSigner, credentials: Uint8Array): SignedSection {
  const body = encodeSection(section, signer.spki);
  const signature = signer.sign(Buffer.concat([DOMAIN, body]));
  const bytes = encodeEnvelope({ body, credentials, signature });
  if (bytes.length > MAX_SECTION_SIZE || section.shares.length + section.holds.length > MAX_SECTION_ENTRIES) {
    throw new PeerwireError('usage', 'Too much is shared at once: share fewer or larger folders.');
  }
  return { section, spki: signer.spki, body, digest: digestOf(body), credentials: Buffer.from(credentials), bytes };
}

/** What a section says, without when it was said: equal contents need no new version. */
export function sectionContent(section: Section): Buffer {
  return encodeSection({ ...section, incarnation: 0, sequence: 0, time: 0 }, Buffer.alloc(0));
}

/** The signature over the section, whose verification is the caller's: `verify(spki, data, signature)` must hold. */
export interface SectionProof {
  readonly data: Buffer;
  readonly signature: Buffer;
}

/**
 * Reads a section's bytes. The result is not to be believed before the proof and the credentials are verified: see
 * `CatalogueStore.offer`. Throws `bad-encoding` or `unsafe-path`.
 *
 * @param before what it may follow: entries whose bytes are the same are not read again, and are the same objects
 */
export function decodeSection(
  bytes: Uint8Array,
  before?: SignedSection,
): SignedSection & { readonly proof: SectionProof } {
  if (bytes.length > MAX_SECTION_SIZE) throw new PeerwireError('bad-encoding', 'A catalogue section is too large.');
  const own = Buffer.from(bytes);
  const { body, credentials, signature } = readEnvelope(own);
  const { section, spki } = decodeBody(body, before);
  const proof = { data: Buffer.concat([DOMAIN, body]), signature };
  return { section, spki, body, digest: digestOf(body), credentials, bytes: own, proof };
}

/** The parts of a section as it travels. */
export interface SectionEnvelope {
  readonly body: Uint8Array;
  readonly credentials: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

export function encodeEnvelope({ body, credentials, signature }: SectionEnvelope): Buffer {
  return encode({ body, credentials, signature });
}

/** Parts of `bytes` itself. Throws `bad-encoding`. */
export function readEnvelope(bytes: Buffer): { readonly [part in keyof SectionEnvelope]: Buffer } {
  const envelope = dictOf(decode(bytes, DECODE_LIMITS));
  if (envelope.size !== 3) throw new PeerwireError('bad-encoding', 'A catalogue section has unknown parts.');
  const body = bytesOf(envelope.get('body'));
  const credentials = bytesOf(envelope.get('credentials'));
  if (credentials.length > MAX_CREDENTIALS) throw new PeerwireError('bad-encoding', 'Credentials are too large.');
  return { body, credentials, signature: bytesOf(envelope.get('signature'), 64) };
}

function digestOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16);
}

/** Encoded entries: what is compared before it is signed, and signed again when a neighbor changed, is encoded once. */
const encodedEntries = new WeakMap<ShareEntry | HoldEntry, Buffer>();

/** As `encode` would encode the whole, entry by entry. */
function encodeSection(section: Section, spki: Uint8Array): Buffer {
  const { incarnation, sequence, name, time } = section;
  const network = Buffer.from(section.network, 'hex');
  const instance = Buffer.from(section.instance, 'hex');
  return Buffer.concat([
    Buffer.from('d5:holdsl'),
    ...section.holds.map((entry) => encodedOnce(entry, encodeHold)),
    Buffer.from('e'),
    fieldsOf({ incarnation, instance, name, network, sequence }),
    Buffer.from('6:sharesl'),
    ...section.shares.map((entry) => encodedOnce(entry, encodeShare)),
    Buffer.from('e'),
    fieldsOf({ spki, time, to: section.to?.map(deviceIdBytes), v: VERSION }),
    Buffer.from('e'),
  ]);
}

/** An encoded dictionary without its ends. */
function fieldsOf(fields: { readonly [key: string]: Encodable | undefined }): Buffer {
  return encode(fields).subarray(1, -1);
}

function encodedOnce<T extends ShareEntry | HoldEntry>(entry: T, encodeEntry: (entry: T) => Buffer): Buffer {
  const known = encodedEntries.get(entry);
  if (known !== undefined) return known;
  const bytes = encodeEntry(entry);
  encodedEntries.set(entry, bytes);
  return bytes;
}

function encodeShare(entry: ShareEntry): Buffer {
  return encode({
    share: shareIdBytes(entry.share),
    infohash: Buffer.from(entry.infohash, 'hex'),
    name: entry.name,
    kind: entry.kind,
    size: entry.size,
    files: entry.files,
    version: entry.version,
    time: entry.time,
    message: entry.message,
    path: entry.path,
  });
}

function encodeHold(entry: HoldEntry): Buffer {
  return encode({
    share: shareIdBytes(entry.share),
    infohash: Buffer.from(entry.infohash, 'hex'),
    owner: deviceIdBytes(entry.owner),
    complete: entry.complete ? 1 : 0,
  });
}

/** Where the entries of decoded sections stand in their bodies, for those that follow. */
const layouts = new WeakMap<Section, { readonly shares: EntryLayout; readonly holds: EntryLayout }>();

function decodeBody(body: Buffer, before: SignedSection | undefined): { section: Section; spki: Buffer } {
  const reader = new BencodeReader(body, DECODE_LIMITS);
  const known = before && layouts.get(before.section);
  const dict: BDict = new Map();
  let rawShares: RawEntries | undefined;
  let rawHolds: RawEntries | undefined;
  reader.openDict();
  for (let last: string | undefined; !reader.closeDict(); ) {
    last = reader.key(last);
    if (last === 'shares') rawShares = readEntries(reader, MAX_SECTION_ENTRIES, before?.body, known?.shares);
    else if (last === 'holds') rawHolds = readEntries(reader, MAX_SECTION_ENTRIES, before?.body, known?.holds);
    else dict.set(last, reader.value());
  }
  reader.end();
  if (rawShares === undefined || rawHolds === undefined) {
    throw new PeerwireError('bad-encoding', 'A catalogue section lists nothing.');
  }
  intOf(dict.get('v'), VERSION, VERSION);
  const spki = bytesOf(dict.get('spki'), 91);
  const device = deviceIdFromHash(createHash('sha256').update(spki).digest());
  const to = field(dict, 'to', (value) => readAudience(value, device));
  // Entries name their audience: those of another are read anew.
  if (before !== undefined && audienceKey(to) !== audienceKey(before.section.to)) return decodeBody(body, undefined);
  if (rawShares.items.length + rawHolds.items.length > MAX_SECTION_ENTRIES) {
    throw new PeerwireError('bad-encoding', 'A catalogue section has too many entries.');
  }
  const audience = to === undefined ? {} : { to };
  const shares = rawShares.items.map((item) =>
    item.same === undefined ? readShare(dictOf(item.value), audience) : known?.shares.shares?.[item.same],
  );
  const holds = rawHolds.items.map((item) =>
    item.same === undefined
      ? readHold(dictOf(item.value), audience)
      : (known?.holds.holds?.[item.same] ?? readHold(dictOf(item.value), audience)),
  );
  const section: Section = {
    network: networkIdFromBytes(bytesOf(dict.get('network'), 32)),
    device,
    instance: parsePeerInstance(bytesOf(dict.get('instance'), 8).toString('hex')),
    incarnation: intOf(dict.get('incarnation'), 0),
    sequence: intOf(dict.get('sequence'), 0),
    time: intOf(dict.get('time'), 0),
    name: readName(dict),
    ...audience,
    shares: shares.filter((entry) => entry !== undefined),
    holds,
  };
  requireUnique(section.shares.map((entry) => entry.share));
  requireUnique(section.holds.map((entry) => `${entry.owner}/${entry.share}/${entry.infohash}`));
  layouts.set(section, {
    shares: { ...rawShares.layout, shares },
    holds: { ...rawHolds.layout, holds },
  });
  return { section, spki };
}

function readAudience(value: BValue, signer: DeviceId): DeviceId[] {
  const devices = listOf(value).map((item) => deviceIdFromHash(bytesOf(item, 32)));
  const sorted = devices.every((device, i) => i === 0 || (devices[i - 1] ?? '') < device);
  if (devices.length > MAX_AUDIENCE || !sorted || devices.includes(signer)) {
    throw new PeerwireError('bad-encoding', 'The audience of a catalogue section is not in order.');
  }
  return devices;
}

function readName(dict: BDict): string {
  const name = textOf(dict.get('name'), MAX_DEVICE_NAME);
  if (name !== cleanDeviceName(name))
    throw new PeerwireError('bad-encoding', 'A device name has unprintable characters.');
  return name;
}

/** Throws `usage` or `unsafe-path` for an entry that others would refuse. */
export function checkShare(entry: ShareEntry): void {
  checkComponent(entry.name);
  for (const component of entry.path?.split('/') ?? []) checkComponent(component);
  const counts = [entry.size, entry.files, entry.time, entry.version - 1];
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0)) {
    throw new PeerwireError('usage', `“${entry.name}” has an impossible size, date or version.`);
  }
  if (Buffer.byteLength(entry.name) > MAX_SHARE_NAME || Buffer.byteLength(entry.path ?? '') > MAX_PATH) {
    throw new PeerwireError('usage', `The name or path of “${entry.name}” is too long to be shared.`);
  }
  if (Buffer.byteLength(entry.message ?? '') > MAX_MESSAGE) {
    throw new PeerwireError('usage', `The message is too long: at most ${MAX_MESSAGE} bytes.`);
  }
  checkAudience(entry.to);
}

/** Throws `usage`. */
export function checkHold(entry: HoldEntry): void {
  checkAudience(entry.to);
}

function checkAudience(to: readonly DeviceId[] | undefined): void {
  if (to !== undefined && to.length > MAX_AUDIENCE) {
    throw new PeerwireError('usage', `A share can be limited to at most ${MAX_AUDIENCE} devices.`);
  }
}

/** Undefined for kinds of share that a later version of this program may invent. */
function readShare(dict: BDict, audience: { to?: readonly DeviceId[] }): ShareEntry | undefined {
  const kindText = textOf(dict.get('kind'), 32);
  const kind = KINDS.find((known) => known === kindText);
  if (kind === undefined) return undefined;
  const name = textOf(dict.get('name'), MAX_SHARE_NAME);
  checkComponent(name);
  const path = field(dict, 'path', (value) => textOf(value, MAX_PATH));
  for (const component of path?.split('/') ?? []) checkComponent(component);
  const message = field(dict, 'message', (value) => textOf(value, MAX_MESSAGE));
  return {
    share: shareIdFromBytes(bytesOf(dict.get('share'), 16)),
    infohash: infoHashFromBytes(bytesOf(dict.get('infohash'), 32)),
    name,
    kind,
    size: intOf(dict.get('size'), 0),
    files: intOf(dict.get('files'), 0),
    version: intOf(dict.get('version'), 1),
    time: intOf(dict.get('time'), 0),
    ...(message === undefined ? {} : { message }),
    ...(path === undefined ? {} : { path }),
    ...audience,
  };
}

function readHold(dict: BDict, audience: { to?: readonly DeviceId[] }): HoldEntry {
  return {
    share: shareIdFromBytes(bytesOf(dict.get('share'), 16)),
    infohash: infoHashFromBytes(bytesOf(dict.get('infohash'), 32)),
    owner: deviceIdFromHash(bytesOf(dict.get('owner'), 32)),
    complete: intOf(dict.get('complete'), 0, 1) === 1,
    ...audience,
  };
}

function shareIdBytes(share: ShareId): Buffer {
  const bytes = base32Decode(share);
  if (bytes?.length !== 16) throw new PeerwireError('bad-encoding', 'A share id is 16 bytes long.');
  return bytes;
}

function requireUnique(keys: readonly string[]): void {
  if (new Set(keys).size !== keys.length) {
    throw new PeerwireError('bad-encoding', 'A catalogue section lists an entry twice.');
  }
}

/** A device name that others accept: printable, on one line, without invisible or direction-changing characters. */
export function cleanDeviceName(name: string): string {
  let clean = Buffer.from(name)
    .toString()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu, '')
    .trim();
  while (Buffer.byteLength(clean) > MAX_DEVICE_NAME) clean = [...clean].slice(0, -1).join('').trim();
  return clean === '' ? 'unnamed' : clean;
}
