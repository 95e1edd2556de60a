/** A tracker behind HTTPS with certificates of our own, and behind proxies. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener, request, type Server } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { encode } from '../../src/bittorrent/bencode.ts';

const run = promisify(execFile);
const SCRIPT = path.join(import.meta.dirname, 'announce-once.ts');
const PEERS = [{ host: '10.0.0.1', port: 6881 }];

interface Outcome {
  readonly peers?: unknown;
  readonly code?: string;
  readonly message?: string;
  readonly remedy?: string;
}

describe('a tracker', function () {
  this.timeout(30_000);
  let dir: string;
  const servers: NetServer[] = [];

  before(async function () {
    if (spawnSync('openssl', ['version']).status !== 0) {
      if (process.env.CI !== undefined) throw new Error('These tests are required here, but there is no “openssl”.');
      console.log('    skipped: there is no “openssl” to make certificates with');
      this.skip();
    }
    dir = await mkdtemp(path.join(tmpdir(), 'peerwire-https-'));
    await run('openssl', [
      ...['req', '-x509', ...KEY, at('ca.key'), '-out', at('ca.pem')],
      ...['-subj', '/CN=Company CA'],
    ]);
  });
  after(() => rm(dir, { recursive: true, force: true }));
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.close();
      if ('closeAllConnections' in server) (server as Server).closeAllConnections();
    }
  });

  const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout'];
  const at = (name: string): string => path.join(dir, name);

  const answer: RequestListener = (_, response) => {
    response.end(encode({ interval: 1800, peers: Buffer.from('0a0000011ae1', 'hex') }));
  };

  async function listening<S extends NetServer>(server: S): Promise<number> {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** With a certificate of the company for these names, valid for so many days. */
  async function https(names: string, days = 1): Promise<number> {
    await writeFile(at('names'), `subjectAltName=${names}`);
    await run('openssl', ['req', ...KEY, at('key.pem'), '-out', at('csr.pem'), '-subj', '/CN=tracker']);
    const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('names')];
    await run('openssl', [
      ...['x509', '-req', '-in', at('csr.pem'), '-out', at('cert.pem'), '-days', `${days}`],
      ...signed,
    ]);
    const [key, cert] = await Promise.all([readFile(at('key.pem')), readFile(at('cert.pem'))]);
    return await listening(createServer({ key, cert }, answer));
  }

  async function announce(url: string, env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    const { stdout } = await run(process.execPath, [SCRIPT, url], { env: { ...process.env, ...env } });
    return JSON.parse(stdout) as Outcome;
  }

  const HERE = 'IP:127.0.0.1,DNS:localhost';
  const url = (port: number): string => `https://127.0.0.1:${port}/announce`;

  it('is believed when this machine trusts who signed its certificate', async () => {
    const port = await https(HERE);
    // What the system trusts (on Linux this names its store), and what Node is told to.
    for (const variable of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'])
      assert.deepEqual(await announce(url(port), { [variable]: at('ca.pem') }), { peers: PEERS }, variable);
  });

  it('is not believed otherwise, and the reason says what to do', async () => {
    const { code, message } = await announce(url(await https(HERE)));
    assert.equal(code, 'connection');
    assert.match(String(message), /authority that this machine does not trust.*NODE_EXTRA_CA_CERTS/);
  });

  it('is not believed under another name, or when its certificate has expired', async () => {
    const trusting = { NODE_EXTRA_CA_CERTS: at('ca.pem') };
    const other = await announce(url(await https('DNS:tracker.example')), trusting);
    assert.match(String(other.message), /certificate is for another name/);
    assert.match(String(other.remedy), /Use the name/);
    const old = await announce(url(await https(HERE, -1)), trusting);
    assert.match(String(old.message), /certificate has expired/);
  });

  it('is not believed when it vouches for itself, or speaks another protocol than its URL says', async () => {
    await run('openssl', [
      ...['req', '-x509', ...KEY, at('self.key'), '-out', at('self.pem'), '-subj', '/CN=tracker'],
      ...['-addext', `subjectAltName=${HERE}`],
    ]);
    const [key, cert] = await Promise.all([readFile(at('self.key')), readFile(at('self.pem'))]);
    const own = await listening(createServer({ key, cert }, answer));
    const self = await announce(url(own));
    assert.match(String(self.message), /authority that this machine does not trust/);
    // Who means to trust it can.
    assert.deepEqual(await announce(url(own), { NODE_EXTRA_CA_CERTS: at('self.pem') }), { peers: PEERS });
    const plain = await announce(url(await listening(createHttpServer(answer))));
    assert.deepEqual(
      [plain.code, plain.remedy],
      ['connection', 'See whether its URL begins with http:// instead of https://.'],
    );
    const secure = await announce(`http://127.0.0.1:${own}/announce`);
    assert.equal(secure.code, 'connection');
    assert.match(String(secure.remedy), /http:\/\/ or https:\/\//);
  });

  it('is asked by way of the proxy of the environment, unless that says no', async () => {
    const asked: string[] = [];
    const proxy = createHttpServer((incoming, outgoing) => {
      asked.push(`${incoming.method} ${new URL(String(incoming.url)).host}`);
      const target = new URL(String(incoming.url));
      // The name is known to the proxy alone.
      target.hostname = '127.0.0.1';
      request(target, (response) => response.pipe(outgoing)).end();
    });
    proxy.on('connect', ({ method, url }, socket) => {
      asked.push(`${method} ${url}`);
      const through = connect(Number(String(url).split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        through.pipe(socket).pipe(through);
      });
      for (const end of [socket, through]) end.on('error', () => end.destroy());
    });
    const [plain, secure] = [await listening(createHttpServer(answer)), await https('DNS:tracker.test')];
    const by = `http://localhost:${await listening(proxy)}`;
    const env = { HTTP_PROXY: by, HTTPS_PROXY: by, NODE_EXTRA_CA_CERTS: at('ca.pem') };
    assert.deepEqual(await announce(`http://tracker.test:${plain}/announce`, env), { peers: PEERS });
    assert.deepEqual(await announce(`https://tracker.test:${secure}/announce`, env), { peers: PEERS });
    assert.deepEqual(asked, [`GET tracker.test:${plain}`, `CONNECT tracker.test:${secure}`]);
    // What this machine runs is asked directly.
    assert.deepEqual(await announce(`http://127.0.0.1:${plain}/announce`, env), { peers: PEERS });
    const { code } = await announce(`http://tracker.test:${plain}/announce`, { ...env, NO_PROXY: 'tracker.test' });
    assert.equal(code, 'connection');
    assert.equal(asked.length, 2);
  });
});
