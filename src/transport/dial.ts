import { setTimeout as sleep } from 'node:timers/promises';
import { onAbort } from '../common/abort.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { DeviceId, PeerInstance } from '../common/ids.ts';
import type { Identity } from './identity.ts';
import { initiate } from './member-handshake.ts';
import type { NetworkAccess } from './network-access.ts';
import { SecureChannel } from './secure-channel.ts';
import { tlsOptions } from './tls-identity.ts';
import { closedError, TlsStream } from './tls-stream.ts';

export interface DialOptions<M> {
  readonly host: string;
  readonly port: number;
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly access: NetworkAccess<M>;
  /** Refuse any other device. */
  readonly expectDevice?: DeviceId;
  readonly signal?: AbortSignal;
  /** Do not try again when the connection is dropped. */
  readonly once?: boolean;
  /** Milliseconds for everything, from the first packet to the finished handshake (default 10,000). */
  readonly timeout?: number;
  readonly clock?: Clock;
}

const DEFAULT_TIMEOUT = 10_000;
/** A listener that is busy with others drops new sockets at once (`ListenerLimits`): worth another try or two. */
const ATTEMPTS = 3;
/** Milliseconds to wait before the next attempt: at random from this up to three times this. */
const RETRY_DELAY = 100;

/**
 * Connects to a peer and proves membership both ways. Rejects with a `PeerwireError`:
 * `connection` unreachable or too busy, `timeout`, `cancelled`, `protocol` not one of us or not of this network,
 * `exists` reached ourselves, `not-admitted` | `revoked` | `expired` either side refused the other.
 */
export async function dial<M>(options: DialOptions<M>): Promise<SecureChannel<M>> {
  const attempt = new DialAttempt(options);
  const timer = (options.clock ?? systemClock).setTimeout(
    () => attempt.stop(new PeerwireError('timeout', `${nameOf(options)} did not answer in time.`)),
    options.timeout ?? DEFAULT_TIMEOUT,
  );
  const listening = options.signal && onAbort(options.signal, (reason) => attempt.stop(reason));
  try {
    return await attempt.run();
  } finally {
    timer.dispose();
    listening?.dispose();
  }
}

class DialAttempt<M> {
  readonly #options: DialOptions<M>;
  readonly #stopped = new AbortController();
  #stream: TlsStream | undefined;
  #stopReason: PeerwireError | undefined;

  constructor(options: DialOptions<M>) {
    this.#options = options;
  }

  stop(reason: PeerwireError): void {
    this.#stopReason ??= reason;
    this.#stream?.close(reason);
    this.#stopped.abort();
  }

  async run(): Promise<SecureChannel<M>> {
    for (let attempt = 1; ; attempt++) {
      if (this.#stopReason) throw this.#stopReason;
      try {
        return await this.#connect();
      } catch (error) {
        if (this.#stopReason) throw this.#stopReason;
        if (!(error instanceof DroppedError)) throw error;
        if (attempt === ATTEMPTS || this.#options.once === true)
          throw new PeerwireError('connection', error.message, { cause: error });
      }
      const delay = RETRY_DELAY * (1 + 2 * Math.random());
      await sleep(delay, undefined, { signal: this.#stopped.signal }).catch(() => {});
    }
  }

  async #connect(): Promise<SecureChannel<M>> {
    const { host, port, identity, access, expectDevice } = this.#options;
    // `servername` empty: no SNI, which would tell a listener on the wire whom we look for. No `session`, ever.
    const stream = TlsStream.connect({ ...tlsOptions(identity), host, port, servername: '' });
    this.#stream = stream;
    await this.#secured(stream);
    const peer = await initiate(stream, this.#options, access, expectDevice).catch((error: unknown) => {
      throw handshakeError(error);
    });
    if (stream.closed) throw this.#stopReason ?? closedError();
    return new SecureChannel(stream, peer);
  }

  #secured(stream: TlsStream): Promise<void> {
    const name = nameOf(this.#options);
    let connected = false;
    stream.socket.once('connect', () => {
      connected = true;
    });
    return new Promise((resolve, reject) => {
      stream.socket.once('secureConnect', resolve);
      stream.start({
        onData() {},
        onDrain() {},
        onClose(reason) {
          if (!connected)
            reject(new PeerwireError(reason?.code ?? 'connection', `${name} cannot be reached.`, { cause: reason }));
          else if (reason === undefined || reason.code === 'connection')
            reject(new DroppedError(`${name} dropped the connection.`));
          else reject(handshakeError(reason));
        },
      });
    });
  }
}

/** The other end accepted the TCP connection and closed it before TLS. */
class DroppedError extends Error {}

/** What the other end is, from how the handshake failed: TLS alerts are `io` errors, a stranger's refusal is silence. */
function handshakeError(error: unknown): PeerwireError {
  const known = toPeerwireError(error);
  if (known.code === 'io') {
    return new PeerwireError('protocol', 'The other end is not a Peerwire peer.', { cause: error });
  }
  if (known.code === 'connection') {
    const message = 'The peer closed the connection during the handshake: it is not in this network, or it stopped.';
    return new PeerwireError('protocol', message, { cause: error });
  }
  return known;
}

const nameOf = ({ host, port }: { host: string; port: number }): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
