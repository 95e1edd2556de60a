/** What a tracker gives to strangers at most. Loopback is exempt from the limits per address. */
export interface TrackerLimits {
  /** Entries over all swarms. A million need about 200 MB. */
  readonly peers: number;
  readonly peersPerSwarm: number;
  /** Entries over all swarms that one IPv4 address, or one IPv6 /64, may have. */
  readonly peersPerAddress: number;
  /** Peers in one HTTP reply, for each of IPv4 and IPv6, whatever `numwant` asks for. */
  readonly numWant: number;
  /** HTTP connections open at once, in all and from one address. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
}

export const DEFAULT_LIMITS: TrackerLimits = {
  peers: 2_000_000,
  peersPerSwarm: 1_000_000,
  peersPerAddress: 10_000,
  numWant: 200,
  connections: 20_000,
  connectionsPerAddress: 1000,
};

/** `numwant` when the client does not say (BEP 3 suggests 50). */
export const DEFAULT_NUM_WANT = 50;
/** Bytes of an HTTP request's head. 60 infohashes of a scrape, all percent-encoded, fit. */
export const REQUEST_SIZE = 8192;
/** Milliseconds from the first byte of a request (or the connection's opening) to its end: an absolute deadline. */
export const REQUEST_DEADLINE = 10_000;
/** Milliseconds that a connection may stay open between requests. */
export const IDLE_DEADLINE = 60_000;
/** Infohashes answered in one scrape (BEP 15 allows 74). */
export const SCRAPE_HASHES = 74;
/** Unsent reply bytes of one connection, past which a client that asks without reading is dropped. */
export const UNSENT_REPLY = 262_144;
/** Bytes of a UDP reply: what crosses the internet (IPv6's minimum MTU) in one piece. */
export const DATAGRAM_SIZE = 1232;
