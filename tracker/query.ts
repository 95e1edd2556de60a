/**
 * Reads the query of an announce or scrape straight from the request target. `info_hash` and `peer_id` are raw bytes in
 * percent-encoding, not text (BEP 3), so nothing here goes through a URL parser. Parameters that name an address
 * (`ip`, `ipv4`, `ipv6`) are ignored: with them a client could aim a swarm at somebody else.
 */
import { DEFAULT_NUM_WANT, SCRAPE_HASHES } from './limits.ts';
import type { AnnounceEvent } from './swarm-store.ts';

/** What the client said. Reused by the parser: read it before the next call. */
export interface AnnounceQuery {
  /** 20 bytes as latin1 text. */
  infoHash: string;
  readonly peerId: Buffer;
  port: number;
  seed: boolean;
  event: AnnounceEvent;
  numWant: number;
  /** BEP 23 unless the client asks for `compact=0`. */
  compact: boolean;
  /** Leave peer ids out of the dictionary form. */
  noPeerId: boolean;
}

const HASH = Buffer.alloc(20);

export function newAnnounceQuery(): AnnounceQuery {
  return {
    infoHash: '',
    peerId: Buffer.alloc(20),
    port: 0,
    seed: false,
    event: 'none',
    numWant: DEFAULT_NUM_WANT,
    compact: true,
    noPeerId: false,
  };
}

/** Parses `target` from `start` (after the `?`) into `query`; returns the failure reason of a bad one. */
export function parseAnnounce(target: string, start: number, query: AnnounceQuery): string | undefined {
  let hash = false;
  let peerId = false;
  let port = -1;
  query.seed = false;
  query.event = 'none';
  query.numWant = DEFAULT_NUM_WANT;
  query.compact = true;
  query.noPeerId = false;

  for (let at = start; at < target.length; ) {
    let end = target.indexOf('&', at);
    if (end < 0) end = target.length;
    const equals = target.indexOf('=', at);
    if (equals >= at && equals < end) {
      const from = equals + 1;
      switch (target.slice(at, equals)) {
        case 'info_hash':
          hash = decodeBytes(target, from, end, HASH);
          if (!hash) return 'info_hash must be 20 bytes.';
          query.infoHash = HASH.toString('latin1', 0, 20);
          break;
        case 'peer_id':
          peerId = decodeBytes(target, from, end, query.peerId);
          if (!peerId) return 'peer_id must be 20 bytes.';
          break;
        case 'port':
          port = decimal(target, from, end);
          if (port < 0 || port > 65535) return 'port must be 0 to 65535.';
          break;
        case 'left':
          query.seed = decimal(target, from, end) === 0;
          break;
        case 'numwant': {
          const numWant = decimal(target, from, end);
          if (numWant >= 0) query.numWant = numWant;
          break;
        }
        case 'event':
          query.event = eventOf(target.slice(from, end));
          break;
        case 'compact':
          query.compact = !(end - from === 1 && target.charCodeAt(from) === 0x30);
          break;
        case 'no_peer_id':
          query.noPeerId = end - from === 1 && target.charCodeAt(from) === 0x31;
          break;
      }
    }
    at = end + 1;
  }
  if (!hash) return 'info_hash is missing.';
  if (!peerId) return 'peer_id is missing.';
  if (port < 0) return 'port is missing.';
  query.port = port;
  return undefined;
}

/** The infohashes of a scrape as latin1 text, or the failure reason. */
export function parseScrape(target: string, start: number): string[] | string {
  const hashes: string[] = [];
  for (let at = start; at < target.length; ) {
    let end = target.indexOf('&', at);
    if (end < 0) end = target.length;
    if (target.startsWith('info_hash=', at) && at + 10 <= end) {
      if (!decodeBytes(target, at + 10, end, HASH)) return 'info_hash must be 20 bytes.';
      if (hashes.length === SCRAPE_HASHES) return `At most ${SCRAPE_HASHES} infohashes can be scraped at once.`;
      hashes.push(HASH.toString('latin1', 0, 20));
    }
    at = end + 1;
  }
  // A full scrape would hand out everybody's rendezvous.
  return hashes.length > 0 ? hashes : 'info_hash is missing: full scrapes are not answered.';
}

/** Percent-decodes exactly `bytes.length` bytes; false when there are fewer, more, or broken escapes. */
function decodeBytes(text: string, from: number, end: number, bytes: Buffer): boolean {
  let at = from;
  for (let i = 0; i < bytes.length; i++) {
    if (at >= end) return false;
    let byte = text.charCodeAt(at++);
    if (byte === 0x25) {
      if (at + 2 > end) return false;
      byte = (hexDigit(text.charCodeAt(at)) << 4) | hexDigit(text.charCodeAt(at + 1));
      if (byte < 0) return false;
      at += 2;
    } else if (byte === 0x2b) byte = 0x20; // As form encoders write a space.
    if (byte > 255) return false;
    bytes[i] = byte;
  }
  return at === end;
}

/** Negative for anything else, also after shifting and or-ing. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -256;
}

/** -1 when it is not a plain decimal number, or too long to be exact. */
function decimal(text: string, from: number, end: number): number {
  if (from >= end || end - from > 15) return -1;
  let value = 0;
  for (let at = from; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function eventOf(text: string): AnnounceEvent {
  return text === 'started' || text === 'completed' || text === 'stopped' ? text : 'none';
}
