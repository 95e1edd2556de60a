/** Each check of `peerOfTls` against a real socket that fails it; the listener's own options let few of them come so far. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { ConnectionOptions } from 'node:tls';
import { connect, createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import { createCertificate } from '../../../src/transport/certificate.ts';
import { createIdentity } from '../../../src/transport/identity.ts';
import { ALPN, peerOfTls } from '../../../src/transport/tls-identity.ts';
import { compressedCertificate, listen, newEcKey, OpenNetwork, strangersOptions } from './support.ts';

describe('the peer of a TLS socket', () => {
  const [ours, theirs] = [createIdentity(), createIdentity()];
  const opened: (Server | TLSSocket)[] = [];

  afterEach(() => {
    for (const item of opened.splice(0)) 'destroy' in item ? item.destroy() : item.close();
  });

  /** A server that takes whatever comes, tickets included. */
  async function laxServer(options: TlsOptions = {}): Promise<number> {
    const server = createServer({
      key: ours.keyPem,
      cert: ours.certPem,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: [ALPN],
      ...options,
    });
    server.listen(0, '127.0.0.1');
    opened.push(server);
    await once(server, 'listening');
    server.on('secureConnection', (socket) => {
      opened.push(socket);
      socket.on('error', () => {});
      accepted.shift()?.(socket);
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    return address.port;
  }

  const accepted: ((socket: TLSSocket) => void)[] = [];

  async function connectTo(
    port: number,
    options: ConnectionOptions,
  ): Promise<{ client: TLSSocket; server: TLSSocket }> {
    const atServer = new Promise<TLSSocket>((resolve) => accepted.push(resolve));
    const client = connect(strangersOptions(undefined, { port, ...options }));
    opened.push(client);
    client.on('error', () => {});
    const [server] = await Promise.all([atServer, once(client, 'secureConnect')]);
    return { client, server };
  }

  const withKey = { key: theirs.keyPem, cert: theirs.certPem };

  function refused(socket: TLSSocket, message: RegExp): void {
    assert.throws(() => peerOfTls(socket), { code: 'protocol', message });
  }

  it('is known by its key, on both sides', async () => {
    const { client, server } = await connectTo(await laxServer(), withKey);
    assert.deepEqual(peerOfTls(client), { device: ours.device, spki: ours.spki });
    assert.deepEqual(peerOfTls(server), { device: theirs.device, spki: theirs.spki });
  });

  it('must speak TLS 1.3', async () => {
    const { client, server } = await connectTo(await laxServer(), { ...withKey, maxVersion: 'TLSv1.2' });
    refused(client, /TLS 1\.3/);
    refused(server, /TLS 1\.3/);
  });

  it('must have agreed on our protocol', async () => {
    const port = await laxServer({ ALPNProtocols: ['h2', ALPN] });
    const none = await connectTo(port, { ...withKey, ALPNProtocols: [] });
    refused(none.client, /our protocol/);
    refused(none.server, /our protocol/);
    const other = await connectTo(port, { ...withKey, ALPNProtocols: ['h2'] });
    refused(other.client, /our protocol/);
    refused(other.server, /our protocol/);
  });

  it('must not have resumed a session', async () => {
    const port = await laxServer();
    const first = connect(strangersOptions(theirs, { port }));
    opened.push(first);
    first.resume();
    const [session] = await once(first, 'session');
    // With another certificate than that of the session.
    const other = createIdentity();
    const { client, server } = await connectTo(port, { key: other.keyPem, cert: other.certPem, session });
    assert.ok(client.isSessionReused() && server.isSessionReused());
    refused(server, /old session/);
    refused(client, /old session/);
  });

  it('must have a certificate', async () => {
    const { server } = await connectTo(await laxServer(), {});
    refused(server, /no certificate/);
  });

  it('must have its key in the one encoding, and of the one kind', async () => {
    const port = await laxServer();
    const key = newEcKey();
    const pem = key.export({ type: 'pkcs8', format: 'pem' });
    const compressed = await connectTo(port, { key: pem, cert: compressedCertificate(key) });
    refused(compressed.server, /uncompressed/);
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const spki = p384.publicKey.export({ type: 'spki', format: 'der' });
    const other = await connectTo(port, {
      key: p384.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: createCertificate(p384.privateKey, spki),
    });
    refused(other.server, /uncompressed/);
  });

  it('gets no session from us that it could resume', async () => {
    const listening = await listen([new OpenNetwork()], { limits: { deadline: 300 } });
    const { port } = listening.listener;
    const sessions: Buffer[] = [];
    for (let round = 0; round < 2; round++) {
      const client = connect({ ...strangersOptions(theirs, { port }), ...(sessions[0] && { session: sessions[0] }) });
      opened.push(client);
      client.on('session', (session) => sessions.push(session));
      // Until the listener gives up on us. OpenSSL hands out session ids even without tickets; we keep no such sessions.
      await once(client.resume(), 'end');
      assert.equal(client.isSessionReused(), false);
    }
    listening.listener.dispose();
  });
});
