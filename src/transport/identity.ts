import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { PeerwireError } from '../common/errors.ts';
import { type DeviceId, deviceIdFromHash } from '../common/ids.ts';
import { createCertificate } from './certificate.ts';

/** Length in bytes of the only public key encoding we accept: DER SPKI of an uncompressed P-256 point. */
export const SPKI_SIZE = 91;
/** Length in bytes of a public key without the constant prefix of its SPKI: x and y. */
export const POINT_SIZE = 64;
/** Length in bytes of a signature: r and s of ECDSA P-256 (IEEE P1363). */
export const SIGNATURE_SIZE = 64;

/** SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING (0 unused bits) 04 … } (RFC 5480). */
const SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');

/** The key of a device. `keyPem` is a secret: it belongs into the secret store, never into logs, errors or arguments. */
export interface Identity {
  readonly device: DeviceId;
  /** 91 bytes. */
  readonly spki: Buffer;
  readonly keyPem: string;
  readonly certPem: string;
  /** ECDSA P-256 with SHA-256, 64 bytes (IEEE P1363). */
  sign(data: Uint8Array): Buffer;
}

export function createIdentity(): Identity {
  return identityOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

/** Reads a PKCS #8 key written by `createIdentity`. Throws `bad-encoding`, without quoting the text. */
export function loadIdentity(keyPem: string): Identity {
  let key: KeyObject;
  try {
    key = createPrivateKey(keyPem);
  } catch {
    // No cause: the message of OpenSSL could quote the input, which is a secret.
    throw new PeerwireError('bad-encoding', 'The stored device key cannot be read.');
  }
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new PeerwireError('bad-encoding', 'The stored device key is not a P-256 key.');
  }
  return identityOf(key);
}

function identityOf(key: KeyObject): Identity {
  const spki = spkiOf(createPublicKey(key));
  const signWith = (data: Uint8Array): Buffer => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
  return {
    device: deviceIdOfSpki(spki),
    spki,
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certPem: createCertificate(key, spki),
    sign: signWith,
  };
}

/** The checked SPKI of a public key. Throws `protocol` for any key or encoding but ours. */
export function spkiOf(key: KeyObject): Buffer {
  const spki = key.export({ type: 'spki', format: 'der' });
  checkSpki(spki);
  return spki;
}

/**
 * One key must have one id: TLS also accepts the same point compressed, whose SPKI hashes to a second id, and a
 * revocation of the first would not reach it.
 */
export function checkSpki(spki: Uint8Array): void {
  if (spki.length !== SPKI_SIZE || !SPKI_PREFIX.equals(spki.subarray(0, SPKI_PREFIX.length))) {
    throw new PeerwireError('protocol', 'The public key is not an uncompressed P-256 key.');
  }
}

/** The key's 64 bytes that differ between devices; formats carry these, so that a second encoding cannot exist. */
export function pointOfSpki(spki: Uint8Array): Buffer {
  checkSpki(spki);
  return Buffer.from(spki.subarray(SPKI_PREFIX.length));
}

export function spkiOfPoint(point: Uint8Array): Buffer {
  if (point.length !== POINT_SIZE) throw new PeerwireError('bad-encoding', 'A public key is 64 bytes long.');
  return Buffer.concat([SPKI_PREFIX, point]);
}

export function deviceIdOfSpki(spki: Uint8Array): DeviceId {
  checkSpki(spki);
  return deviceIdFromHash(createHash('sha256').update(spki).digest());
}

const CACHE_SIZE = 512;
const publicKeys = new Map<string, KeyObject>();
/** Bytes of what is remembered to be signed: memberships come again with every connection and catalogue of a member. */
const REMEMBERED_SIZE = 4096;
const MAX_REMEMBERED = 8192;
const verified = new Set<string>();

/** False for a wrong signature and for a key that is not a point of the curve; throws nothing. */
export function verifySignature(spki: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_SIZE || spki.length !== SPKI_SIZE) return false;
  if (data.length > REMEMBERED_SIZE) return verifyAnew(spki, data, signature);
  // Key and signature have one length, so that nothing else hashes to this.
  const name = createHash('sha256').update(spki).update(signature).update(data).digest('base64');
  if (verified.has(name)) return true;
  if (!verifyAnew(spki, data, signature)) return false;
  const oldest = verified.values().next();
  if (verified.size >= MAX_REMEMBERED && !oldest.done) verified.delete(oldest.value);
  verified.add(name);
  return true;
}

function verifyAnew(spki: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify('sha256', data, { key: publicKeyOf(spki), dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return false;
  }
}

/** Importing a key costs about as much as verifying with it, and the same few sign everything. */
function publicKeyOf(spki: Uint8Array): KeyObject {
  checkSpki(spki);
  const name = Buffer.from(spki).toString('latin1');
  const known = publicKeys.get(name);
  if (known) return known;
  const key = createPublicKey({ key: Buffer.from(spki), type: 'spki', format: 'der' });
  const oldest = publicKeys.keys().next();
  if (publicKeys.size >= CACHE_SIZE && !oldest.done) publicKeys.delete(oldest.value);
  publicKeys.set(name, key);
  return key;
}
