import { type KeyObject, randomBytes, sign } from 'node:crypto';

/**
 * A self-signed X.509 v3 certificate in PEM: only a container that TLS demands, since peers pin the key and ignore
 * the rest. It names nobody, and is valid for ever because identity ends by revocation, not by date.
 *
 * A writer of this little DER needs no library and no parser (reference/security.md §3).
 */
export function createCertificate(key: KeyObject, spki: Uint8Array): string {
  const name = sequence(set(sequence(oid('55 04 03'), utf8String('peerwire'))));
  const ecdsaWithSha256 = sequence(oid('2a 86 48 ce 3d 04 03 02'));
  const tbs = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    ecdsaWithSha256,
    name,
    sequence(time(0x17, '200101000000Z'), time(0x18, '99991231235959Z')),
    name,
    Buffer.from(spki),
    // BoringSSL enforces keyUsage (KEY_USAGE_BIT_INCORRECT): digitalSignature, critical.
    tagged(
      0xa3,
      sequence(sequence(oid('55 1d 0f'), tagged(0x01, Buffer.from([0xff])), octets(Buffer.from('03020780', 'hex')))),
    ),
  );
  const der = sequence(tbs, ecdsaWithSha256, bitString(sign('sha256', tbs, key)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Positive and of fixed length (RFC 5280 §4.1.2.2: at most 20 bytes). */
function serialNumber(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

function tagged(tag: number, ...parts: Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), ...parts]);
}

const sequence = (...parts: Buffer[]): Buffer => tagged(0x30, ...parts);
const set = (...parts: Buffer[]): Buffer => tagged(0x31, ...parts);
const integer = (value: Buffer): Buffer => tagged(0x02, value);
const octets = (value: Buffer): Buffer => tagged(0x04, value);
const bitString = (value: Buffer): Buffer => tagged(0x03, Buffer.from([0]), value);
const utf8String = (value: string): Buffer => tagged(0x0c, Buffer.from(value));
const oid = (hex: string): Buffer => tagged(0x06, Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const time = (tag: number, value: string): Buffer => tagged(tag, Buffer.from(value, 'latin1'));
