import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import type { LookupAddress } from 'node:dns';
import { isIPv4 } from 'node:net';
import { decodeCompact } from '../bittorrent/compact-address.ts';
import { PeerwireError } from '../common/errors.ts';
import { askBothFamilies, type Resolve } from './both-families.ts';
import { isLoopback } from './ip-address.ts';
import { announceInterval, joinAnswers, printable, usablePeers } from './tracker-answer.ts';
import { TrackerRefusal, unreachable } from './tracker-error.ts';
import { TRACKER_KEY } from './tracker-key.ts';
import type { AnnounceRequest, AnnounceResult } from './tracker-types.ts';
import { hostOf } from './tracker-url.ts';

const TIMEOUT = 15_000;
/** The minute for which a connection id holds (BEP 15): each announce gets one of its own. */
const MAX_TIMEOUT = 60_000;
/** Milliseconds before a datagram is sent again; doubles. BEP 15 says 15 s, which suits nobody who waits for it. */
const RETRANSMIT = 1_500;

const PROTOCOL_ID = Buffer.from('0000041727101980', 'hex');
const CONNECT = 0;
const ANNOUNCE = 1;
const ERROR = 3;
/** Bytes of an answer to an announce before its peers. */
const ANNOUNCE_HEAD = 20;
/** Option of BEP 41, and bytes in one of them. */
const URL_DATA = 2;
const MOST_URL_DATA = 255;
const EVENTS = { none: 0, completed: 1, started: 2, stopped: 3 } as const;

/** See `announce`. BEP 15, 41. `url`: that of the request, checked. `resolve`: in place of the system. */
export async function announceByUdp(url: URL, request: AnnounceRequest, resolve?: Resolve): Promise<AnnounceResult> {
  const where = { host: hostOf(url), name: url.host };
  const deadline = { signal: request.signal, timeout: Math.min(request.timeout ?? TIMEOUT, MAX_TIMEOUT) };
  const body = Buffer.concat([announceBody(request), urlData(url)]);
  const askAt = (addresses: readonly LookupAddress[], signal: AbortSignal): Promise<AnnounceResult> => {
    // Of several any will do: with the next announce another has its turn.
    const { address } = addresses[randomInt(addresses.length)] ?? { address: where.host };
    return announceAt(url, address, body, signal);
  };
  return joinAnswers(await askBothFamilies(where, deadline, askAt, resolve));
}

async function announceAt(url: URL, address: string, body: Buffer, signal: AbortSignal): Promise<AnnounceResult> {
  const exchange = new UdpExchange(url);
  const cancel = (): void => exchange.stop(new PeerwireError('cancelled', 'The request was cancelled.'));
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  try {
    await exchange.open(address);
    const connected = await exchange.ask(PROTOCOL_ID, CONNECT, Buffer.alloc(0), 16);
    const answer = await exchange.ask(connected.subarray(8, 16), ANNOUNCE, body, ANNOUNCE_HEAD);
    return readUdpAnnounce(answer, address);
  } catch (error) {
    if (error instanceof PeerwireError && error.code !== 'bad-encoding') throw error;
    if (error instanceof PeerwireError) throw malformed(url, error);
    throw unreachable(error, url.host);
  } finally {
    signal.removeEventListener('abort', cancel);
    exchange.close();
  }
}

/** BEP 15: action, transaction, interval, leechers, seeders, then peers of the family of `address`, the tracker's. Throws `bad-encoding`. */
export function readUdpAnnounce(answer: Buffer, address: string): AnnounceResult {
  if (answer.length < ANNOUNCE_HEAD) throw new PeerwireError('bad-encoding', 'The answer of a tracker is too short.');
  const peers = decodeCompact(answer.subarray(ANNOUNCE_HEAD), isIPv4(address) ? 4 : 6);
  return { interval: announceInterval(answer.readUInt32BE(8)), peers: usablePeers(peers, isLoopback(address)) };
}

