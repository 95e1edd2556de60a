import { PeerwireError } from '../common/errors.ts';
import type { HttpGet } from './http-get.ts';
import { announceByHttp, scrapeByHttp } from './http-tracker.ts';
import type { AnnounceRequest, AnnounceResult, ScrapeRequest, ScrapeResult } from './tracker-types.ts';
import { checkTrackerUrl } from './tracker-url.ts';
import { announceByUdp } from './udp-tracker.ts';

export type { AnnounceEvent, AnnounceRequest, AnnounceResult, ScrapeRequest, ScrapeResult } from './tracker-types.ts';

/**
 * Tells a tracker that we are here and asks who else is, by both IP families where its name leads to both. Rejects with `tracker` (what the tracker answered),
 * `connection`, `timeout`, `cancelled` or `unsupported` (its URL). `get`: for HTTP trackers.
 */
export async function announce(request: AnnounceRequest, get?: HttpGet): Promise<AnnounceResult> {
  const url = checkTrackerUrl(request.url);
  return await (url.protocol === 'udp:' ? announceByUdp(url, request) : announceByHttp(url, request, get));
}

/** Asks an HTTP tracker for counts alone. Rejects like `announce`; `unsupported` also when it cannot be asked. */
export async function scrape(request: ScrapeRequest, get?: HttpGet): Promise<ScrapeResult> {
  const url = checkTrackerUrl(request.url);
  if (url.protocol === 'udp:') throw new PeerwireError('unsupported', `${url.host} is a UDP tracker.`);
  return await scrapeByHttp(url, request, get);
}
