import assert from 'node:assert/strict';

/** Fails unless the bytes are TLS records and nothing else; the last may be cut off. Returns how many there are. */
export function checkTlsRecords(bytes: Buffer, what: string): number {
  let records = 0;
  for (let at = 0; at + 5 <= bytes.length; records++) {
    const type = bytes.readUInt8(at);
    const version = bytes.readUInt16BE(at + 1);
    const length = bytes.readUInt16BE(at + 3);
    assert.ok(type >= 0x14 && type <= 0x17, `${what}: a record of type ${type} at ${at}`);
    // RFC 8446 §5.1: a first ClientHello may say 0x0301.
    assert.ok(version === 0x0303 || (at === 0 && version === 0x0301), `${what}: version ${version} at ${at}`);
    assert.ok(length <= 16_384 + 256, `${what}: a record of ${length} bytes at ${at}`);
    at += 5 + length;
  }
  return records;
}
