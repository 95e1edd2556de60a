import { type Encodable, encode } from '../src/bittorrent/bencode.ts';
import { formatAddress } from './address.ts';
import type { PeerPool } from './peer-pool.ts';
import type { AnnounceQuery } from './query.ts';
import type { Answer, Refusal, SwarmCounts } from './swarm-store.ts';

/** Seconds that clients are told to wait between announces, and that they must wait at least. */
export interface Intervals {
  readonly interval: number;
  readonly minInterval: number;
}

const WARNINGS: Record<Refusal, string> = {
  'tracker-full': 'The tracker is full: others cannot find you here.',
  'swarm-full': 'This swarm is full: others cannot find you here.',
  'address-full': 'Too many peers announce from your address: others cannot find you here.',
};

/** The whole HTTP response to an announce with compact peers (BEP 23, BEP 7), in one allocation. */
export function compactReply(answer: Answer, pool: PeerPool, intervals: Intervals, keepAlive: boolean): Buffer {
  const { ipv4, ipv6, refusal } = answer;
  const start = `d8:completei${answer.complete}e10:incompletei${answer.incomplete}e8:intervali${intervals.interval}e12:min intervali${intervals.minInterval}e5:peers${ipv4.length * 6}:`;
  const between = ipv6.length > 0 ? `6:peers6${ipv6.length * 18}:` : '';
  const warning = refusal === undefined ? '' : WARNINGS[refusal];
  const end = warning === '' ? 'e' : `15:warning message${warning.length}:${warning}e`;
  const length = start.length + ipv4.length * 6 + between.length + ipv6.length * 18 + end.length;

  const head = httpHead(200, 'text/plain', length, keepAlive) + start;
  const reply = Buffer.allocUnsafe(head.length + length - start.length);
  let at = reply.write(head, 0, 'latin1');
  for (const slot of ipv4) at = pool.copyEntry(slot, reply, at);
  if (between !== '') at += reply.write(between, at, 'latin1');
  for (const slot of ipv6) at = pool.copyEntry(slot, reply, at);
  reply.write(end, at, 'latin1');
  return reply;
}

/** The body of an announce reply with peers as dictionaries (BEP 3), for clients that ask for `compact=0`. */
export function dictionaryReply(answer: Answer, pool: PeerPool, intervals: Intervals, query: AnnounceQuery): Buffer {
  const peers = [...answer.ipv4, ...answer.ipv6].map((slot) => ({
    ip: formatAddress(pool.address(slot)),
    'peer id': query.noPeerId ? undefined : Buffer.from(pool.peerId(slot)),
    port: pool.port(slot),
  }));
  return encode({
    complete: answer.complete,
    incomplete: answer.incomplete,
    interval: intervals.interval,
    'min interval': intervals.minInterval,
    peers,
    'warning message': answer.refusal === undefined ? undefined : WARNINGS[answer.refusal],
  });
}

/** BEP 48. Infohashes that nobody announces are left out. */
export function scrapeReply(hashes: readonly string[], scrape: (hash: string) => SwarmCounts | undefined): Buffer {
  const files = new Map<string, Encodable>();
  for (const hash of hashes) {
    const counts = scrape(hash);
    if (counts === undefined) continue;
    files.set(hash, { complete: counts.complete, downloaded: counts.downloaded, incomplete: counts.incomplete });
  }
  return encode({ files });
}

export function failureReply(reason: string): Buffer {
  return encode({ 'failure reason': reason });
}

export type HttpStatus = 200 | 400 | 404 | 405 | 431 | 503;

const STATUS_LINES: Record<HttpStatus, string> = {
  200: 'HTTP/1.1 200 OK',
  400: 'HTTP/1.1 400 Bad Request',
  404: 'HTTP/1.1 404 Not Found',
  405: 'HTTP/1.1 405 Method Not Allowed\r\nAllow: GET',
  431: 'HTTP/1.1 431 Request Header Fields Too Large',
  503: 'HTTP/1.1 503 Service Unavailable',
};

export function httpReply(status: HttpStatus, type: string, body: Buffer | string, keepAlive: boolean): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return Buffer.concat([Buffer.from(httpHead(status, type, bytes.length, keepAlive)), bytes]);
}

function httpHead(status: HttpStatus, type: string, length: number, keepAlive: boolean): string {
  const connection = keepAlive ? '' : 'Connection: close\r\n';
  return `${STATUS_LINES[status]}\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n${connection}\r\n`;
}
