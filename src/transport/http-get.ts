import { type LookupAddress, lookup } from 'node:dns';
import type { AgentOptions, IncomingMessage, RequestOptions } from 'node:http';
import type { SecureContext } from 'node:tls';
import { PeerwireError } from '../common/errors.ts';
import { isUnknownAuthority, systemTrust } from './https-trust.ts';
import { isLoopback, isPrivate } from './ip-address.ts';
import { lateError, unreachable } from './tracker-error.ts';
import { hostOf, isLocalService, localPathError, privatePathError } from './tracker-url.ts';

/**
 * One GET, without following redirects: where a redirect leads nobody has confirmed. Rejects when the answer is larger
 * than `maxBytes` or later than `timeout` ms.
 */
export type HttpGet = (url: string, options: HttpGetOptions) => Promise<HttpAnswer>;

export interface HttpGetOptions {
  readonly maxBytes: number;
  readonly timeout: number;
  readonly signal?: AbortSignal;
  /** False: refuse when the host name turns out to be an address of this machine (or link-local). */
  readonly allowLocal: boolean;
  /** The same of private networks; default true. */
  readonly allowPrivate?: boolean;
  /** Where the host of the URL is, if that is known already. */
  readonly addresses?: readonly LookupAddress[];
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  /** What time it is there, in ms since the Unix epoch, to the second; where it says so. Not to be trusted. */
  readonly date?: number;
}

/**
 * `HttpGet` on Node's own client, by way of the proxy that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`; Node
 * 22.21 and 24.5), and trusting what this machine trusts.
 */
export const nodeHttpGet: HttpGet = async (url, options) => {
  try {
    return await getOnce(url, options);
  } catch (error) {
    const trust = error instanceof PeerwireError && isUnknownAuthority(error.cause) ? systemTrust() : undefined;
    if (trust === undefined) throw error;
    return await getOnce(url, options, trust);
  }
};

/** Whether the environment names a proxy for this; trackers of this machine are asked directly, as VS Code does it. */
export function mayUseProxy(url: URL): boolean {
  const host = hostOf(url);
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const named = process.env[name] || process.env[name.toLowerCase()];
  return Boolean(named) && host !== 'localhost' && !host.endsWith('.localhost') && !isLoopback(host);
}

async function getOnce(
  url: string,
  { maxBytes, timeout, signal, allowLocal, allowPrivate = true, addresses }: HttpGetOptions,
  secureContext?: SecureContext,
): Promise<HttpAnswer> {
  const target = new URL(url);
  // Only now: it takes 40 ms to load, and a peer without such a tracker needs none of it.
  const { Agent, request: send } = await (target.protocol === 'https:' ? import('node:https') : import('node:http'));
  return await new Promise((resolve, reject) => {
    const throughProxy: AgentOptions & { readonly proxyEnv?: NodeJS.ProcessEnv } = mayUseProxy(target)
      ? { proxyEnv: process.env }
      : {};
    const options: RequestOptions & { readonly secureContext?: SecureContext } = {
      method: 'GET',
      // A new connection each time: announces are minutes apart.
      agent: new Agent(throughProxy),
      ...(secureContext && { secureContext }),
      headers: { 'user-agent': 'Peerwire', accept: '*/*', 'accept-encoding': 'identity', connection: 'close' },
      // What the proxy is called its user says.
      lookup: (name, ...rest) =>
        (name === target.hostname ? lookupOf(addresses, { allowLocal, allowPrivate }) : lookup)(name, ...rest),
    };
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      settle();
      request.destroy();
    };
    const fail = (error: PeerwireError): void => finish(() => reject(error));
    // Absolute: a tracker that sends a byte now and then does not move it.
    const timer = setTimeout(() => fail(lateError(target.host)), timeout);
    const cancel = (): void => fail(new PeerwireError('cancelled', 'The request was cancelled.'));
    const request = send(target, options, (response) => {
      collect(response, maxBytes).then(
        (body) => finish(() => resolve({ status: response.statusCode ?? 0, body, ...dateOf(response) })),
        (error: unknown) => fail(unreachable(error, target.host)),
      );
    });
    request.on('error', (error) => fail(unreachable(error, target.host)));
    request.end();
    signal?.addEventListener('abort', cancel);
    if (signal?.aborted) cancel();
  });
}

function dateOf({ headers }: IncomingMessage): Pick<HttpAnswer, 'date'> {
  const date = Date.parse(headers.date ?? '');
  return Number.isNaN(date) ? {} : { date };
}

async function collect(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = response.headers['content-encoding'] ?? 'identity';
  // We asked for none, and never inflate what a stranger sends.
  if (encoding !== 'identity')
    throw new PeerwireError('tracker', 'The tracker answered in an encoding nobody asked for.');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) throw new PeerwireError('internal', 'Text in place of bytes.');
    size += chunk.length;
    if (size > maxBytes) throw new PeerwireError('tracker', 'The answer of the tracker is too long.');
    chunks.push(chunk);
  }
  if (!response.complete) throw new PeerwireError('connection', 'The answer of the tracker is incomplete.');
  return Buffer.concat(chunks, size);
}

/** A harmless name may lead to a service of this machine: what holds for its address holds for the name. */
function lookupOf(
  known: readonly LookupAddress[] | undefined,
  { allowLocal, allowPrivate }: Required<Pick<HttpGetOptions, 'allowLocal' | 'allowPrivate'>>,
): NonNullable<RequestOptions['lookup']> {
  return (hostname, options, callback) => {
    const finish = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]): void => {
      if (!error && !allowLocal && addresses.some(({ address }) => isLocalService(address))) {
        callback(localPathError(hostname), []);
      } else if (!error && !allowPrivate && addresses.some(({ address }) => isPrivate(address))) {
        callback(privatePathError(hostname), []);
      } else if (options.all) callback(error, addresses);
      else callback(error, addresses[0]?.address ?? '', addresses[0]?.family ?? 0);
    };
    if (known === undefined) lookup(hostname, { ...options, all: true }, finish);
    // Never at once: the socket is not ready for it.
    else setImmediate(finish, null, [...known]);
  };
}
