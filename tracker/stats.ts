/** Counters since the start, for `GET /stats`. */
export interface TrackerStats {
  httpAnnounces: number;
  httpScrapes: number;
  /** HTTP requests answered with a failure reason or an error status. */
  httpRefused: number;
  udpConnects: number;
  udpAnnounces: number;
  udpScrapes: number;
  /** Datagrams dropped in silence: malformed, or without a connection id of ours. */
  udpDropped: number;
}

export function newTrackerStats(): TrackerStats {
  return {
    httpAnnounces: 0,
    httpScrapes: 0,
    httpRefused: 0,
    udpConnects: 0,
    udpAnnounces: 0,
    udpScrapes: 0,
    udpDropped: 0,
  };
}
