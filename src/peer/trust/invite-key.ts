import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { PeerwireError } from '../../common/errors.ts';
import { spkiOf } from '../../transport/identity.ts';
import type { Sign } from './signed.ts';

/** PKCS #8 of a P-256 key without its public half (RFC 5915), up to the scalar. */
const PKCS8_PREFIX = Buffer.from('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420', 'hex');
const SCALAR_SIZE = 32;

/** A key pair that travels inside an invite, as its private scalar of 32 bytes. */
export interface InviteKey {
  readonly scalar: Buffer;
  readonly spki: Buffer;
  readonly sign: Sign;
}

export function createInviteKey(): InviteKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { d = '' } = privateKey.export({ format: 'jwk' });
  return inviteKeyOf(privateKey, Buffer.from(d, 'base64url'));
}

/** Throws `invalid-invite`. */
export function loadInviteKey(scalar: Buffer): InviteKey {
  try {
    if (scalar.length !== SCALAR_SIZE) throw new RangeError('scalar length');
    const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, scalar]), format: 'der', type: 'pkcs8' });
    return inviteKeyOf(key, scalar);
  } catch {
    // No cause: it could quote the key.
    throw new PeerwireError('invalid-invite', 'This invite is damaged: its key is not a key.');
  }
}

function inviteKeyOf(key: KeyObject, scalar: Buffer): InviteKey {
  return {
    scalar,
    spki: spkiOf(createPublicKey(key)),
    sign: (data) => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
  };
}
