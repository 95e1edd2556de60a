import type { Clock } from '../../common/clock.ts';
import { errorMessage, PeerwireError } from '../../common/errors.ts';
import type { InfoHash } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { formatHostPort, normalizeHost } from './addresses.ts';
import { type MemberChannel, type PeerRef, peerKey } from './channel.ts';
import type { ControlPeer } from './control-peer.ts';
import { dialPeer } from './dial-peer.ts';
import type { DialTarget } from './dialer.ts';

/** Milliseconds for which we do not answer a request to dial by the same request. */
const ASKED_FOR = 30_000;
/** Milliseconds for one address: behind a firewall that drops packets, the other way round is quicker. */
const DIAL_TIMEOUT = 4000;
/** After a failure we ask to be dialled at once, for so long (ms). */
const UNDIALABLE_FOR = 60_000;

/** `direct`: by no relay. */
export type Way = 'any' | 'direct';

export interface SwarmDialerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  readonly listenPort: () => number | undefined;
  /** Reaches a peer that neither can dial; rejects with `connection` when no member relays. */
  readonly relay: (peer: PeerRef, signal: AbortSignal) => Promise<MemberChannel>;
}

/** Opens channels for swarms to peers that are connected: dials them, or asks them to dial, or has a member relay. */
export class SwarmDialer {
  readonly #options: SwarmDialerOptions;
  /** Monotone time until which dialing a peer is pointless, by peer key. */
  readonly #undialable = new Map<string, number>();
  /** Monotone time until which a request to dial counts as just received, by peer key and infohash. */
  readonly #asked = new Map<string, number>();

  constructor(options: SwarmDialerOptions) {
    this.#options = options;
  }

  /** See `NetworkNode.openSwarmChannel`. `links`: the control connections to the peer. */
  async open(
    links: readonly ControlPeer[],
    infohash: InfoHash,
    signal: AbortSignal,
    way: Way = 'any',
  ): Promise<MemberChannel | undefined> {
    const { clock, logger, dial, listenPort, relay } = this.#options;
    const link = links.findLast((one) => !one.relayed) ?? links.at(-1);
    if (link === undefined) throw new PeerwireError('closed', 'The peer is not connected.');
    if (signal.aborted) throw cancelled();
    const key = peerKey(link.peer);
    const mayAsk = (this.#asked.get(askedKey(link.peer, infohash)) ?? 0) <= clock.now();
    // Who knows us through a relay does not see where we are.
    const canBeDialed = mayAsk && !link.relayed && listenPort() !== undefined && link.supports('pw_connect');
    const addresses = addressesOf(links);
    if (!canBeDialed || (this.#undialable.get(key) ?? 0) <= clock.now()) {
      for (const address of addresses) {
        try {
          return await dialPeer({ clock, dial, peer: link.peer, address, limit: DIAL_TIMEOUT, signal });
        } catch (error) {
          if (signal.aborted) throw cancelled();
          logger.debug(`${key} cannot be dialled at ${address}: ${errorMessage(error)}`);
        }
      }
      if (addresses.length > 0) this.#undialable.set(key, clock.now() + UNDIALABLE_FOR);
    }
    if (canBeDialed && link.sendConnect({ type: 'dial', infohash })) return undefined;
    if (way === 'direct') throw new PeerwireError('connection', 'Neither this peer nor the other can be dialled.');
    return await relay(link.peer, signal);
  }

  /** The peer asked us to dial: for a while we do not ask it the same, or two peers would send each other back and forth. */
  noteAsked(peer: PeerRef, infohash: InfoHash): void {
    this.#asked.set(askedKey(peer, infohash), this.#options.clock.now() + ASKED_FOR);
  }

  /** Dialing the peer may work again: it connected anew. */
  retry(peer: PeerRef): void {
    this.#undialable.delete(peerKey(peer));
  }

  /** The same of all: our network changed. */
  retryAll(): void {
    this.#undialable.clear();
  }

  /** Forgets what is over. Called now and then. */
  tidy(): void {
    const now = this.#options.clock.now();
    for (const times of [this.#undialable, this.#asked])
      for (const [key, until] of times) if (until <= now) times.delete(key);
  }
}

function askedKey(peer: PeerRef, infohash: InfoHash): string {
  return `${peerKey(peer)} ${infohash}`;
}

/** Where a peer can be dialled, as far as its connections say: addresses that worked for us first. */
export function addressesOf(links: readonly ControlPeer[]): string[] {
  const dialed = links.flatMap((link) => link.dialed ?? []);
  const seen = links.flatMap((link) =>
    link.listenPort === undefined || link.relayed
      ? []
      : formatHostPort({ host: normalizeHost(link.channel.remoteAddress), port: link.listenPort }),
  );
  return [...new Set([...dialed, ...seen])];
}

function cancelled(): PeerwireError {
  return new PeerwireError('cancelled', 'The connection was cancelled.');
}
