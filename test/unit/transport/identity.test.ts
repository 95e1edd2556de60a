import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { base32Decode } from '../../../src/common/ids.ts';
import { createCertificate } from '../../../src/transport/certificate.ts';
import { hkdf } from '../../../src/transport/hkdf.ts';
import {
  checkSpki,
  createIdentity,
  deviceIdOfSpki,
  loadIdentity,
  pointOfSpki,
  spkiOf,
  spkiOfPoint,
  verifySignature,
} from '../../../src/transport/identity.ts';
import { compressedCertificate, newEcKey } from './support.ts';

describe('identity', () => {
  const identity = createIdentity();

  it('is named by the SHA-256 of its 91-byte SPKI', () => {
    assert.equal(identity.spki.length, 91);
    const digest = createHash('sha256').update(identity.spki).digest();
    assert.deepEqual(base32Decode(identity.device), digest);
    assert.equal(deviceIdOfSpki(identity.spki), identity.device);
  });

  it('comes back from its stored key', () => {
    const again = loadIdentity(identity.keyPem);
    assert.deepEqual([again.device, again.spki], [identity.device, identity.spki]);
    const data = Buffer.from('data');
    assert.ok(verifySignature(identity.spki, data, again.sign(data)));
  });

  it('is not read from anything else, and the error does not quote it', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    for (const pem of ['', 'garbage', rsa.toString(), p384.toString(), identity.keyPem.replace('MIG', 'MIH')]) {
      assert.throws(
        () => loadIdentity(pem),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'bad-encoding');
          const told = `${error.stack} ${String(error.cause)}`;
          assert.ok(pem.length < 60 || !told.includes(pem.slice(30, 60)));
          return true;
        },
      );
    }
  });

  it('signs with 64 bytes that verify for this key and these bytes alone', () => {
    const data = Buffer.from('the data');
    const signature = identity.sign(data);
    assert.equal(signature.length, 64);
    assert.equal(verifySignature(identity.spki, data, signature), true);
    assert.equal(verifySignature(identity.spki, Buffer.from('the date'), signature), false);
    assert.equal(verifySignature(createIdentity().spki, data, signature), false);
    assert.equal(verifySignature(identity.spki, data, signature), true, 'what is known to be signed');
    for (let at = 0; at < signature.length; at++) {
      const changed = Buffer.from(signature);
      changed[at]! ^= 1;
      assert.equal(verifySignature(identity.spki, data, changed), false);
    }
    for (const wrong of [Buffer.alloc(0), Buffer.alloc(64), signature.subarray(1), Buffer.alloc(72)]) {
      assert.equal(verifySignature(identity.spki, data, wrong), false);
    }
  });

  it('verifies nothing by a key that is not a point of the curve, or not ours', () => {
    const data = Buffer.from('data');
    const offCurve = Buffer.from(identity.spki);
    offCurve[90]! ^= 1;
    assert.equal(verifySignature(offCurve, data, identity.sign(data)), false);
    assert.equal(verifySignature(identity.spki.subarray(1), data, identity.sign(data)), false);
  });

  it('has one encoding', () => {
    checkSpki(identity.spki);
    const compressed = new X509Certificate(compressedCertificate(newEcKey())).publicKey;
    assert.throws(() => spkiOf(compressed), { code: 'protocol' });
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    const hybrid = Buffer.from(identity.spki);
    hybrid[26] = 6;
    for (const spki of [
      p384.export({ type: 'spki', format: 'der' }),
      hybrid,
      Buffer.concat([identity.spki, Buffer.alloc(1)]),
      identity.spki.subarray(0, 90),
      Buffer.alloc(91),
    ]) {
      assert.throws(() => checkSpki(spki), { code: 'protocol' });
    }
    assert.deepEqual(spkiOfPoint(pointOfSpki(identity.spki)), identity.spki);
    assert.throws(() => spkiOfPoint(Buffer.alloc(65)), { code: 'bad-encoding' });
  });
});

describe('certificate', () => {
  it('is valid, self-signed, names nobody and may sign', () => {
    const key = newEcKey();
    const spki = spkiOf(createPublicKey(key));
    const certificate = new X509Certificate(createCertificate(key, spki));
    assert.ok(certificate.verify(certificate.publicKey));
    assert.deepEqual(certificate.publicKey.export({ type: 'spki', format: 'der' }), spki);
    assert.equal(certificate.subject, 'CN=peerwire');
    assert.equal(certificate.issuer, certificate.subject);
    assert.ok(new Date(certificate.validFrom) < new Date('2021'));
    assert.ok(new Date(certificate.validTo) > new Date('9999'));
    assert.equal(certificate.ca, false);
    // keyUsage (2.5.29.15), critical, digitalSignature alone.
    assert.ok(certificate.raw.includes(Buffer.from('0603551d0f0101ff040403020780', 'hex')));
    assert.notEqual(certificate.serialNumber, new X509Certificate(createCertificate(key, spki)).serialNumber);
  });
});

describe('hkdf', () => {
  const from = (hex: string): Buffer => Buffer.from(hex, 'hex');
  // RFC 5869, appendix A: test cases 1 to 3.
  const long = (start: number): Buffer => Buffer.from(Array.from({ length: 80 }, (_, n) => start + n));
  const cases: [Buffer, Buffer, Buffer, number, string][] = [
    [
      Buffer.alloc(22, 0x0b),
      from('000102030405060708090a0b0c'),
      from('f0f1f2f3f4f5f6f7f8f9'),
      42,
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    ],
    [
      long(0),
      long(0x60),
      long(0xb0),
      82,
      'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
    ],
    [
      Buffer.alloc(22, 0x0b),
      Buffer.alloc(0),
      Buffer.alloc(0),
      42,
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    ],
  ];
  for (const [index, [secret, salt, info, length, expected]] of cases.entries()) {
    it(`agrees with RFC 5869, case ${index + 1}`, () => {
      assert.equal(hkdf(secret, salt, info, length).toString('hex'), expected);
    });
  }

  it('makes 1 to 8160 bytes', () => {
    assert.equal(hkdf(from('00'), from('00'), '', 8160).length, 8160);
    for (const length of [0, -1, 8161, 1.5]) assert.throws(() => hkdf(from('00'), from('00'), '', length), RangeError);
  });
});
