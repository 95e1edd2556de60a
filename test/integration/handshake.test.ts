/** The member handshake over real TLS sockets: who gets in, and what everyone else gets, which is nothing. */
import assert from 'node:assert/strict';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once as onceEvent } from 'node:events';
import { type Socket, connect as tcpConnect } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions, connect as tlsConnect } from 'node:tls';
import { PeerwireError } from '../../src/common/errors.ts';
import { deviceIdFromHash } from '../../src/common/ids.ts';
import { type DialOptions, dial } from '../../src/transport/dial.ts';
import { encodeFrame } from '../../src/transport/handshake-frames.ts';
import { HELLO_R } from '../../src/transport/handshake-messages.ts';
import { deviceIdOfSpki, type Identity, SPKI_SIZE } from '../../src/transport/identity.ts';
import { PeerListener } from '../../src/transport/listener.ts';
import type { OwnPeer } from '../../src/transport/member-handshake.ts';
import type { NetworkAccess } from '../../src/transport/network-access.ts';
import { RefusedError } from '../../src/transport/refused-error.ts';
import type { SecureChannel } from '../../src/transport/secure-channel.ts';
import { ALPN, exportedSecret } from '../../src/transport/tls-identity.ts';
import {
  Collector,
  compressedCertificate,
  content,
  helloFrame,
  type Listening,
  listen,
  newEcKey,
  newPeer,
  OpenNetwork,
  type Outcome,
  outcomeOf,
  strangerByTcp,
  strangerByTls,
  strangersOptions,
  tcpServer,
  until,
} from '../unit/transport/support.ts';

/** Bytes of HELLO_R, and of an ADMIT that refuses, with their length prefixes. */
const HELLO_R_FRAME = 4 + 1 + 1 + 8 + 32;
const REFUSAL_FRAME = 4 + 1 + 1;

