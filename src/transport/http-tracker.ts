import { type BDict, decode, dictOf, field } from '../bittorrent/bencode.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { askBothFamilies, type Resolve } from './both-families.ts';
import { type HttpAnswer, type HttpGet, type HttpGetOptions, mayUseProxy, nodeHttpGet } from './http-get.ts';
import { isLoopback } from './ip-address.ts';
import { joinAnswers, printable, readAnnounce, readRetryIn, readScrape } from './tracker-answer.ts';
import { TrackerRefusal } from './tracker-error.ts';
import { TRACKER_KEY } from './tracker-key.ts';
import type { AnnounceRequest, AnnounceResult, ScrapeRequest, ScrapeResult } from './tracker-types.ts';
import { hostOf, mayBeLocal, mayBePrivate } from './tracker-url.ts';

/** Bytes of an answer (reference/security.md §2). */
const MAX_ANSWER = 64 * 1024;
const TIMEOUT = 15_000;

/**
 * See `announce`. BEP 3, 7, 23, 24, 31. `url`: that of the request, checked. `get`: in place of Node's client, finds the
 * host by itself. `resolve`: in place of the system.
 */
export async function announceByHttp(
  url: URL,
  request: AnnounceRequest,
  get?: HttpGet,
  resolve?: Resolve,
): Promise<AnnounceResult> {
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
  const onThisMachine = isLoopback(hostOf(url)) || hostOf(url) === 'localhost';
  const answers = await ask(url, url, query, { ...request, get, resolve }, ({ dict, date }) => {
    const result = readAnnounce(dict, onThisMachine);
    return date === undefined ? result : { ...result, date };
  });
  return joinAnswers(answers);
}

/** See `scrape`. BEP 48. */
export async function scrapeByHttp(url: URL, request: ScrapeRequest, get?: HttpGet): Promise<ScrapeResult> {
  const query = [['info_hash', percentEncode(request.infoHash20)]] as const;
  const [first] = await ask(url, scrapeUrl(url), query, { ...request, get }, ({ dict }) =>
    readScrape(dict, request.infoHash20),
  );
  if (first === undefined) throw badAnswer(url, 'its answer is malformed');
  return first;
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

interface Answer {
  readonly dict: BDict;
  readonly date: number | undefined;
}

interface AskOptions {
  readonly signal?: AbortSignal;
  readonly timeout?: number;
  readonly get?: HttpGet | undefined;
  readonly resolve?: Resolve | undefined;
}

/** What `read` makes of the one answer, or of the answers by each IP family. */
async function ask<T>(
  tracker: URL,
  url: URL,
  query: readonly (readonly [string, string | number])[],
  { signal, timeout = TIMEOUT, get, resolve }: AskOptions,
  read: (answer: Answer) => T,
): Promise<T[]> {
  const fields = query.map(([name, value]) => `${name}=${value}`).join('&');
  const target = `${url.href}${url.search === '' ? '?' : '&'}${fields}`;
  const limits = {
    maxBytes: MAX_ANSWER,
    timeout,
    allowLocal: mayBeLocal(tracker),
    allowPrivate: mayBePrivate(tracker),
  };
  const askBy = async (client: HttpGet, options: HttpGetOptions): Promise<T> => {
    const answer = await client(target, options).catch((error: unknown) => {
      throw toPeerwireError(error, `The tracker ${url.host} failed`);
    });
    return read(readHttpAnswer(url, answer));
  };
  // A proxy finds the host, too, and goes there by the family that it likes.
  if (get !== undefined || mayUseProxy(url))
    return [await askBy(get ?? nodeHttpGet, { ...limits, ...(signal && { signal }) })];
  return await askBothFamilies(
    { host: hostOf(url), name: url.host },
    { signal, timeout },
    (addresses, ended) => askBy(nodeHttpGet, { ...limits, addresses, signal: ended }),
    resolve,
  );
}

function readHttpAnswer(url: URL, { status, body, date }: HttpAnswer): Answer {
  // The injected client may have its own idea of size.
  if (body.length > MAX_ANSWER) throw badAnswer(url, 'its answer is too long');
  if (status >= 300 && status < 400) {
    throw badAnswer(url, 'it redirects elsewhere, which is not followed: use the address that it leads to');
  }
  return { dict: readAnswer(url, status, body), date };
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
