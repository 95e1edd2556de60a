import { isIP } from 'node:net';
import { type BDict, type BValue, bytesOf, dictOf, field, intOf } from '../bittorrent/bencode.ts';
import { decodeCompact, type PeerAddress } from '../bittorrent/compact-address.ts';
import { PeerwireError } from '../common/errors.ts';
import { isLinkLocal, isLoopback, isUnreachable, plainAddress } from './ip-address.ts';
import type { AnnounceResult, ScrapeResult } from './tracker-types.ts';

const MAX_PEERS = 200;
const MIN_INTERVAL = 5_000;
const MAX_INTERVAL = 24 * 3_600_000;
const MAX_TRACKER_ID = 256;

/**
 * Reads an announce answer. `onThisMachine`: the tracker is, so its loopback addresses are ours too; from elsewhere
 * they would make us dial services of our own. Throws `tracker`.
 */
export function readAnnounce(dict: BDict, onThisMachine: boolean): AnnounceResult {
  try {
    const interval = announceInterval(intOf(field(dict, 'interval')));
    const minInterval = field(dict, 'min interval', (value) => announceInterval(intOf(value)));
    const warning = field(dict, 'warning message', printable);
    const trackerId = readTrackerId(dict);
    const externalAddress = field(dict, 'external ip', readAddress);
    const peers = [
      ...readPeers(field(dict, 'peers')),
      ...(field(dict, 'peers6', (value) => decodeCompact(bytesOf(value), 6)) ?? []),
    ];
    return {
      interval,
      ...(minInterval !== undefined && { minInterval }),
      peers: usablePeers(peers, onThisMachine),
      ...(trackerId !== undefined && { trackerId }),
      ...(externalAddress !== undefined && { externalAddress }),
      ...(warning !== undefined && { warning }),
    };
  } catch (error) {
    throw new PeerwireError('tracker', 'The tracker sent a malformed answer.', { cause: error });
  }
}

/** What a tracker said by IPv4 and by IPv6 as one answer: peers of both in turns, the longer times to wait. */
export function joinAnswers(answers: readonly AnnounceResult[]): AnnounceResult {
  const [first, second] = answers;
  if (first === undefined) throw new RangeError('at least one answer');
  if (second === undefined) return first;
  const minIntervals = answers.flatMap(({ minInterval }) => minInterval ?? []);
  const turns = Array.from({ length: MAX_PEERS }, (_, turn) => [first.peers[turn], second.peers[turn]]);
  return {
    ...second,
    ...first,
    interval: Math.max(first.interval, second.interval),
    ...(minIntervals.length > 0 && { minInterval: Math.max(...minIntervals) }),
    peers: unique(turns.flat().filter((peer) => peer !== undefined)).slice(0, MAX_PEERS),
  };
}

/** What a tracker that refuses says of when to ask again (BEP 31): see `TrackerRefusal.retryIn`. Never throws. */
export function readRetryIn(dict: BDict): number | undefined {
  const value = dict.get('retry in');
  if (Buffer.isBuffer(value)) return value.toString('latin1') === 'never' ? Number.POSITIVE_INFINITY : undefined;
  const minutes = typeof value === 'number' ? value : Number.NaN;
  return minutes >= 0 ? Math.min(minutes * 60_000, MAX_INTERVAL) : undefined;
}

/** Undefined also when it is too long to be said again. */
function readTrackerId(dict: BDict): Uint8Array | undefined {
  const id = field(dict, 'tracker id', bytesOf);
  return id !== undefined && id.length <= MAX_TRACKER_ID ? Buffer.from(id) : undefined;
}

/** BEP 24: 4 or 16 bytes; what is neither is left out, as it is only for people. */
function readAddress(value: BValue): string | undefined {
  const bytes = bytesOf(value);
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  const family = bytes.length === 4 ? 4 : 6;
  return plainAddress(decodeCompact(Buffer.concat([bytes, Buffer.from([0, 1])]), family)[0]?.host ?? '') || undefined;
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

/** Of seconds that a tracker asks us to wait. */
export function announceInterval(seconds: number): number {
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

/** The addresses worth dialing, each once, at most 200. `onThisMachine`: see `readAnnounce`. */
export function usablePeers(peers: readonly PeerAddress[], onThisMachine: boolean): PeerAddress[] {
  const possible = peers
    .map(({ host, port }) => ({ host: plainAddress(host), port }))
    .filter(({ host, port }) => isPossible(host, port, onThisMachine));
  return unique(possible).slice(0, MAX_PEERS);
}

function unique(peers: readonly PeerAddress[]): PeerAddress[] {
  return [...new Map(peers.map((peer) => [`${peer.host} ${peer.port}`, peer])).values()];
}

function isPossible(host: string, port: number, onThisMachine: boolean): boolean {
  if (isIP(host) === 0 || port < 1 || port > 65_535) return false;
  // Link-local: metadata services of clouds live there, and local discovery finds peers there anyway.
  if (isUnreachable(host) || isLinkLocal(host)) return false;
  return onThisMachine || !isLoopback(host);
}

/** Words of a stranger for our log and user interface: one short line. */
export function printable(value: BValue): string {
  const text = Buffer.isBuffer(value) ? value.toString('utf8') : '';
  return text
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}\ufffd]/gu, ' ')
    .slice(0, 200)
    .trim();
}
