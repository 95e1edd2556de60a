/** Readers of option values. They throw commander's error, which becomes "wrong usage". */
import { InvalidArgumentError } from 'commander';

const DURATION_UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** `45s`, `30m`, `12h`, `7d`, `2w` in milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([smhdw])$/i.exec(text.trim());
  const unit = DURATION_UNITS[(match?.[2] ?? '').toLowerCase()];
  const duration = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!(duration > 0) || duration > 100 * 365 * 86_400_000) {
    throw new InvalidArgumentError('Expected a number and a unit, such as 12h or 7d.');
  }
  return Math.round(duration);
}

const RATE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** `500000`, `500K`, `2MB/s`, `1.5MiB` in bytes per second; 0 is unlimited. */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?i?)b?(?:\/s)?$/i.exec(text.trim());
  const unit = RATE_UNITS[(match?.[2] ?? '-').toLowerCase()];
  const rate = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!(rate >= 0) || !Number.isSafeInteger(Math.round(rate))) {
    throw new InvalidArgumentError('Expected bytes per second, such as 500000, 500K or 2M.');
  }
  return Math.round(rate);
}

/** Seconds as milliseconds. */
export function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(seconds <= 1e6)) throw new InvalidArgumentError('Expected a number of seconds.');
  return Math.round(seconds * 1000);
}

export type Listen = { readonly host: string; readonly port: number } | 'none';

/** `HOST:PORT` (port 0: any), or `none`. */
export function parseListen(text: string): Listen {
  return text === 'none' ? 'none' : splitAddress(text, 0);
}

/** `HOST:PORT` of a peer; collects repeated options. */
export function collectAddress(text: string, previous: readonly string[] = []): string[] {
  splitAddress(text, 1);
  return [...previous, text];
}

export function collect(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

function splitAddress(text: string, lowestPort: number): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port >= lowestPort && port <= 65_535)) {
    throw new InvalidArgumentError('Expected HOST:PORT, such as 192.168.1.5:6881 or [::1]:6881.');
  }
  return { host, port };
}
