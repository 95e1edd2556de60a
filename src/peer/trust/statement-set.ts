import {
  type BValue,
  bytesOf,
  decode,
  dictOf,
  type Encodable,
  encode,
  field,
  intOf,
  listOf,
} from '../../bittorrent/bencode.ts';
import { PeerwireError } from '../../common/errors.ts';
import { type DeviceId, deviceIdBytes, deviceIdFromHash } from '../../common/ids.ts';
import { type MemberCertificate, readMember } from './certificates.ts';
import { readSettings, type SignedSettings } from './network-settings.ts';
import { type Revocation, readRevocation } from './revocation.ts';
import { type Signed, signedFromBencode, signedToBencode } from './signed.ts';

/** Bytes of all statements of a network together. */
export const MAX_STATEMENTS = 512 * 1024;

/** Statements as they travel and are stored; nothing is verified. */
export interface StatementSet {
  readonly byRoot: readonly Revocation[];
  readonly byDevice: readonly { readonly device: DeviceId; readonly revocation: Revocation }[];
  /** `device` is undefined for the root key. */
  readonly settings: readonly { readonly device: DeviceId | undefined; readonly settings: SignedSettings }[];
  readonly certificates: readonly { readonly member: MemberCertificate; readonly signed: Signed }[];
}

/**
 * The root key's revocations come first and always fit. Should admins have said more than fits with them, the least of it is left
 * out that has to be, in an order that is the same for all.
 */
export function encodeStatements(set: StatementSet): Buffer {
  const settings = set.settings.map(({ device, settings: { signed } }) => ({ device, signed }));
  const fixed = {
    v: 1,
    r: set.byRoot.toSorted(byBody).map(({ signed }) => signedToBencode(signed)),
    ...listIfAny(
      'c',
      set.certificates.toSorted(byBody).map(({ signed }) => signedToBencode(signed)),
    ),
    ...listIfAny('s', settings.toSorted(byBody).map(encodeSigned)),
  };
  const others = set.byDevice.map(({ device, revocation: { signed } }) => ({ device, signed }));
  others.sort((a, b) => compareText(a.device, b.device) || byBody(a, b));
  let room = MAX_STATEMENTS - encode(fixed).length - 16;
  const fitting = others.filter(({ signed }) => {
    // Besides its body, each takes less than this.
    room -= signed.body.length + 128;
    return room >= 0;
  });
  return encode({ ...fixed, ...listIfAny('a', fitting.map(encodeSigned)) });
}

function encodeSigned({ device, signed }: { device: DeviceId | undefined; signed: Signed }): Encodable {
  return { ...signedToBencode(signed), ...(device === undefined ? {} : { d: deviceIdBytes(device) }) };
}

function listIfAny(key: string, list: readonly Encodable[]): { [key: string]: Encodable } {
  return list.length === 0 ? {} : { [key]: list };
}

function byBody(a: { readonly signed: Signed }, b: { readonly signed: Signed }): number {
  return Buffer.compare(a.signed.body, b.signed.body);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Throws `bad-encoding`. */
export function decodeStatements(bytes: Uint8Array): StatementSet {
  if (bytes.length > MAX_STATEMENTS) throw new PeerwireError('bad-encoding', 'Too many statements.');
  const dict = dictOf(decode(bytes));
  if (intOf(field(dict, 'v')) !== 1) throw new PeerwireError('bad-encoding', 'Statements of an unknown version.');
  const list = (key: string): readonly BValue[] => field(dict, key, (value) => listOf(value)) ?? [];
  return {
    byRoot: listOf(field(dict, 'r')).map((item) => readRevocation(signedFromBencode(dictOf(item)))),
    byDevice: list('a').map((item) => {
      const entry = dictOf(item);
      return { device: readDevice(field(entry, 'd')), revocation: readRevocation(signedFromBencode(entry)) };
    }),
    settings: list('s').map((item) => {
      const entry = dictOf(item);
      return { device: field(entry, 'd', readDevice), settings: readSettings(signedFromBencode(entry)) };
    }),
    certificates: list('c').map((item) => {
      const signed = signedFromBencode(dictOf(item));
      return { member: readMember(signed), signed };
    }),
  };
}

function readDevice(value: Parameters<typeof bytesOf>[0]): DeviceId {
  return deviceIdFromHash(bytesOf(value, 32));
}
