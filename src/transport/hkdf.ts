import { createHmac } from 'node:crypto';

const HASH_SIZE = 32;

export function hmac(key: Uint8Array, ...parts: Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/**
 * HKDF with SHA-256 (RFC 5869), `length` 1 to 8160 bytes. Written from HMAC because `crypto.hkdf` is among the
 * functions that Electron does not test.
 */
export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array | string, length: number): Buffer {
  if (!Number.isInteger(length) || length < 1 || length > 255 * HASH_SIZE) throw new RangeError('hkdf: bad length');
  const key = hmac(salt.length > 0 ? salt : Buffer.alloc(HASH_SIZE), secret);
  const context = typeof info === 'string' ? Buffer.from(info) : info;
  const blocks: Buffer[] = [];
  let block: Buffer = Buffer.alloc(0);
  for (let counter = 1; blocks.length * HASH_SIZE < length; counter++) {
    block = hmac(key, block, context, Buffer.from([counter]));
    blocks.push(block);
  }
  return Buffer.concat(blocks).subarray(0, length);
}
