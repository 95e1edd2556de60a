import type { PeerAddress } from '../bittorrent/compact-address.ts';

export type AnnounceEvent = 'started' | 'completed' | 'stopped';

export interface AnnounceRequest {
  /** `http:`, `https:` or `udp:`. */
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
  /** What an HTTP tracker called us in its last answer (`tracker id`). */
  readonly trackerId?: Uint8Array;
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
  /** What time it is at the tracker, in ms since the Unix epoch, to the second; HTTP trackers tell. Not to be trusted. */
  readonly date?: number;
  /** HTTP: to be said again at the next announce. At most 256 bytes. */
  readonly trackerId?: Uint8Array;
  /** BEP 24: the address at which the tracker sees us. Not to be trusted. */
  readonly externalAddress?: string;
  /** The tracker's own words, made printable. */
  readonly warning?: string;
}

export interface ScrapeResult {
  /** Seeders. */
  readonly complete: number;
  /** Leechers. */
  readonly incomplete: number;
  /** How often a download was completed, ever. */
  readonly downloaded: number;
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
