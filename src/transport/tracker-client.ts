import { PeerwireError } from '../common/errors.ts';

/** One GET without redirects. Rejects when the answer is larger than `maxBytes` or later than `timeout` ms. */
export type HttpGet = (
  url: string,
  options: { readonly maxBytes: number; readonly timeout: number; readonly signal?: AbortSignal },
) => Promise<HttpAnswer>;

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

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

export interface PeerAddress {
  /** An IP address, never a name. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
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

/** Rejects with `tracker` (what the tracker answered), `connection`, `timeout`, `cancelled` or `unsupported` (its URL). */
export async function announce(_request: AnnounceRequest, _get?: HttpGet): Promise<AnnounceResult> {
  throw new PeerwireError('internal', 'not written yet');
}
