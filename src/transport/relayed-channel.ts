import { once } from 'node:events';
import type { Connection } from '../bittorrent/connection.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { DeviceId, PeerInstance } from '../common/ids.ts';
import { ConnectionDuplex } from './connection-duplex.ts';
import type { Identity } from './identity.ts';
import { type ExpectedPeer, initiate, respond } from './member-handshake.ts';
import type { NetworkAccess } from './network-access.ts';
import { SecureChannel } from './secure-channel.ts';
import { tlsOptions } from './tls-identity.ts';
import { TlsStream } from './tls-stream.ts';

/** Milliseconds for TLS and the member handshake, over two hops. */
const DEFAULT_TIMEOUT = 15_000;

export interface RelayedOptions<M> {
  /** The bytes that the relay passes on. Owned from now on, also on failure. */
  readonly connection: Connection;
  /** What was read from it already. */
  readonly head: Uint8Array;
  /** Who relays. */
  readonly relay: DeviceId;
  /** Who has to be at the other end: the relay may lie about it. */
  readonly expect: ExpectedPeer;
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly access: NetworkAccess<M>;
  readonly timeout?: number;
  readonly clock?: Clock;
}

/**
 * TLS and the member handshake, end to end, inside of what a relay passes on (PROTOCOL.md §4): it is the same as over TCP, so
 * the relay is but a wire. `role`: who asked for the relay is the TLS client. Rejects as `dial` does.
 */
export async function secureRelayed<M>(
  role: 'initiator' | 'responder',
  options: RelayedOptions<M>,
): Promise<SecureChannel<M>> {
  const { connection, head, identity, access, expect, relay } = options;
  const duplex = new ConnectionDuplex(connection, head);
  const stream =
    role === 'initiator'
      ? TlsStream.connectOver(duplex, { ...tlsOptions(identity), servername: '' })
      : TlsStream.acceptOver(duplex, tlsOptions(identity));
  const timer = (options.clock ?? systemClock).setTimeout(
    () => stream.close(new PeerwireError('timeout', 'The peer behind the relay did not answer in time.')),
    options.timeout ?? DEFAULT_TIMEOUT,
  );
  try {
    await secured(stream, role);
    const peer =
      role === 'initiator'
        ? await initiate(stream, options, access, expect.device, expect.instance)
        : await respond(stream, options, [access], expect);
    if (stream.closed) throw new PeerwireError('connection', 'The relay closed the connection.');
    return new SecureChannel(stream, peer, relay);
  } catch (error) {
    const known = toPeerwireError(error);
    if (!stream.closing) stream.close(known);
    throw known;
  } finally {
    timer.dispose();
  }
}

async function secured(stream: TlsStream, role: 'initiator' | 'responder'): Promise<void> {
  const closed = new Promise<never>((_, reject) => {
    stream.start({
      onData() {},
      onDrain() {},
      onClose: (reason) =>
        reject(reason ?? new PeerwireError('connection', 'The relay closed the connection during the handshake.')),
    });
  });
  closed.catch(() => undefined);
  await Promise.race([once(stream.socket, role === 'initiator' ? 'secureConnect' : 'secure'), closed]);
}
