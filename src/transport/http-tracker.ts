import { type BDict, decode, dictOf, field } from '../bittorrent/bencode.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { HttpGet } from './http-get.ts';
import { isLoopback } from './ip-address.ts';
import { printable, readAnnounce, readRetryIn, readScrape } from './tracker-answer.ts';
import { TrackerRefusal } from './tracker-error.ts';
import { TRACKER_KEY } from './tracker-key.ts';
import type { AnnounceRequest, AnnounceResult, ScrapeRequest, ScrapeResult } from './tracker-types.ts';
import { hostOf, mayBeLocal } from './tracker-url.ts';

/** Bytes of an answer (reference/security.md §2). */
const MAX_ANSWER = 64 * 1024;
const TIMEOUT = 15_000;

/** See `announce`. BEP 3, 7, 23. `url`: that of the request, checked. */
export async function announceByHttp(url: URL, request: AnnounceRequest, get: HttpGet): Promise<AnnounceResult> {
  const query: (readonly [string, string | number])[] = [
    ['info_hash', percentEncode(request.infoHash20)],
    ['peer_id', percentEncode(request.peerId20)],
    ['port', request.port],
    ['uploaded', request.uploaded ?? 0],
    ['downloaded', request.downloaded ?? 0],
    ['left', request.left ?? 0],
    ['compact', 1],
    ['key', TRACKER_KEY.toString('hex')],
  ];
  if (request.numWant !== undefined) query.push(['numwant', request.numWant]);
  if (request.event !== undefined) query.push(['event', request.event]);
  if (request.trackerId !== undefined) query.push(['trackerid', percentEncode(request.trackerId)]);
  const { dict, date } = await ask(url, url, query, request, get);
  const result = readAnnounce(dict, isLoopback(hostOf(url)) || hostOf(url) === 'localhost');
  return date === undefined ? result : { ...result, date };
}

/** See `scrape`. BEP 48. */
export async function scrapeByHttp(url: URL, request: ScrapeRequest, get: HttpGet): Promise<ScrapeResult> {
  const { dict } = await ask(url, scrapeUrl(url), [['info_hash', percentEncode(request.infoHash20)]], request, get);
  return readScrape(dict, request.infoHash20);
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
): Promise<{ readonly dict: BDict; readonly date: number | undefined }> {
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
  return { dict: readAnswer(url, answer.status, answer.body), date: answer.date };
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
  if (failure !== undefined)
    throw new TrackerRefusal(`The tracker ${url.host} refused: “${printable(failure)}”.`, readRetryIn(dict));
  if (status !== 200) throw badAnswer(url, `it answered with HTTP status ${status}`);
  return dict;
}

function percentEncode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').replaceAll(/../g, '%$&');
}

function badAnswer(url: URL, problem: string, cause?: unknown): PeerwireError {
  return new PeerwireError('tracker', `The tracker ${url.host} failed: ${problem}.`, { cause });
}
