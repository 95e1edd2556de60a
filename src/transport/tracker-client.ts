import { isIP } from 'node:net';
import { type BDict, type BValue, bytesOf, decode, dictOf, field, intOf } from '../bittorrent/bencode.ts';
import { decodeCompact, type PeerAddress } from '../bittorrent/compact-address.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { type HttpGet, nodeHttpGet } from './http-get.ts';
import { isLinkLocal, isLoopback, isUnreachable, plainAddress } from './ip-address.ts';
import { checkTrackerUrl, hostOf, mayBeLocal } from './tracker-url.ts';

export type AnnounceEvent = 'started' | 'completed' | 'stopped';

export interface AnnounceRequest {
  /** `http:` or `https:`. */
  readonly url: string;
  /** 20 bytes. */
  readonly infoHash20: Uint8Array;
  /** 20 bytes. */
  readonly peerId20: Uint8Array;
  /** Our listening port; 0 when outbound only. */
  readonly port: number;
  readonly event?: AnnounceEvent;
  readonly uploaded?: number;
  readonly downloaded?: number;
  readonly left?: number;
  readonly numWant?: number;
  readonly signal?: AbortSignal;
  /** Milliseconds, default 15,000. */
  readonly timeout?: number;
}

export interface AnnounceResult {
  /** Milliseconds to wait before the next announce, between 5 seconds and a day. */
  readonly interval: number;
  /** Milliseconds that the tracker demands at least. */
  readonly minInterval?: number;
  /** At most 200, in the tracker's order, without duplicates and impossible addresses. Not to be trusted. */
  readonly peers: readonly PeerAddress[];
  /** The tracker's own words, made printable. */
  readonly warning?: string;
}

/** Bytes of an answer (reference/security.md §2). */
const MAX_ANSWER = 64 * 1024;
const TIMEOUT = 15_000;
const MAX_PEERS = 200;
const MIN_INTERVAL = 5_000;
const MAX_INTERVAL = 24 * 3_600_000;

/**
 * Tells a tracker that we are here and asks who else is (BEP 3, 7, 23). Rejects with `tracker` (what the tracker
 * answered), `connection`, `timeout`, `cancelled` or `unsupported` (its URL).
 */
export async function announce(request: AnnounceRequest, get: HttpGet = nodeHttpGet): Promise<AnnounceResult> {
  const url = httpTracker(request.url);
  const query: (readonly [string, string | number])[] = [
    ['info_hash', percentEncode(request.infoHash20)],
    ['peer_id', percentEncode(request.peerId20)],
    ['port', request.port],
    ['uploaded', request.uploaded ?? 0],
    ['downloaded', request.downloaded ?? 0],
    ['left', request.left ?? 0],
    ['compact', 1],
  ];
  if (request.numWant !== undefined) query.push(['numwant', request.numWant]);
  if (request.event !== undefined) query.push(['event', request.event]);
  const answer = await ask(url, url, query, request, get);
  return readAnnounce(answer, isLoopback(hostOf(url)) || hostOf(url) === 'localhost');
}

export interface ScrapeRequest {
  /** The announce URL. */
  readonly url: string;
  /** 20 bytes. */
  readonly infoHash20: Uint8Array;
  readonly signal?: AbortSignal;
  /** Milliseconds, default 15,000. */
  readonly timeout?: number;
}

export interface ScrapeResult {
  /** Seeders. */
  readonly complete: number;
  /** Leechers. */
  readonly incomplete: number;
  /** How often a download was completed, ever. */
  readonly downloaded: number;
}

/** Asks for counts alone (BEP 48). Rejects like `announce`, with `unsupported` also when the URL has no scrape form. */
export async function scrape(request: ScrapeRequest, get: HttpGet = nodeHttpGet): Promise<ScrapeResult> {
  const url = httpTracker(request.url);
  const answer = await ask(url, scrapeUrl(url), [['info_hash', percentEncode(request.infoHash20)]], request, get);
  return readScrape(answer, request.infoHash20);
}

function httpTracker(text: string): URL {
  const url = checkTrackerUrl(text);
  if (url.protocol === 'udp:') throw new PeerwireError('unsupported', `${url.host} is a UDP tracker.`);
  return url;
}

/** BEP 48: only the last part of the path changes, and only if it starts with `announce`. */
function scrapeUrl(url: URL): URL {
  const scraped = new URL(url);
  const at = url.pathname.lastIndexOf('/') + 1;
  if (!url.pathname.startsWith('announce', at)) {
    throw new PeerwireError('unsupported', `${url.host} cannot be asked for counts.`);
  }
  scraped.pathname = `${url.pathname.slice(0, at)}scrape${url.pathname.slice(at + 'announce'.length)}`;
  return scraped;
}

