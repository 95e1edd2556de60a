/** What people type into input boxes. */

/** Megabytes per second as typed, in bytes per second; undefined when it is no number. */
export function parseLimit(text: string): number | undefined {
  const value = text.trim() === '' ? 0 : Number(text.trim().replace(',', '.'));
  return Number.isFinite(value) && value >= 0 && value <= 1e6 ? Math.round(value * 1e6) : undefined;
}

/** `host:port` or `[IPv6]:port`. */
export function isAddress(text: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.%]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[1]);
  return match !== null && port >= 1 && port <= 65_535;
}

/** Only what a peer can announce to; the peer checks again. */
export function isTrackerUrl(text: string): boolean {
  return /^(?:https?|udp):\/\/[^\s/]+/i.test(text);
}
