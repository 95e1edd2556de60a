import type { Clock } from '../../common/clock.ts';
import { errorMessage, PeerwireError } from '../../common/errors.ts';
import type { InfoHash } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { formatHostPort, normalizeHost, parseHostPort } from './addresses.ts';
import { type MemberChannel, peerKey } from './channel.ts';
import type { ControlPeer } from './control-peer.ts';
import type { DialTarget } from './dialer.ts';

/** Milliseconds for one address: behind a firewall that drops packets, the other way round is quicker. */
const DIAL_TIMEOUT = 4000;
/** After a failure we ask to be dialled at once, for so long (ms). */
const UNDIALABLE_FOR = 60_000;

export interface SwarmChannelOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly listenPort: () => number | undefined;
  /** Monotone time until which dialing a peer is pointless, by peer key. */
  readonly undialable: Map<string, number>;
  /** False when the peer just asked us the same: two peers must not send each other back and forth. */
  readonly mayAsk: boolean;
}

/** See `NetworkNode.openSwarmChannel`. `links`: the control connections to the peer. */
export async function openSwarmChannel(
  links: readonly ControlPeer[],
  infohash: InfoHash,
  signal: AbortSignal,
  options: SwarmChannelOptions,
): Promise<MemberChannel | undefined> {
  const { clock, logger, listenPort, undialable, mayAsk } = options;
  const link = links.at(-1);
  if (link === undefined) throw new PeerwireError('closed', 'The peer is not connected.');
  if (signal.aborted) throw cancelled();
  const key = peerKey(link.peer);
  const canBeDialed = mayAsk && listenPort() !== undefined && link.supports('pw_connect');
  const addresses = addressesOf(links);
  if (!canBeDialed || (undialable.get(key) ?? 0) <= clock.now()) {
    for (const address of addresses) {
      try {
        return await dialForSwarm(address, link, signal, options);
      } catch (error) {
        if (signal.aborted) throw cancelled();
        logger.debug(`${key} cannot be dialled at ${address}: ${errorMessage(error)}`);
      }
    }
    if (addresses.length > 0) undialable.set(key, clock.now() + UNDIALABLE_FOR);
  }
  if (canBeDialed && link.sendConnect(infohash)) return undefined;
  throw new PeerwireError(
    'connection',
    addresses.length === 0
      ? 'Neither this peer nor the other accepts connections.'
      : 'The peer cannot be reached for a transfer: a firewall may be in the way.',
  );
}

/** Addresses that worked for us first. */
function addressesOf(links: readonly ControlPeer[]): string[] {
  const dialed = links.flatMap((link) => link.dialed ?? []);
  const seen = links.flatMap((link) =>
    link.listenPort === undefined
      ? []
      : formatHostPort({ host: normalizeHost(link.channel.remoteAddress), port: link.listenPort }),
  );
  return [...new Set([...dialed, ...seen])];
}

async function dialForSwarm(
  address: string,
  link: ControlPeer,
  signal: AbortSignal,
  { clock, dial }: SwarmChannelOptions,
): Promise<MemberChannel> {
  const late = new AbortController();
  const timer = clock.setTimeout(() => late.abort(), DIAL_TIMEOUT);
  try {
    const channel = await dial({
      ...parseHostPort(address),
      expectDevice: link.peer.device,
      signal: AbortSignal.any([signal, late.signal]),
    });
    if (channel.instance !== link.peer.instance || signal.aborted) {
      channel.close();
      throw new PeerwireError('connection', 'Another peer of the device answered.');
    }
    return channel;
  } finally {
    timer.dispose();
  }
}

function cancelled(): PeerwireError {
  return new PeerwireError('cancelled', 'The connection was cancelled.');
}
