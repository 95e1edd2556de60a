import {
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
import { sha256 } from '../../bittorrent/merkle.ts';
import { PeerwireError } from '../../common/errors.ts';
import { type DeviceId, type NetworkId, networkIdFromBytes } from '../../common/ids.ts';
import { POINT_SIZE, pointOfSpki, spkiOfPoint } from '../../transport/identity.ts';
import { checkTrackerUrl } from '../../transport/tracker-url.ts';
import { decodeInviteProof, encodeInviteProof, type InviteProof } from './credentials.ts';
import { type InviteKey, loadInviteKey } from './invite-key.ts';
import { verifyInvite } from './judge.ts';
import { displayName } from './names.ts';

/** What admits a device to a network. All of it is secret: whoever has it may join until it expires. */
export interface Invite {
  readonly network: NetworkId;
  readonly networkName: string;
  /** SPKI of the network's root key, 91 bytes; `network` is its SHA-256. */
  readonly rootKey: Buffer;
  /** 32 bytes. */
  readonly secret: Buffer;
  readonly key: InviteKey;
  /** The certificate of the key. */
  readonly proof: InviteProof;
  readonly trackers: readonly string[];
  readonly inviter: DeviceId;
  /** May be empty. */
  readonly inviterName: string;
  /** Milliseconds since the Unix epoch. */
  readonly expires: number;
}

/** What an invite is made from: the rest follows from it. */
export type InviteParts = Pick<Invite, 'networkName' | 'rootKey' | 'secret' | 'key' | 'proof' | 'trackers'>;

export const SECRET_SIZE = 32;
export const MAX_TRACKERS = 16;
export const MAX_TRACKER_URL = 512;
const CHECKSUM_SIZE = 4;
const PREFIX = 'PW1-';
/** `vscode:` opens the extension; other editors have their own scheme, and we accept any. */
const LINK = 'vscode://peerwire.peerwire/join?code=';
/** Characters; far more than an invite with all its trackers needs. */
const MAX_TEXT = 32 * 1024;

/** A link that is also a code: its last part alone is accepted too. */
export function encodeInvite(invite: InviteParts): string {
  const payload = encode({
    v: 1,
    n: invite.networkName,
    r: pointOfSpki(invite.rootKey),
    s: invite.secret,
    k: invite.key.scalar,
    c: encodeInviteProof(invite.proof),
    t: [...invite.trackers] satisfies Encodable[],
  });
  return `${LINK}${PREFIX}${Buffer.concat([payload, checksum(payload)]).toString('base64url')}`;
}

/**
 * Accepts what people paste: the link with any editor's scheme, or the code, in quotes or brackets, with spaces and
 * line breaks that a mail program put in. Verifies checksum and signatures, not the date. Throws `invalid-invite`.
 */
export function parseInvite(text: string): Invite {
  const payload = payloadOf(codeOf(text));
  try {
    return readInvitePayload(payload);
  } catch (error) {
    if (error instanceof PeerwireError && error.code === 'invalid-invite') throw error;
    // No cause: errors of decoders could quote the invite.
    throw invalid('This invite is damaged or forged. Ask for a new one.');
  }
}

function codeOf(text: string): string {
  if (text.length > MAX_TEXT) throw invalid('This is too long to be an invite.');
  const compact = text.replaceAll(/[\s"'`<>“”‘’\u200b\ufeff]/g, '');
  if (compact === '') throw invalid('There is no invite here. Paste the whole link or code.');
  const link = /^[a-z][a-z0-9+.-]*:\/\/peerwire\.peerwire\/join\/?\?(.*)$/i.exec(compact);
  const code = link ? new URLSearchParams(link[1]).get('code') : compact;
  if (!code?.startsWith(PREFIX)) {
    if (code && /^PW\d+-/.test(code))
      throw invalid('This invite was made by a newer version of Peerwire. Update first.');
    throw invalid('This is not a Peerwire invite. Paste the whole link or the code that starts with PW1-.');
  }
  return code.slice(PREFIX.length);
}

function payloadOf(code: string): Buffer {
  const bytes = /^[A-Za-z0-9_-]+$/.test(code) ? Buffer.from(code, 'base64url') : Buffer.alloc(0);
  const payload = bytes.subarray(0, -CHECKSUM_SIZE);
  if (payload.length === 0 || !checksum(payload).equals(bytes.subarray(-CHECKSUM_SIZE))) {
    throw invalid('This invite is incomplete or mistyped. Copy it again, from its first to its last character.');
  }
  return payload;
}

function readInvitePayload(payload: Buffer): Invite {
  const dict = dictOf(decode(payload));
  if (intOf(field(dict, 'v')) !== 1)
    throw invalid('This invite was made by a newer version of Peerwire. Update first.');
  const rootKey = spkiOfPoint(bytesOf(field(dict, 'r'), POINT_SIZE));
  const network = networkIdFromBytes(sha256(rootKey));
  const proof = decodeInviteProof(field(dict, 'c'));
  verifyInvite(proof, { network, rootKey });
  const key = loadInviteKey(Buffer.from(bytesOf(field(dict, 'k'), 32)));
  if (!key.spki.equals(proof.invite.spki)) throw invalid('This invite is damaged: its key and its certificate differ.');
  const trackers = listOf(field(dict, 't'));
  if (trackers.length > MAX_TRACKERS) throw invalid('This invite names too many trackers.');
  return {
    network,
    networkName: displayName(textOf(field(dict, 'n'))),
    rootKey,
    secret: Buffer.from(bytesOf(field(dict, 's'), SECRET_SIZE)),
    key,
    proof,
    trackers: trackers.map((url) => checkTrackerUrl(textOf(url, MAX_TRACKER_URL)).href),
    inviter: proof.invite.inviter,
    inviterName: displayName(proof.invite.inviterName),
    expires: proof.invite.expires,
  };
}

function checksum(payload: Uint8Array): Buffer {
  return sha256(payload).subarray(0, CHECKSUM_SIZE);
}

function invalid(message: string): PeerwireError {
  return new PeerwireError('invalid-invite', message);
}
