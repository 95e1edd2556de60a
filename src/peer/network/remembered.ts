import { parseDeviceId, parsePeerInstance } from '../../common/ids.ts';
import type { RememberedAddress } from './address-book.ts';
import type { PeerRef } from './channel.ts';

/** Reads the stored form of remembered addresses. Entries that make no sense are left out; throws when it is no list. */
export function readRemembered(value: unknown): RememberedAddress[] {
  if (!Array.isArray(value)) throw new TypeError('Remembered addresses are a list.');
  return value.flatMap((item: unknown) => readEntry(item) ?? []);
}

function readEntry(item: unknown): RememberedAddress | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const entry = new Map<string, unknown>(Object.entries(item));
  const host = entry.get('host');
  const port = entry.get('port');
  const added = entry.get('added');
  const lastSuccess = entry.get('lastSuccess');
  if (typeof host !== 'string' || typeof port !== 'number' || typeof added !== 'number') return undefined;
  const peer = readPeer(entry.get('peer'));
  return {
    host,
    port,
    origin: entry.get('origin') === 'manual' ? 'manual' : 'member',
    added,
    ...(typeof lastSuccess === 'number' ? { lastSuccess } : {}),
    ...(peer === undefined ? {} : { peer }),
  };
}

function readPeer(value: unknown): PeerRef | undefined {
  if (typeof value !== 'object' || value === null || !('device' in value) || !('instance' in value)) return undefined;
  try {
    return { device: parseDeviceId(String(value.device)), instance: parsePeerInstance(String(value.instance)) };
  } catch {
    return undefined; // An address without a name is as good.
  }
}
