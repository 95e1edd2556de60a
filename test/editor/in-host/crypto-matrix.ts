/**
 * The portable subset of cryptography that Peerwire relies on (reference/vscode.md §4), tried in the run time that users
 * have: OpenSSL in servers and remotes, BoringSSL in desktop VS Code; on the extension host's main thread, where VS Code
 * patches `tls`, and in a worker thread, where it does not and where the peer lives.
 */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, OnReadOpts } from 'node:net';
import tls from 'node:tls';
import { hkdf } from '../../../src/transport/hkdf.ts';
import { createIdentity, loadIdentity, verifySignature } from '../../../src/transport/identity.ts';

export const CRYPTO_MATRIX: Readonly<Record<string, () => Promise<void> | void>> = {
  'makes P-256 identities that load again and sign': () => {
    const identity = createIdentity();
    assert.equal(identity.spki.length, 91);
    assert.equal(loadIdentity(identity.keyPem).device, identity.device);
    const data = Buffer.from('hello');
    const signature = identity.sign(data);
    assert.equal(signature.length, 64);
    assert.equal(verifySignature(identity.spki, data, signature), true);
    assert.equal(verifySignature(identity.spki, Buffer.from('hullo'), signature), false);
  },

  'reads its own certificates': () => {
    const identity = createIdentity();
    const certificate = new crypto.X509Certificate(identity.certPem);
    assert.deepEqual(certificate.publicKey.export({ type: 'spki', format: 'der' }), identity.spki);
    assert.equal(certificate.verify(certificate.publicKey), true);
  },

  'hashes with SHA-256': () => {
    const hex = crypto.createHash('sha256').update('abc').digest('hex');
    assert.equal(hex, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  },

  // RFC 5869, test case 1.
  'derives keys with HKDF-SHA-256': () => {
    const info = Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex');
    const key = hkdf(Buffer.alloc(22, 0x0b), Buffer.from('000102030405060708090a0b0c', 'hex'), info, 42);
    const expected = '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865';
    assert.equal(key.toString('hex'), expected);
  },

  'encrypts with AES-256-GCM and notices a changed byte': () => {
    const key = crypto.randomBytes(32);
    const nonce = crypto.randomBytes(12);
    const cipher = crypto.createCipheriv('aes-256-gcm', key, nonce);
    const sealed = Buffer.concat([cipher.update('secret'), cipher.final()]);
    const open = (bytes: Buffer): string => {
      const decipher = crypto.createDecipheriv('aes-256-gcm', key, nonce);
      decipher.setAuthTag(cipher.getAuthTag());
      return Buffer.concat([decipher.update(bytes), decipher.final()]).toString();
    };
    assert.equal(open(sealed), 'secret');
    sealed[0]! ^= 1;
    assert.throws(() => open(sealed));
  },

  'speaks TLS 1.3 with both certificates, one exporter and AES-GCM, and moves 8 MiB': async () => {
    const server = createIdentity();
    const client = createIdentity();
    const common = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', rejectUnauthorized: false } as const;
    const protocols = ['peerwire-test'];
    const listener = tls.createServer({
      ...common,
      key: server.keyPem,
      cert: server.certPem,
      requestCert: true,
      ALPNProtocols: protocols,
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const accepted = once(listener, 'secureConnection') as Promise<[tls.TLSSocket]>;
    let received = 0;
    let finished = (): void => {};
    const all = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const size = 8 << 20;
    // @types/node forgets that tls.connect takes `onread`.
    const options: tls.ConnectionOptions & { onread: OnReadOpts } = {
      ...common,
      host: '127.0.0.1',
      port: (listener.address() as AddressInfo).port,
      key: client.keyPem,
      cert: client.certPem,
      ALPNProtocols: protocols,
      // A static buffer, as the transport uses it.
      onread: {
        buffer: Buffer.alloc(256 * 1024),
        callback: (bytes: number) => {
          received += bytes;
          if (received === size) finished();
          return true;
        },
      },
    };
    const dialer = tls.connect(options);
    try {
      await once(dialer, 'secureConnect');
      const [socket] = await accepted;
      assert.equal(dialer.getProtocol(), 'TLSv1.3');
      assert.equal(dialer.alpnProtocol, 'peerwire-test');
      assert.match(dialer.getCipher().name, /^TLS_AES_(128|256)_GCM/);
      const label = 'EXPORTER-peerwire-test';
      assert.deepEqual(
        dialer.exportKeyingMaterial(32, label, Buffer.alloc(0)),
        socket.exportKeyingMaterial(32, label, Buffer.alloc(0)),
      );
      const spkiOf = (one: tls.TLSSocket): Buffer =>
        new crypto.X509Certificate(one.getPeerCertificate(true).raw).publicKey.export({ type: 'spki', format: 'der' });
      assert.deepEqual(spkiOf(dialer), server.spki);
      assert.deepEqual(spkiOf(socket), client.spki);
      socket.write(Buffer.alloc(size, 1));
      await all;
      socket.destroy();
    } finally {
      dialer.destroy();
      listener.close();
    }
  },

  'hashes memory that threads share': () => {
    const shared = new Uint8Array(new SharedArrayBuffer(64));
    shared.set([1, 2, 3]);
    assert.equal(crypto.createHash('sha256').update(shared).digest().length, 32);
  },
};
