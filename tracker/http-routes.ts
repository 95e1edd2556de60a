import { newAnnounceQuery, parseAnnounce, parseScrape } from './query.ts';
import { compactReply, dictionaryReply, failureReply, httpReply, type Intervals, scrapeReply } from './reply.ts';
import type { TrackerStats } from './stats.ts';
import type { SwarmStore } from './swarm-store.ts';

export interface HttpRoutesOptions {
  readonly store: SwarmStore;
  readonly stats: TrackerStats;
  readonly intervals: Intervals;
  /** Milliseconds of the store's clock. */
  readonly now: () => number;
  /** What `GET /stats` reports besides the counters. */
  readonly describe: () => Record<string, number>;
}

/** Answers one request target with a whole HTTP response. */
export class HttpRoutes {
  readonly #options: HttpRoutesOptions;
  readonly #query = newAnnounceQuery();

  constructor(options: HttpRoutesOptions) {
    this.#options = options;
  }

  respond(target: string, address: Uint8Array, keepAlive: boolean): Buffer {
    if (target.startsWith('/announce?')) return this.#announce(target, address, keepAlive);
    const path = originForm(target);
    if (path === undefined) return this.#refuse(400, 'Bad request target.\n', keepAlive);
    const mark = path.indexOf('?');
    switch (mark < 0 ? path : path.slice(0, mark)) {
      case '/announce':
        return this.#announce(path, address, keepAlive);
      case '/scrape':
        return this.#scrape(path, keepAlive);
      case '/stats':
        return httpReply(200, 'application/json', `${JSON.stringify(this.#options.describe())}\n`, keepAlive);
      case '/': {
        const { swarms, peers } = this.#options.store.counts;
        return httpReply(200, 'text/plain', `Peerwire tracker: ${swarms} swarms, ${peers} peers.\n`, keepAlive);
      }
      default:
        return this.#refuse(404, 'Not found.\n', keepAlive);
    }
  }

  #announce(target: string, address: Uint8Array, keepAlive: boolean): Buffer {
    const { store, stats, intervals, now } = this.#options;
    const query = this.#query;
    const failure = parseAnnounce(target, queryStart(target), query);
    if (failure !== undefined) return this.#fail(failure, keepAlive);
    stats.httpAnnounces++;
    const answer = store.announce(
      {
        infoHash: query.infoHash,
        address,
        port: query.port,
        peerId: query.peerId,
        seed: query.seed,
        event: query.event,
        numWant: query.numWant,
      },
      now(),
    );
    if (query.compact) return compactReply(answer, store.pool, intervals, keepAlive);
    return httpReply(200, 'text/plain', dictionaryReply(answer, store.pool, intervals, query), keepAlive);
  }

  #scrape(target: string, keepAlive: boolean): Buffer {
    const hashes = parseScrape(target, queryStart(target));
    if (typeof hashes === 'string') return this.#fail(hashes, keepAlive);
    this.#options.stats.httpScrapes++;
    const body = scrapeReply(hashes, (hash) => this.#options.store.scrape(hash));
    return httpReply(200, 'text/plain', body, keepAlive);
  }

  /** BEP 3: failures are bencoded replies with a good status, so that clients show the reason. */
  #fail(reason: string, keepAlive: boolean): Buffer {
    this.#options.stats.httpRefused++;
    return httpReply(200, 'text/plain', failureReply(reason), keepAlive);
  }

  #refuse(status: 400 | 404, text: string, keepAlive: boolean): Buffer {
    this.#options.stats.httpRefused++;
    return httpReply(status, 'text/plain', text, keepAlive);
  }
}

/** RFC 9112: a server must accept `GET http://host/path`, too. */
function originForm(target: string): string | undefined {
  if (target.startsWith('/')) return target;
  const match = /^https?:\/\/[^/?]*(\/.*)?$/i.exec(target);
  return match === null ? undefined : (match[1] ?? '/');
}

function queryStart(target: string): number {
  const mark = target.indexOf('?');
  return mark < 0 ? target.length : mark + 1;
}
