import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { abortable } from '../common/abort.ts';
import { PeerwireError } from '../common/errors.ts';
import { lateError, unreachable } from './tracker-error.ts';

/** Milliseconds that a slower family gets once the other has answered. */
const GRACE = 1000;
/** Names that are being resolved at once: a resolver that hangs must not be asked again and again. */
const MAX_PENDING = 64;

/** Finds the addresses of a host. */
export type Resolve = (host: string) => Promise<LookupAddress[]>;

export interface Deadline {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds, for everything together. */
  readonly timeout: number;
}

/**
 * Asks a host once by IPv4 and once by IPv6 where its name leads to both, since a tracker knows us by the address that we
 * come from, and over UDP names peers of that family only (BEP 7, 15). `ask` gets the addresses of one family, and must
 * end when its signal is aborted. Resolves with what answered, IPv4 first: at least one. Otherwise rejects, at the deadline
 * at the latest, with what a tracker said in preference to what kept us from one; `timeout` and `cancelled` as usual.
 */
export async function askBothFamilies<T>(
  { host, name }: { readonly host: string /** For messages. */; readonly name: string },
  { signal, timeout }: Deadline,
  ask: (addresses: readonly LookupAddress[], signal: AbortSignal) => Promise<T>,
  resolve: Resolve = resolveHost,
): Promise<T[]> {
  const ended = new AbortController();
  const cancel = (): void => ended.abort(new PeerwireError('cancelled', 'The request was cancelled.'));
  const timer = setTimeout(() => ended.abort(lateError(name)), timeout);
  signal?.addEventListener('abort', cancel);
  if (signal?.aborted) cancel();
  let grace: NodeJS.Timeout | undefined;
  try {
    const addresses = await abortable(ended.signal, resolve(host)).catch((error: unknown) => {
      throw unreachable(error, name);
    });
    const families = [4, 6]
      .map((family) => addresses.filter((address) => address.family === family))
      .filter((list) => list.length > 0);
    const results = await Promise.allSettled(
      families.map(async (list) => {
        const answer = await abortable(ended.signal, ask(list, ended.signal));
        grace ??= setTimeout(() => ended.abort(lateError(name)), GRACE);
        return answer;
      }),
    );
    const answers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    if (answers.length > 0) return answers;
    const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    throw errors.find((error) => error instanceof PeerwireError && error.code === 'tracker') ?? errors[0];
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    signal?.removeEventListener('abort', cancel);
    ended.abort();
  }
}

/** A lookup cannot be taken back: one at a time for a name, and so many at once. `look`: in place of the system. */
export function oneLookupAtATime(look: Resolve): Resolve {
  const pending = new Map<string, Promise<LookupAddress[]>>();
  return (host) => {
    const family = isIP(host);
    if (family !== 0) return Promise.resolve([{ address: host, family }]);
    const known = pending.get(host);
    if (known !== undefined) return known;
    if (pending.size >= MAX_PENDING) {
      return Promise.reject(
        new PeerwireError('busy', 'Too many names are being looked up: see whether this machine is online.'),
      );
    }
    const found = look(host).finally(() => pending.delete(host));
    pending.set(host, found);
    return found;
  };
}

const resolveHost = oneLookupAtATime((host) => lookup(host, { all: true }));
