import { sha256 } from '../../bittorrent/merkle.ts';
import { PeerwireError } from '../../common/errors.ts';
import { type NetworkId, networkIdFromBytes, parseDeviceId } from '../../common/ids.ts';
import { checkSpki } from '../../transport/identity.ts';
import type { Heard } from './heard-statements.ts';
import { SECRET_SIZE } from './invite.ts';
import type { KnownInvite } from './known-invites.ts';
import type { Met } from './met-members.ts';

/** All that a device must keep of its membership. Secret as a whole. */
export interface TrustState {
  readonly network: NetworkId;
  readonly name: string;
  readonly rootKey: Buffer;
  readonly secret: Buffer;
  /** PKCS #8 in PEM; on the creator's device only. */
  readonly rootPrivateKey: string | undefined;
  readonly trackers: readonly string[];
  readonly credentials: Buffer;
  readonly revocations: Buffer;
  readonly met: readonly Met[];
  /** Absent in what earlier versions stored. */
  readonly invites: readonly KnownInvite[];
  /** On the creator's device only; absent in what earlier versions stored. */
  readonly heard?: readonly Heard[];
}

const VERSION = 1;

export function serializeTrust(state: TrustState): string {
  return JSON.stringify({
    v: VERSION,
    name: state.name,
    rootKey: state.rootKey.toString('base64'),
    secret: state.secret.toString('base64'),
    rootPrivateKey: state.rootPrivateKey,
    trackers: state.trackers,
    credentials: state.credentials.toString('base64'),
    revocations: state.revocations.toString('base64'),
    met: state.met.map(({ device, invite, date }) => [device, invite, date]),
    invites: state.invites,
    ...(state.heard && { heard: state.heard.map(({ by, about, date, since }) => [by, about, date, since]) }),
  });
}

/** Throws `corrupt`, without quoting anything of the text. */
export function parseTrust(text: string): TrustState {
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields !== 'object' || fields === null) throw new TypeError('not an object');
    return readFields(new Map<string, unknown>(Object.entries(fields)));
  } catch {
    throw new PeerwireError('corrupt', 'The stored membership of a network cannot be read; join it again.');
  }
}

function readFields(fields: ReadonlyMap<string, unknown>): TrustState {
  if (fields.get('v') !== VERSION) throw new TypeError('version');
  const rootKey = bytes(fields.get('rootKey'));
  checkSpki(rootKey);
  const secret = bytes(fields.get('secret'));
  if (secret.length !== SECRET_SIZE) throw new TypeError('secret');
  const rootPrivateKey = fields.get('rootPrivateKey');
  return {
    network: networkIdFromBytes(sha256(rootKey)),
    name: text(fields.get('name')),
    rootKey,
    secret,
    rootPrivateKey: rootPrivateKey === undefined ? undefined : text(rootPrivateKey),
    trackers: list(fields.get('trackers')).map(text),
    credentials: bytes(fields.get('credentials')),
    revocations: bytes(fields.get('revocations')),
    met: list(fields.get('met')).map(met),
    invites: list(fields.get('invites') ?? []).map(invite),
    heard: list(fields.get('heard') ?? []).map(heard),
  };
}

function met(value: unknown): Met {
  const [device, invite, date] = list(value);
  if (typeof date !== 'number') throw new TypeError('date');
  return { device: parseDeviceId(text(device)), invite: text(invite), date };
}

function heard(value: unknown): Heard {
  const [by, about, date, since] = list(value);
  return { by: parseDeviceId(text(by)), about: text(about), date: number(date), since: number(since) };
}

function invite(value: unknown): KnownInvite {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an invite');
  const fields = new Map<string, unknown>(Object.entries(value));
  const code = fields.get('text');
  return {
    id: text(fields.get('id')),
    created: number(fields.get('created')),
    expires: number(fields.get('expires')),
    inviter: parseDeviceId(text(fields.get('inviter'))),
    inviterName: text(fields.get('inviterName')),
    ...(code === undefined ? {} : { text: text(code) }),
  };
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError('not a number');
  return value;
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('not a list');
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a text');
  return value;
}

function bytes(value: unknown): Buffer {
  return Buffer.from(text(value), 'base64');
}