async function ask(
  tracker: URL,
  url: URL,
  query: readonly (readonly [string, string | number])[],
  { signal, timeout = TIMEOUT }: { readonly signal?: AbortSignal; readonly timeout?: number },
  get: HttpGet,
): Promise<BDict> {
  const fields = query.map(([name, value]) => `${name}=${value}`).join('&');
  const target = `${url.href}${url.search === '' ? '?' : '&'}${fields}`;
  let answer: Awaited<ReturnType<HttpGet>>;
  try {
    const limits = { maxBytes: MAX_ANSWER, timeout, allowLocal: mayBeLocal(tracker) };
    answer = await get(target, { ...limits, ...(signal && { signal }) });
  } catch (error) {
    throw toPeerwireError(error, `The tracker ${url.host} failed`);
  }
  // The injected client may have its own idea of size.
  if (answer.body.length > MAX_ANSWER) throw badAnswer(url, 'its answer is too long');
  if (answer.status >= 300 && answer.status < 400) throw badAnswer(url, 'it redirects elsewhere');
  return readAnswer(url, answer.status, answer.body);
}

/** Trackers report failures with status 200 or with an HTTP error; the dictionary, when there is one, knows more. */
function readAnswer(url: URL, status: number, body: Uint8Array): BDict {
  let dict: BDict;
  try {
    dict = dictOf(decode(body, { depth: 8 }));
  } catch (error) {
    throw badAnswer(url, status === 200 ? 'its answer is malformed' : `it answered with HTTP status ${status}`, error);
  }
  const failure = field(dict, 'failure reason');
  if (failure !== undefined) throw badAnswer(url, `“${printable(failure)}”`);
  if (status !== 200) throw badAnswer(url, `it answered with HTTP status ${status}`);
  return dict;
}

/**
 * Reads an announce answer. `onThisMachine`: the tracker is, so its loopback addresses are ours too; from elsewhere
 * they would make us dial services of our own. Throws `tracker`.
 */
export function readAnnounce(dict: BDict, onThisMachine: boolean): AnnounceResult {
  try {
    const interval = milliseconds(intOf(field(dict, 'interval')));
    const minInterval = field(dict, 'min interval', (value) => milliseconds(intOf(value)));
    const warning = field(dict, 'warning message', printable);
    const peers = [
      ...readPeers(field(dict, 'peers')),
      ...(field(dict, 'peers6', (value) => decodeCompact(bytesOf(value), 6)) ?? []),
    ];
    const possible = peers
      .map(({ host, port }) => ({ host: plainAddress(host), port }))
      .filter(({ host, port }) => isPossible(host, port, onThisMachine));
    const unique = new Map(possible.map((peer) => [`${peer.host} ${peer.port}`, peer]));
    return {
      interval,
      ...(minInterval !== undefined && { minInterval }),
      peers: [...unique.values()].slice(0, MAX_PEERS),
      ...(warning !== undefined && { warning }),
    };
  } catch (error) {
    throw new PeerwireError('tracker', 'The tracker sent a malformed answer.', { cause: error });
  }
}

/** Reads a scrape answer; zeros when the tracker does not know the infohash. Throws `tracker`. */
export function readScrape(dict: BDict, infoHash20: Uint8Array): ScrapeResult {
  try {
    const files = dictOf(field(dict, 'files'));
    const counts = files.get(Buffer.from(infoHash20).toString('latin1'));
    const count = (name: string): number => (counts && field(dictOf(counts), name, (value) => intOf(value, 0))) ?? 0;
    return { complete: count('complete'), incomplete: count('incomplete'), downloaded: count('downloaded') };
  } catch (error) {
    throw new PeerwireError('tracker', 'The tracker sent a malformed answer.', { cause: error });
  }
}

function milliseconds(seconds: number): number {
  return Math.min(MAX_INTERVAL, Math.max(MIN_INTERVAL, seconds * 1000));
}

/** BEP 23: a string of 6-byte entries; BEP 3: a list of dictionaries, from trackers that ignore `compact`. */
function readPeers(value: BValue | undefined): PeerAddress[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value.map(readPeer) : decodeCompact(bytesOf(value), 4);
}

/** BEP 3 allows names, which would have us look up whatever a tracker likes: only addresses count. */
function readPeer(value: BValue): PeerAddress {
  const dict = dictOf(value);
  return { host: bytesOf(field(dict, 'ip')).toString('latin1'), port: intOf(field(dict, 'port')) };
}

function isPossible(host: string, port: number, onThisMachine: boolean): boolean {
  if (isIP(host) === 0 || port < 1 || port > 65_535) return false;
  // Link-local: metadata services of clouds live there, and local discovery finds peers there anyway.
  if (isUnreachable(host) || isLinkLocal(host)) return false;
  return onThisMachine || !isLoopback(host);
}

function percentEncode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').replaceAll(/../g, '%$&');
}

/** Words of a stranger for our log and user interface: one short line. */
function printable(value: BValue): string {
  const text = Buffer.isBuffer(value) ? value.toString('utf8') : '';
  return text
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}\ufffd]/gu, ' ')
    .slice(0, 200)
    .trim();
}

function badAnswer(url: URL, problem: string, cause?: unknown): PeerwireError {
  return new PeerwireError('tracker', `The tracker ${url.host} failed: ${problem}.`, { cause });
}