/** Resolves when the socket is closed, by whatever error. */
function closed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('member handshake over TLS', () => {
  let network: OpenNetwork;
  let listening: Listening<string>;
  const cleanUp: (() => unknown)[] = [];

  beforeEach(async () => {
    network = new OpenNetwork();
    listening = await listen([network]);
    cleanUp.push(() => listening.listener.dispose());
  });

  afterEach(async () => {
    for (const step of cleanUp.splice(0).reverse()) await step();
    for (const channel of listening.channels) channel.close();
  });

  function dialTo<M>(
    access: NetworkAccess<M>,
    options: Partial<DialOptions<M>> & { peer?: OwnPeer } = {},
  ): Promise<SecureChannel<M>> {
    const { peer = newPeer(), ...rest } = options;
    const port = listening.listener.port;
    return dial({ ...peer, host: '127.0.0.1', port, access, timeout: 5000, ...rest }).then((channel) => {
      cleanUp.push(() => channel.close());
      return channel;
    });
  }

  const target = (identity: Identity | undefined, options = {}) =>
    strangersOptions(identity, { port: listening.listener.port, ...options });

  /** Nothing inside TLS, no channel, no place taken. */
  async function assertSilence({ received }: Outcome): Promise<void> {
    await until(() => listening.listener.pending === 0);
    assert.equal(received.length, 0, 'the listener sent plaintext to a stranger');
    assert.equal(listening.channels.length, 0);
    assert.equal(network.shown, 0, 'nobody asked for our credentials');
  }

  const hello = (socket: TLSSocket, identity: Identity, change = {}): Buffer =>
    helloFrame(socket, network, identity.device, listening.peer.identity.device, change);

  describe('admits', () => {
    it('a member, and tells both sides who is there', async () => {
      const own = new OpenNetwork(network.secret, Buffer.from(network.network, 'hex'));
      network.offer = Buffer.from('for the initiator');
      own.offer = Buffer.from('for the responder');
      const peer = newPeer();
      const ours = await dialTo(own, { peer });
      const theirs = await listening.nextChannel();
      assert.deepEqual(
        [ours.device, ours.instance, ours.network, ours.initiator, ours.member],
        [
          listening.peer.identity.device,
          listening.peer.instance,
          network.network,
          true,
          `member ${listening.peer.identity.device}`,
        ],
      );
      assert.deepEqual(
        [theirs.device, theirs.instance, theirs.network, theirs.initiator, theirs.member],
        [peer.identity.device, peer.instance, network.network, false, `member ${peer.identity.device}`],
      );
      assert.deepEqual([ours.spki, theirs.spki], [listening.peer.identity.spki, peer.identity.spki]);
      assert.deepEqual(network.admitted, [
        { device: peer.identity.device, spki: peer.identity.spki, credentials: 'credentials' },
      ]);
      assert.deepEqual(own.countersignatures, ['for the initiator']);
      assert.deepEqual(network.countersignatures, ['for the responder']);
      assert.equal(ours.remote, `127.0.0.1:${listening.listener.port}`);
      assert.equal(theirs.remoteAddress, '127.0.0.1');
      assert.equal(listening.listener.pending, 0);
    });

    it('and then carries bytes both ways, from the first to the last', async () => {
      const ours = await dialTo(network);
      // Before the other side has even seen its channel.
      const up = content('up', 3_000_000);
      ours.write([up.subarray(0, 13), up.subarray(13, 1_000_000), up.subarray(1_000_000)]);
      const theirs = await listening.nextChannel();
      const down = content('down', 2_000_000);
      theirs.write([down]);
      const [atThem, atUs] = [new Collector(theirs), new Collector(ours)];
      await Promise.all([atThem.received(up.length), atUs.received(down.length)]);
      assert.ok(atThem.bytes.equals(up));
      assert.ok(atUs.bytes.equals(down));
      ours.close();
      assert.equal(await atUs.closed, undefined);
      assert.equal(await atThem.closed, undefined);
      assert.deepEqual([atUs.closes, atThem.closes], [1, 1]);
    });

    it('by the one of several networks that the initiator means', async () => {
      const others = [new OpenNetwork(), new OpenNetwork()];
      const many = await listen([others[0]!, network, others[1]!]);
      cleanUp.push(() => many.listener.dispose());
      const ours = await dialTo(network, { port: many.listener.port });
      const theirs = await many.nextChannel();
      assert.deepEqual([ours.network, theirs.network], [network.network, network.network]);
      assert.deepEqual([others[0]!.admitted.length, others[1]!.admitted.length], [0, 0]);
      theirs.close();
    });

    it('over IPv6 and IPv4 by one listener, and calls an IPv4 address by its name', async function () {
      const both = await listen([network], { host: '::' }).catch(() => undefined);
      if (!both) return this.skip();
      cleanUp.push(() => both.listener.dispose());
      for (const host of ['127.0.0.1', '::1']) {
        const ours: SecureChannel<string> = await dialTo(network, { host, port: both.listener.port });
        const theirs = await both.nextChannel();
        assert.equal(theirs.remoteAddress, host);
        assert.equal(ours.remote, `${host === '::1' ? '[::1]' : host}:${both.listener.port}`);
        theirs.close();
      }
    });

    it('through a blind relay, which is only a wire', async () => {
      const relay = await tcpServer((socket) => {
        const onward = tcpConnect(listening.listener.port, '127.0.0.1');
        onward.on('error', () => {});
        socket.pipe(onward).pipe(socket);
      });
      cleanUp.push(relay.close);
      const ours = await dialTo(network, { port: relay.port });
      const theirs = await listening.nextChannel();
      const collector = new Collector(theirs);
      ours.write([Buffer.from('through')]);
      await collector.received(7);
      assert.equal(collector.bytes.toString(), 'through');
    });

    it('another window of its own device, but not itself', async () => {
      const { identity } = listening.peer;
      const window = newPeer(identity);
      const ours = await dialTo(network, { peer: window });
      assert.deepEqual([ours.device, ours.instance], [identity.device, listening.peer.instance]);
      const theirs = await listening.nextChannel();
      assert.deepEqual([theirs.device, theirs.instance], [identity.device, window.instance]);
      await assert.rejects(dialTo(network, { peer: listening.peer }), { code: 'exists' });
      assert.equal(listening.channels.length, 1);
    });

    it('the expected device, and shows nothing to another one', async () => {
      await dialTo(network, { expectDevice: listening.peer.identity.device });
      await listening.nextChannel();
      const seen: Buffer[] = [];
      const impostor = await tlsServer({}, (socket) => socket.on('data', (chunk) => seen.push(chunk)));
      await assert.rejects(dialTo(network, { port: impostor.port, expectDevice: listening.peer.identity.device }), {
        code: 'protocol',
      });
      await impostor.closedSockets();
      assert.equal(Buffer.concat(seen).length, 0);
    });
  });

  describe('gives a stranger nothing', () => {
    it('who knows no secret', async () => {
      const { identity } = newPeer();
      const wrong = { network: network.network, secret: randomBytes(32) };
      await assertSilence(
        await strangerByTls(target(identity), (socket) =>
          socket.write(helloFrame(socket, wrong, identity.device, listening.peer.identity.device)),
        ),
      );
      await assert.rejects(dialTo(new OpenNetwork(wrong.secret, Buffer.from(network.network, 'hex'))), {
        code: 'protocol',
      });
    });

    it('who names the network but cannot prove its secret', async () => {
      const { identity } = newPeer();
      await assertSilence(
        await strangerByTls(target(identity), (socket) =>
          socket.write(hello(socket, identity, { secret: randomBytes(32) })),
        ),
      );
    });

    it('who has no certificate, not even with a right proof', async () => {
      const { identity } = newPeer();
      const outcome = await strangerByTls(target(undefined), (socket) => socket.write(hello(socket, identity)));
      assert.ok(outcome.secured);
      await assertSilence(outcome);
    });

    it('who speaks plain TCP', async () => {
      const received = await strangerByTcp(listening.listener.port, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
      // At most a TLS alert (record type 21).
      assert.ok(received.length === 0 || (received[0] === 21 && received.length <= 7), received.toString('hex'));
      await assertSilence({ received: Buffer.alloc(0), secured: false });
    });

    it('who offers no ALPN', async () => {
      const { identity } = newPeer();
      const options = target(identity);
      delete options.ALPNProtocols;
      const outcome = await strangerByTls(options, (socket) => socket.write(hello(socket, identity)));
      assert.ok(outcome.secured);
      await assertSilence(outcome);
    });

    it('who offers another ALPN', async () => {
      const { identity } = newPeer();
      const outcome = await strangerByTls(target(identity, { ALPNProtocols: ['h2', 'peerwire/0'] }));
      assert.ok(!outcome.secured);
      await assertSilence(outcome);
    });

    it('who speaks TLS 1.2 at most', async () => {
      const outcome = await strangerByTls(target(newPeer().identity, { maxVersion: 'TLSv1.2' }));
      assert.ok(!outcome.secured);
      await assertSilence(outcome);
    });

    it('who resumes a session: there is none to resume', async () => {
      const { identity } = newPeer();
      const sessions: Buffer[] = [];
      const first = tlsConnect(target(identity));
      first.on('session', (session) => sessions.push(session));
      await outcomeOf(first, (socket) => socket.write(Buffer.alloc(5)));
      const second = tlsConnect(target(undefined, sessions[0] && { session: sessions[0] }));
      let reused: boolean | undefined;
      const outcome = await outcomeOf(second, (socket) => {
        reused = socket.isSessionReused();
        socket.write(hello(socket, identity));
      });
      assert.equal(reused, false);
      await assertSilence(outcome);
    });

    it('whose certificate has its point compressed', async () => {
      const key = newEcKey();
      const keyPem = key.export({ type: 'pkcs8', format: 'pem' });
      const cert = compressedCertificate(key);
      // The second id that this key would have: with a right proof for that, nothing but the encoding is wrong.
      const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' });
      assert.notEqual(spki.length, SPKI_SIZE);
      const device = deviceIdFromHash(createHash('sha256').update(spki).digest());
      const outcome = await strangerByTls(target(undefined, { key: keyPem, cert }), (socket) =>
        socket.write(helloFrame(socket, network, device, listening.peer.identity.device)),
      );
      assert.ok(outcome.secured, 'TLS itself accepts the key');
      await assertSilence(outcome);
    });

    it('who replays the proof of a member', async () => {
      const { identity } = newPeer();
      let recorded: Buffer | undefined;
      const member = tlsConnect(target(identity));
      member.on('error', () => {});
      await onceEvent(member, 'secureConnect');
      recorded = hello(member, identity);
      member.write(recorded);
      const [answer] = await onceEvent(member, 'data');
      assert.equal(answer.length, HELLO_R_FRAME, 'the proof was good once');
      await closed(member.destroy());
      // The same device, the same key: only the TLS session is another.
      const outcome = await strangerByTls(target(identity), (socket) => socket.write(recorded));
      assert.equal(outcome.received.length, 0);
      assert.equal(listening.channels.length, 0);
    });

    it('whose proof was made for another responder', async () => {
      const { identity } = newPeer();
      const responder = newPeer().identity.device;
      await assertSilence(
        await strangerByTls(target(identity), (socket) => socket.write(hello(socket, identity, { responder }))),
      );
    });

    it('whose proof was made for another initiator', async () => {
      const { identity } = newPeer();
      const initiator = newPeer().identity.device;
      await assertSilence(
        await strangerByTls(target(identity), (socket) => socket.write(hello(socket, identity, { initiator }))),
      );
    });

    it('who sends a length of 2^32-1, of 0, or of more than a HELLO_I', async () => {
      for (const length of [0xffffffff, 0x80000000, 0, 4096]) {
        const begun = performance.now();
        const prefix = Buffer.alloc(4);
        prefix.writeUInt32BE(length);
        await assertSilence(
          await strangerByTls(target(newPeer().identity), (socket) =>
            socket.write(Buffer.concat([prefix, content('x', 64)])),
          ),
        );
        // Not by the deadline of 10 s, having waited for the rest of it.
        assert.ok(performance.now() - begun < 8000);
      }
    });

    it('who sends another message than HELLO_I first, however right its content', async () => {
      for (const type of [0, 2, 3, 4, 255]) {
        const { identity } = newPeer();
        await assertSilence(
          await strangerByTls(target(identity), (socket) => {
            const frame = hello(socket, identity);
            frame[4] = type;
            socket.write(frame);
          }),
        );
      }
    });

    it('who closes before proving anything', async () => {
      await assertSilence(await strangerByTls(target(newPeer().identity), (socket) => socket.end()));
    });
  });

  describe('and one in the middle', () => {
    /** Ends TLS on both sides with its own certificate and passes on what it reads (mafia fraud). */
    async function terminatingMitm(identity: Identity): Promise<{ port: number; seen: Record<'up' | 'down', number> }> {
      const seen = { up: 0, down: 0 };
      const { port } = await tlsServer({ identity }, (socket) => {
        const onward = tlsConnect(target(identity));
        onward.on('error', () => {});
        socket.on('data', (chunk) => {
          seen.up += chunk.length;
          onward.write(chunk);
        });
        onward.on('data', (chunk: Buffer) => {
          seen.down += chunk.length;
          socket.write(chunk);
        });
        socket.on('close', () => onward.destroy());
        onward.on('close', () => socket.destroy());
      });
      return { port, seen };
    }

    it('who ends TLS and passes everything on, is found by both', async () => {
      const mitm = await terminatingMitm(newPeer().identity);
      await assert.rejects(dialTo(network, { port: mitm.port }), { code: 'protocol' });
      assert.ok(mitm.seen.up > 0, 'the initiator, not knowing better, spoke first');
      assert.equal(mitm.seen.down, 0, 'the responder did not answer');
      assert.equal(listening.channels.length, 0);
    });

    it('is found even when it is a member itself and has the same device at both ends', async () => {
      const victim = newPeer();
      const mitm = await terminatingMitm(listening.peer.identity);
      await assert.rejects(dialTo(network, { peer: victim, port: mitm.port }), { code: 'protocol' });
      assert.equal(mitm.seen.down, 0);
      assert.equal(listening.channels.length, 0);
    });

    it('who reflects our own message is refused', async () => {
      const reflector = await tlsServer({}, (socket) => socket.on('data', (chunk) => socket.write(chunk)));
      await assert.rejects(dialTo(network, { port: reflector.port }), { code: 'protocol' });
    });

    it('who reflects our proof as its own is refused', async () => {
      const reflector = await tlsServer({}, (socket) =>
        socket.once('data', (chunk) => {
          const proof = chunk.subarray(-32);
          socket.write(encodeFrame(HELLO_R, Buffer.concat([Buffer.from([1]), Buffer.alloc(8), proof])));
        }),
      );
      await assert.rejects(dialTo(network, { port: reflector.port }), { code: 'protocol' });
    });
  });

  describe('dialing', () => {
    it('refuses a responder that cannot prove the secret, and shows it no credentials', async () => {
      const seen: Buffer[] = [];
      const impostor = await tlsServer({}, (socket) =>
        socket.on('data', (chunk) => {
          seen.push(chunk);
          socket.write(encodeFrame(HELLO_R, Buffer.concat([Buffer.from([1]), randomBytes(8 + 32)])));
        }),
      );
      await assert.rejects(dialTo(network, { port: impostor.port }), { code: 'protocol' });
      await impostor.closedSockets();
      assert.equal(network.shown, 0);
      assert.equal(Buffer.concat(seen).length, 4 + 1 + 1 + 1 + 8 + 16 + 32, 'HELLO_I and no more');
    });

    const servers: [string, TlsOptions][] = [
      ['TLS 1.2', { maxVersion: 'TLSv1.2' }],
      ['no ALPN', { ALPNProtocols: [] }],
      ['another ALPN', { ALPNProtocols: ['h2'] }],
    ];
    for (const [name, options] of servers) {
      it(`says nothing to a server with ${name}`, async () => {
        const seen: Buffer[] = [];
        const server = await tlsServer(options, (socket) => socket.on('data', (chunk) => seen.push(chunk)));
        await assert.rejects(dialTo(network, { port: server.port }), { code: 'protocol' });
        assert.equal(Buffer.concat(seen).length, 0);
      });
    }

    it('refuses a server whose key is compressed', async () => {
      const key = newEcKey();
      const server = await tlsServer(
        { key: key.export({ type: 'pkcs8', format: 'pem' }), cert: compressedCertificate(key) },
        () => {},
      );
      await assert.rejects(dialTo(network, { port: server.port }), { code: 'protocol' });
    });

    it('refuses what does not speak TLS', async () => {
      const server = await tcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      cleanUp.push(server.close);
      await assert.rejects(dialTo(network, { port: server.port }), { code: 'protocol' });
    });

    it('reports an address where nobody listens', async () => {
      const server = await tcpServer(() => {});
      await server.close();
      await assert.rejects(dialTo(network, { port: server.port }), { code: 'connection' });
    });

    it('gives up on one who accepts and says nothing', async () => {
      let socket: Socket | undefined;
      const server = await tcpServer((accepted) => {
        socket = accepted;
      });
      cleanUp.push(server.close);
      await assert.rejects(dialTo(network, { port: server.port, timeout: 200 }), { code: 'timeout' });
      assert.ok(socket);
      await closed(socket.resume());
    });

    it('gives up on one who drops us again and again, after a few attempts', async () => {
      let accepted = 0;
      const server = await tcpServer((socket) => {
        accepted++;
        socket.destroy();
      });
      cleanUp.push(server.close);
      await assert.rejects(dialTo(network, { port: server.port }), { code: 'connection' });
      assert.equal(accepted, 3);
    });

    it('gets in on a further attempt when the listener was busy', async () => {
      const busy = await listen([network], { limits: { pending: 1, patience: 50 } });
      cleanUp.push(() => busy.listener.dispose());
      const hog = tcpConnect(busy.listener.port, '127.0.0.1');
      cleanUp.push(() => hog.destroy());
      await onceEvent(hog, 'connect');
      let attempts = 0;
      // The hog leaves as soon as it has been in the way once.
      const relay = await tcpServer((socket) => {
        attempts++;
        const onward = tcpConnect(busy.listener.port, '127.0.0.1');
        onward.on('error', () => {});
        onward.on('close', () => {
          socket.destroy();
          hog.destroy();
        });
        socket.pipe(onward).pipe(socket);
      });
      cleanUp.push(relay.close);
      await dialTo(network, { port: relay.port });
      assert.ok(attempts >= 2);
    });

    it('gets in on its first attempt among many that come at once from one address', async () => {
      let attempts = 0;
      const relay = await tcpServer((socket) => {
        attempts++;
        const onward = tcpConnect(listening.listener.port, '127.0.0.1');
        onward.on('error', () => socket.destroy());
        onward.on('close', () => socket.destroy());
        socket.on('close', () => onward.destroy());
        socket.pipe(onward).pipe(socket);
      });
      cleanUp.push(relay.close);
      await Promise.all(Array.from({ length: 16 }, () => dialTo(network, { port: relay.port })));
      assert.equal(attempts, 16);
    });

    it('can be cancelled, before and during', async () => {
      const aborted = AbortSignal.abort();
      await assert.rejects(dialTo(network, { signal: aborted }), { code: 'cancelled' });
      const controller = new AbortController();
      const server = await tcpServer(() => controller.abort());
      cleanUp.push(server.close);
      await assert.rejects(dialTo(network, { port: server.port, signal: controller.signal }), { code: 'cancelled' });
      assert.equal(listening.channels.length, 0);
    });
  });

  describe('refusing a member', () => {
    for (const code of ['not-admitted', 'revoked', 'expired'] as const) {
      it(`tells it so: ${code}`, async () => {
        network.refuseWith = new PeerwireError(code, 'no');
        const refused = dialTo(new OpenNetwork(network.secret, Buffer.from(network.network, 'hex')));
        await assert.rejects(refused, (error) => error instanceof RefusedError && error.code === code);
        assert.equal(network.shown, 0, 'the responder kept its own membership to itself');
        assert.equal(listening.channels.length, 0);
      });
    }

    it('shows one who was evicted no membership at all', async () => {
      const evicted = newPeer();
      network.revoked.add(evicted.identity.device);
      const outcome = await strangerByTls(target(evicted.identity), (socket) =>
        socket.write(hello(socket, evicted.identity)),
      );
      assert.equal(outcome.received.length, HELLO_R_FRAME + REFUSAL_FRAME);
      assert.deepEqual([network.shown, network.admitted.length, listening.channels.length], [0, 0, 0]);
      const own = new OpenNetwork(network.secret, Buffer.from(network.network, 'hex'));
      await assert.rejects(dialTo(own, { peer: evicted }), { code: 'revoked' });
    });

    it('works for the initiator too', async () => {
      const own = new OpenNetwork(network.secret, Buffer.from(network.network, 'hex'));
      own.revoked.add(listening.peer.identity.device);
      await assert.rejects(
        dialTo(own),
        (error: PeerwireError) => !(error instanceof RefusedError) && error.code === 'revoked',
      );
      assert.equal(own.shown, 0, 'it showed nothing to the evicted responder');
      own.revoked.clear();
      own.refuseWith = new PeerwireError('expired', 'no');
      await assert.rejects(dialTo(own), { code: 'expired' });
      assert.equal(listening.channels.length, 0);
    });

    it('treats any failure of judgment as a refusal, and does not leak it', async () => {
      network.refuseWith = new TypeError('secret detail');
      const own = new OpenNetwork(network.secret, Buffer.from(network.network, 'hex'));
      await assert.rejects(dialTo(own), (error: Error) => {
        assert.ok(error instanceof PeerwireError && error.code === 'not-admitted');
        assert.ok(!error.message.includes('detail'));
        return true;
      });
    });
  });

  describe('limits what strangers cost', () => {
    /** Opens sockets that say nothing; resolves when the listener has settled which of them stay. */
    async function openSilently(port: number, count: number): Promise<Socket[]> {
      const sockets = Array.from({ length: count }, () => tcpConnect(port, '127.0.0.1'));
      cleanUp.push(() => sockets.map((socket) => socket.destroy()));
      for (const socket of sockets) socket.on('error', () => {}).resume();
      await Promise.all(sockets.map((socket) => onceEvent(socket, 'connect')));
      return sockets;
    }

    function closedAmong(sockets: Socket[], expected: number): Promise<void> {
      return until(() => sockets.filter((socket) => socket.closed).length >= expected);
    }

    it('64 sockets in all', async () => {
      const many = await listen([network], { limits: { pendingPerAddress: 1000, patience: 100 } });
      cleanUp.push(() => many.listener.dispose());
      const sockets = await openSilently(many.listener.port, 70);
      await closedAmong(sockets, 6);
      assert.equal(many.listener.pending, 64);
    });

    it('4 sockets from one address; members get in again when they are gone', async () => {
      const { listener, peer } = await listen([network], { limits: { patience: 100 } });
      cleanUp.push(() => listener.dispose());
      const { port } = listener;
      const sockets = await openSilently(port, 9);
      await closedAmong(sockets, 5);
      assert.equal(listener.pending, 4);
      await assert.rejects(dialTo(network, { port }), { code: 'connection' });
      for (const socket of sockets) socket.destroy();
      const channel = await dialTo(network, { port });
      assert.equal(channel.device, peer.identity.device);
    });

    it('16 more that wait from one address; others are dropped at once, and those when the listener goes', async () => {
      const { port } = listening.listener;
      const sockets = await openSilently(port, 25);
      await closedAmong(sockets, 5);
      // Those that wait wait on: the others did not.
      assert.deepEqual([listening.listener.pending, listening.listener.waiting], [4, 16]);
      // Whoever goes away makes room.
      sockets.find((socket) => !socket.closed)?.destroy();
      await until(() => listening.listener.pending + listening.listener.waiting === 19);
      listening.listener.dispose();
      await closedAmong(sockets, 25);
      await until(() => listening.listener.pending + listening.listener.waiting === 0);
    });

    it('who waits has no more time for its handshake than who does not', async () => {
      const slow = await listen([network], { limits: { deadline: 3_000, pendingPerAddress: 1, patience: 2_500 } });
      cleanUp.push(() => slow.listener.dispose());
      const [first] = await openSilently(slow.listener.port, 1);
      await until(() => slow.listener.pending === 1);
      const start = performance.now();
      const [second] = await openSilently(slow.listener.port, 1);
      await until(() => slow.listener.waiting === 1);
      cleanUp.push(() => clearTimeout(timer));
      const timer = setTimeout(() => first?.destroy(), 1_500);
      await closed(second!);
      const took = performance.now() - start;
      assert.ok(took < 4_300, `${took} ms`);
    });

    it('an absolute deadline, whatever trickles in (slowloris)', async () => {
      const slow = await listen([network], { limits: { deadline: 300 } });
      cleanUp.push(() => slow.listener.dispose());
      const { identity } = newPeer();
      const start = performance.now();
      let sent = 0;
      const drip = (socket: Socket | TLSSocket, bytes: Buffer): void => {
        const timer = setInterval(() => {
          if (socket.writable && sent < bytes.length) socket.write(bytes.subarray(sent, ++sent));
        }, 10);
        socket.once('close', () => clearInterval(timer));
      };
      // In the TLS handshake: a ClientHello of 16 KiB that never ends.
      const raw = tcpConnect(slow.listener.port, '127.0.0.1');
      raw.on('error', () => {});
      raw.once('connect', () => drip(raw, Buffer.concat([Buffer.from('16030140000100', 'hex'), Buffer.alloc(1000)])));
      const byTcp: Buffer[] = [];
      raw.on('data', (chunk) => byTcp.push(chunk));
      await closed(raw);
      assert.ok(sent > 5, 'bytes kept coming');
      assert.equal(Buffer.concat(byTcp).length, 0);
      // In the member handshake.
      sent = 0;
      const outcome = await strangerByTls(strangersOptions(identity, { port: slow.listener.port }), (socket) =>
        drip(socket, hello(socket, identity).fill(0, 4)),
      );
      assert.ok(outcome.secured && sent > 5, 'bytes kept coming');
      assert.equal(outcome.received.length, 0);
      const took = performance.now() - start;
      assert.ok(took >= 600, `two deadlines of 300 ms took ${took} ms`);
      await until(() => slow.listener.pending === 0);
      assert.equal(slow.channels.length, 0);
    });

    it('and the deadline holds for the rest of the handshake as well', async () => {
      const slow = await listen([network], { limits: { deadline: 300 } });
      cleanUp.push(() => slow.listener.dispose());
      const { identity } = newPeer();
      const outcome = await strangerByTls(strangersOptions(identity, { port: slow.listener.port }), (socket) =>
        // A right proof and then silence.
        socket.write(helloFrame(socket, network, identity.device, slow.peer.identity.device)),
      );
      assert.equal(outcome.received.length, HELLO_R_FRAME);
      await until(() => slow.listener.pending === 0);
      assert.equal(slow.channels.length, 0);
    });
  });

  it('a disposed listener drops unfinished handshakes and leaves channels alone', async () => {
    const ours = await dialTo(network);
    const theirs = await listening.nextChannel();
    const silent = tcpConnect(listening.listener.port, '127.0.0.1');
    silent.on('error', () => {});
    await onceEvent(silent, 'connect');
    const other = await dialTo(network);
    await listening.nextChannel();
    assert.equal(listening.listener.pending, 1);
    listening.listener.dispose();
    listening.listener.dispose();
    await closed(silent.resume());
    const collector = new Collector(ours);
    theirs.write([Buffer.from('still here')]);
    await collector.received(10);
    assert.equal(other.closed, false);
    await assert.rejects(dialTo(network), { code: 'connection' });
  });

  it('closes a channel that nobody receives', async () => {
    const deaf = await PeerListener.listen({ ...newPeer(), host: '127.0.0.1', port: 0, networks: () => [network] });
    cleanUp.push(() => deaf.dispose());
    const ours = await dialTo(network, { port: deaf.port });
    assert.equal(await new Collector(ours).closed, undefined);
  });

  it('exports the same secret at both ends and another one for each session', async () => {
    const seen: Buffer[] = [];
    const server = await tlsServer({}, (socket) => {
      seen.push(exportedSecret(socket));
      socket.end();
    });
    const own: Buffer[] = [];
    for (let round = 0; round < 2; round++) {
      await strangerByTls(strangersOptions(newPeer().identity, { port: server.port }), (socket) => {
        own.push(exportedSecret(socket));
      });
    }
    assert.deepEqual(seen, own);
    assert.equal(seen.length, 2);
    assert.notDeepEqual(seen[0], seen[1]);
  });

  /** A TLS server of a stranger, with a certificate of its own unless told otherwise. */
  async function tlsServer(
    { identity = newPeer().identity, ...options }: TlsOptions & { identity?: Identity },
    onSocket: (socket: TLSSocket) => void,
  ): Promise<{ port: number; closedSockets(): Promise<void> }> {
    const sockets: Socket[] = [];
    const server = createTlsServer(
      {
        key: identity.keyPem,
        cert: identity.certPem,
        requestCert: true,
        rejectUnauthorized: false,
        ALPNProtocols: [ALPN],
        ...options,
      },
      (socket) => {
        socket.on('error', () => {});
        onSocket(socket.resume());
      },
    );
    server.on('tlsClientError', () => {});
    // The sockets below TLS: one that leaves at once may never become a secure one.
    server.on('connection', (socket) => sockets.push(socket));
    server.listen(0, '127.0.0.1');
    await onceEvent(server, 'listening');
    cleanUp.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    return {
      port: address.port,
      closedSockets: async () => {
        assert.ok(sockets.length > 0);
        await Promise.all(sockets.map(closed));
      },
    };
  }

  it('names devices by their whole key', () => {
    const { identity } = newPeer();
    assert.equal(deviceIdOfSpki(identity.spki), identity.device);
  });
});