/** Order of BEP 15: downloaded, left, uploaded. No address of our own: trackers must not believe one. */
function announceBody(request: AnnounceRequest): Buffer {
  const body = Buffer.alloc(82);
  body.set(request.infoHash20, 0);
  body.set(request.peerId20, 20);
  body.writeBigUInt64BE(BigInt(request.downloaded ?? 0), 40);
  body.writeBigUInt64BE(BigInt(request.left ?? 0), 48);
  body.writeBigUInt64BE(BigInt(request.uploaded ?? 0), 56);
  body.writeUInt32BE(EVENTS[request.event ?? 'none'], 64);
  body.set(TRACKER_KEY, 72);
  body.writeInt32BE(request.numWant ?? -1, 76);
  body.writeUInt16BE(request.port, 80);
  return body;
}

/** BEP 41: path and query of the URL, where they say more than that this is a tracker. */
function urlData({ pathname, search }: URL): Buffer {
  const text = `${pathname}${search}`;
  if (['', '/', '/announce'].includes(text)) return Buffer.alloc(0);
  const parts: Buffer[] = [];
  for (let at = 0; at < text.length; at += MOST_URL_DATA) {
    const part = Buffer.from(text.slice(at, at + MOST_URL_DATA), 'latin1');
    parts.push(Buffer.from([URL_DATA, part.length]), part);
  }
  return Buffer.concat(parts);
}

/** One socket to one tracker; asks one thing at a time, again and again until it is answered. */
class UdpExchange {
  readonly #url: URL;
  #socket: Socket | undefined;
  #stopped: PeerwireError | undefined;
  #reject: ((error: PeerwireError) => void) | undefined;

  constructor(url: URL) {
    this.#url = url;
  }

  async open(address: string): Promise<void> {
    const socket = createSocket(isIPv4(address) ? 'udp4' : 'udp6');
    this.#socket = socket;
    const connected = new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      // Connected: datagrams from anyone else are dropped by the system, and a closed port is reported.
      socket.connect(Number(this.#url.port), address, resolve);
    });
    socket.on('error', (error) => this.stop(unreachable(error, this.#url.host)));
    await this.#orStopped(connected);
  }

  /** Sends `prefix | action | transaction | body`, and resolves with an answer of at least `minLength` bytes. */
  async ask(prefix: Uint8Array, action: number, body: Uint8Array, minLength: number): Promise<Buffer> {
    const header = Buffer.alloc(8);
    header.writeUInt32BE(action, 0);
    // Unpredictable: who cannot see our datagrams cannot forge an answer to them.
    header.writeUInt32BE(randomInt(2 ** 32), 4);
    const datagram = Buffer.concat([prefix, header, body]);
    let timer: NodeJS.Timeout | undefined;
    const send = (delay: number): void => {
      this.#socket?.send(datagram);
      timer = setTimeout(() => send(delay * 2), delay);
    };
    const answered = new Promise<Buffer>((resolve, reject) => {
      this.#socket?.on('message', (message) => {
        if (message.length < 8 || message.readUInt32BE(4) !== header.readUInt32BE(4)) return;
        const kind = message.readUInt32BE(0);
        if (kind === ERROR) reject(this.#refusal(message.subarray(8)));
        else if (kind !== action || message.length < minLength) reject(malformed(this.#url));
        else resolve(message);
      });
    });
    try {
      send(RETRANSMIT);
      return await this.#orStopped(answered);
    } finally {
      clearTimeout(timer);
      this.#socket?.removeAllListeners('message');
    }
  }

  stop(reason: PeerwireError): void {
    this.#stopped ??= reason;
    this.#reject?.(reason);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #orStopped<T>(promise: Promise<T>): Promise<T> {
    if (this.#stopped) {
      promise.catch(() => {});
      return Promise.reject(this.#stopped);
    }
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      promise.then(resolve, reject);
    });
  }

  #refusal(text: Buffer): PeerwireError {
    return new TrackerRefusal(`The tracker ${this.#url.host} refused: “${printable(text)}”.`);
  }
}

function malformed(url: URL, cause?: unknown): PeerwireError {
  return new PeerwireError('tracker', `The tracker ${url.host} sent a malformed answer.`, { cause });
}
