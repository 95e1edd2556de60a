import { parseArgs } from 'node:util';
import { PeerwireError } from '../src/common/errors.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { DEFAULT_HOST, DEFAULT_INTERVAL, DEFAULT_PORT, type TrackerOptions } from './tracker.ts';

export const TRACKER_HELP = `Usage: peerwire tracker [options]

Introduces peers to each other: maps an infohash to addresses, over HTTP and UDP. It keeps nothing on disk.
Prints {"event":"ready","http":URL,"udp":URL} once it listens; stops on SIGINT or SIGTERM.

  --host HOST       address to listen on (default: ${DEFAULT_HOST}, all interfaces, IPv4 and IPv6; 0.0.0.0 for IPv4 only, 127.0.0.1 for this machine only)
  --port N          TCP and UDP port (default: ${DEFAULT_PORT}; 0: any free one)
  --udp-port N      another port for UDP, or "none"
  --interval N      seconds between announces (default: ${DEFAULT_INTERVAL}); peers are forgotten after twice as long
  --max-peers N     peers over all swarms (default: ${DEFAULT_LIMITS.peers})
  --json            accepted for uniformity: results are JSON anyway
  -h, --help
`;

/** Reads the command line. Throws `usage`. */
export function parseTrackerOptions(args: readonly string[]): TrackerOptions | 'help' {
  const values = readArguments(args);
  if (values.help) return 'help';
  return {
    host: values.host ?? DEFAULT_HOST,
    port: integer('--port', values.port, 0, 65535) ?? DEFAULT_PORT,
    interval: integer('--interval', values.interval, 1, 86_400) ?? DEFAULT_INTERVAL,
    ...(values['udp-port'] === undefined ? {} : { udpPort: udpPort(values['udp-port']) }),
    ...(values['max-peers'] === undefined
      ? {}
      : { limits: { peers: integer('--max-peers', values['max-peers'], 1, 100_000_000) ?? DEFAULT_LIMITS.peers } }),
  };
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        host: { type: 'string' },
        port: { type: 'string' },
        'udp-port': { type: 'string' },
        interval: { type: 'string' },
        'max-peers': { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new PeerwireError('usage', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function udpPort(text: string): number | 'none' {
  return text === 'none' ? 'none' : (integer('--udp-port', text, 0, 65535) ?? 0);
}

function integer(option: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new PeerwireError('usage', `${option} takes a whole number from ${min} to ${max}, not “${text}”.`);
}
