import assert from 'node:assert/strict';
import {
  createCipheriv,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Connection, ConnectionSink } from '../../../src/bittorrent/connection.ts';
import type { Clock } from '../../../src/common/clock.ts';
import { type DeviceId, networkIdFromBytes, type PeerInstance, parsePeerInstance } from '../../../src/common/ids.ts';
import { createCertificate } from '../../../src/transport/certificate.ts';
import { encodeFrame } from '../../../src/transport/handshake-frames.ts';
import { HELLO_I, helloIToProve, VERSION } from '../../../src/transport/handshake-messages.ts';
import { createIdentity, type Identity, spkiOf } from '../../../src/transport/identity.ts';
import { type ListenerLimits, PeerListener } from '../../../src/transport/listener.ts';
import type { OwnPeer } from '../../../src/transport/member-handshake.ts';
import type { Admission, NetworkAccess } from '../../../src/transport/network-access.ts';
import { initiatorProof, networkTag, type ProofContext } from '../../../src/transport/proof.ts';
import type { SecureChannel } from '../../../src/transport/secure-channel.ts';
import { ALPN, exportedSecret } from '../../../src/transport/tls-identity.ts';

export function newInstance(): PeerInstance {
  return parsePeerInstance(randomBytes(8).toString('hex'));
}

export function newPeer(identity = createIdentity()): OwnPeer {
  return { identity, instance: newInstance() };
}

/** Wall time set by hand; timers are real, since real sockets are under test. */
export class HandClock implements Clock {
  #wall = Date.parse('2026-03-01T12:00:00Z');

  now(): number {
    return performance.now();
  }

  wallTime(): number {
    return this.#wall;
  }

  advance(milliseconds: number): void {
    this.#wall += milliseconds;
  }

  setTimeout(callback: () => void, delay: number): { dispose(): void } {
    const timer = setTimeout(callback, delay);
    return { dispose: () => clearTimeout(timer) };
  }

  setInterval(callback: () => void, period: number): { dispose(): void } {
    const timer = setInterval(callback, period);
    return { dispose: () => clearInterval(timer) };
  }
}

/** A network that admits whoever knows its secret, and writes down what the handshake asked of it. */
export class OpenNetwork implements NetworkAccess<string> {
  readonly network;
  readonly secret: Buffer;
  readonly revoked = new Set<DeviceId>();
  readonly admitted: { device: DeviceId; spki: Buffer; credentials: string }[] = [];
  readonly countersignatures: string[] = [];
  shown = 0;
  offer: Buffer | undefined;
  refuseWith: Error | undefined;

  constructor(secret: Buffer = randomBytes(32), id: Buffer = randomBytes(32)) {
    this.secret = secret;
    this.network = networkIdFromBytes(id);
  }

  credentials(): Buffer {
    this.shown++;
    return Buffer.from('credentials');
  }

  isRevoked(device: DeviceId): boolean {
    return this.revoked.has(device);
  }

  admit(device: DeviceId, spki: Buffer, credentials: Buffer): Admission<string> {
    if (this.refuseWith) throw this.refuseWith;
    this.admitted.push({ device, spki, credentials: credentials.toString() });
    const member = `member ${device}`;
    return this.offer ? { member, countersignature: this.offer } : { member };
  }

  acceptCountersignature(bytes: Buffer): void {
    this.countersignatures.push(bytes.toString());
  }
}

/** A listener with what it emitted, and a promise for what it has yet to emit. */
export interface Listening<M> {
  readonly peer: OwnPeer;
  readonly listener: PeerListener<M>;
  readonly channels: SecureChannel<M>[];
  nextChannel(): Promise<SecureChannel<M>>;
}

export async function listen<M>(
  networks: readonly NetworkAccess<M>[],
  options: { peer?: OwnPeer; limits?: Partial<ListenerLimits>; host?: string } = {},
): Promise<Listening<M>> {
  const peer = options.peer ?? newPeer();
  const listener = await PeerListener.listen<M>({
    ...peer,
    host: options.host ?? '127.0.0.1',
    port: 0,
    networks: () => networks,
    ...(options.limits && { limits: options.limits }),
  });
  const channels: SecureChannel<M>[] = [];
  const waiting: ((channel: SecureChannel<M>) => void)[] = [];
  let taken = 0;
  listener.onChannel((channel) => {
    channels.push(channel);
    const next = waiting.shift();
    if (next) {
      taken++;
      next(channel);
    }
  });
  return {
    peer,
    listener,
    channels,
    nextChannel: () => {
      const ready = channels[taken];
      if (!ready) return new Promise((resolve) => waiting.push(resolve));
      taken++;
      return Promise.resolve(ready);
    },
  };
}

/** Collects what a connection delivers. */
export class Collector implements ConnectionSink {
  readonly chunks: Buffer[] = [];
  readonly closed: Promise<unknown>;
  size = 0;
  closes = 0;
  drains = 0;
  #close: (reason: unknown) => void = () => {};
  #waiting: { size: number; resolve: () => void }[] = [];

  constructor(connection?: Connection) {
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    connection?.start(this);
  }

  onData(chunk: Uint8Array): void {
    this.chunks.push(Buffer.from(chunk));
    this.size += chunk.length;
    for (const { size, resolve } of this.#waiting) if (this.size >= size) resolve();
  }

  onDrain(): void {
    this.drains++;
  }

  onClose(reason: unknown): void {
    this.closes++;
    this.#close(reason);
  }

  received(size: number): Promise<void> {
    if (this.size >= size) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ size, resolve }));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

/** What a stranger got out of a listener, once the listener has closed the socket. */
export interface Outcome {
  /** Plaintext inside TLS; on a plain socket all bytes. */
  readonly received: Buffer;
  /** True when the TLS handshake finished as seen by the client. */
  readonly secured: boolean;
}

export function strangersOptions(identity: Identity | undefined, options: ConnectionOptions = {}): ConnectionOptions {
  return {
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
    ...(identity && { key: identity.keyPem, cert: identity.certPem }),
    ...options,
  };
}

/** Connects by TLS in any way, says something once secure, and waits until the other end closes. */
export async function strangerByTls(
  options: ConnectionOptions,
  speak: (socket: TLSSocket) => void = () => {},
): Promise<Outcome> {
  const socket = tlsConnect(options);
  return await outcomeOf(socket, speak);
}

export function outcomeOf(socket: TLSSocket, speak: (socket: TLSSocket) => void = () => {}): Promise<Outcome> {
  const received: Buffer[] = [];
  let secured = false;
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  // Errors are alerts and resets: part of how a listener refuses.
  socket.on('error', () => {});
  socket.once('secureConnect', () => {
    secured = true;
    speak(socket);
  });
  return new Promise((resolve) => socket.once('close', () => resolve({ received: Buffer.concat(received), secured })));
}

/** Connects by TCP, sends bytes, and waits until the other end closes. */
export function strangerByTcp(port: number, bytes: Uint8Array): Promise<Buffer> {
  const socket = tcpConnect(port, '127.0.0.1');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(Buffer.from(chunk)));
  socket.on('error', () => {});
  socket.once('connect', () => socket.write(bytes));
  return new Promise((resolve) => socket.once('close', () => resolve(Buffer.concat(received))));
}

/** The frame of a HELLO_I as a member would send it in this TLS session; `change` spoils what the proof covers. */
export function helloFrame(
  socket: TLSSocket,
  network: Pick<NetworkAccess, 'network' | 'secret'>,
  initiator: DeviceId,
  responder: DeviceId,
  change: Partial<ProofContext> = {},
): Buffer {
  const exported = exportedSecret(socket);
  const tag = networkTag(network.network, network.secret, exported);
  const hello = helloIToProve({ versions: [VERSION], instance: newInstance(), tag });
  const context = { network: network.network, secret: network.secret, exported, initiator, responder, ...change };
  return encodeFrame(HELLO_I, Buffer.concat([hello.subarray(1), initiatorProof(context, hello)]));
}

/** A certificate for `key` whose SPKI has the point compressed (SEC 1 §2.3.3). */
export function compressedCertificate(key: KeyObject): string {
  const spki = spkiOf(createPublicKey(key));
  const x = spki.subarray(27, 59);
  const odd = (spki[90] ?? 0) & 1;
  const prefix = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');
  return createCertificate(key, Buffer.concat([prefix, Buffer.from([2 + odd]), x]));
}

export function newEcKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** A TCP server on a free port of loopback, closed by `close` with all its sockets. */
export async function tcpServer(onSocket: (socket: Socket) => void): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Bytes that look random and can be made again. */
export function content(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** Resolves when the condition holds; for what becomes true without an event, such as the other end's bookkeeping. */
export async function until(condition: () => boolean, limit = 50_000): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    assert.ok(performance.now() - start < limit, `waited in vain for ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
