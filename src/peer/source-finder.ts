import type { Random } from '../bittorrent/piece-picker.ts';
import type { Swarm } from '../bittorrent/swarm.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, toDisposable } from '../common/disposable.ts';
import { errorMessage } from '../common/errors.ts';
import type { DeviceId } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import { DialTurns } from './dial-turns.ts';
import { type MemberChannel, type PeerRef, peerKey } from './network/channel.ts';
import type { Directory } from './network/directory.ts';
import type { NetworkNode } from './network/network-node.ts';
import type { SwarmLinks } from './swarm-links.ts';

/** Pause before a holder that could not be reached is tried again, in ms. */
const RETRY_AFTER = 4_000;
/** … and before the direct way to one that a relay reaches, in ms. */
const RETRY_DIRECT_AFTER = 15_000;
/** Devices that a download connects to at most, and dials at once. */
const MOST_SOURCES = 40;
const MOST_DIALS = 6;

/** What it needs of a `NetworkNode`. */
export interface SourceNetwork extends Pick<NetworkNode, 'openSwarmChannel'> {
  readonly directory: Pick<Directory, 'holdersOf'>;
}

export interface SourceFinderOptions {
  readonly self: PeerRef;
  readonly swarm: Pick<Swarm, 'infoHash' | 'hasContent' | 'connectedSources' | 'isBanned' | 'initiate' | 'onDisposed'>;
  readonly links: SwarmLinks;
  /** The swarm's network; undefined while there is none. */
  readonly networkNode: () => SourceNetwork | undefined;
  readonly mayAccess: (device: DeviceId) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Aborted when nothing shall be dialed for any swarm any more. */
  readonly signal: AbortSignal;
}

/** Connects one swarm to those who hold its version, as the catalogues of the network say. */
export class SourceFinder {
  readonly #options: SourceFinderOptions;
  readonly #turns: DialTurns;
  /** Whom we are dialing, by peer key. */
  readonly #dialing = new Set<string>();
  /** Monotone time (ms) until which a peer is not dialed again, by peer key and way. */
  readonly #retryAt = new Map<string, number>();
  /** Aborted when nothing shall be dialed any more, for this swarm or for any. */
  readonly #signal: AbortSignal;
  #seekers = 0;

  constructor(options: SourceFinderOptions) {
    this.#options = options;
    this.#turns = new DialTurns(options.self, options.clock);
    const ended = new AbortController();
    options.swarm.onDisposed(() => ended.abort());
    this.#signal = AbortSignal.any([options.signal, ended.signal]);
  }

  /** Looks for holders now, and whenever `seek` is called, until disposed. */
  keepSeeking(): Disposable {
    this.#seekers++;
    this.seek();
    return toDisposable(() => {
      this.#seekers--;
    });
  }

  /** Dials whom it should be connected to and is not, if anybody keeps it seeking. */
  seek(): void {
    const { swarm, links, random } = this.#options;
    const node = this.#options.networkNode();
    if (!node || this.#seekers === 0) return;
    // Only those that we dialed count: whoever dials us cannot keep us from looking for others.
    const dialed = new Set<DeviceId>();
    for (const channel of links.open()) if (channel.initiator) dialed.add(channel.device);
    // An incomplete one looks for us, too, once we have content. Without any connection yet, nobody waits.
    const connected = swarm.connectedSources;
    const mayWait = swarm.hasContent && connected.size > 0;
    // Complete sources first: they have what nobody else has yet. Otherwise by chance, so that not all dial the same first.
    const holders = node.directory.holdersOf(swarm.infoHash).map((holder) => ({ holder, luck: random() }));
    holders.sort((a, b) => Number(b.holder.complete) - Number(a.holder.complete) || a.luck - b.luck);
    for (const { holder } of holders) {
      if (this.#dialing.size >= MOST_DIALS) return;
      // Its control connection tells that there is a direct way.
      const isConnected = connected.has(peerKey(holder));
      if (isConnected && holder.via === 'direct' && links.isRelayed(holder)) this.connect(holder);
      if (isConnected || (mayWait && !holder.complete && !this.#turns.isOurs(holder))) continue;
      if (dialed.size + this.#dialing.size < MOST_SOURCES || dialed.has(holder.device)) this.connect(holder);
    }
  }

  /** Dials a peer, or has it dial us, unless it is connected (but by a relay) or banned, or was just tried. */
  connect(peer: PeerRef): void {
    const { swarm, links, clock, logger } = this.#options;
    const node = this.#options.networkNode();
    const key = peerKey(peer);
    const way = links.isRelayed(peer) ? 'direct' : 'any';
    if (!node || this.#dialing.has(key) || swarm.isBanned(key)) return;
    if (way === 'any' && swarm.connectedSources.has(key)) return;
    const retry = `${key} ${way}`;
    if ((this.#retryAt.get(retry) ?? 0) > clock.now()) return;
    this.#dialing.add(key);
    void node
      .openSwarmChannel(peer, swarm.infoHash, this.#signal, way)
      .then((channel) => {
        if (channel) this.#join(channel);
      })
      .catch((error: unknown) => logger.debug(`No connection to a source: ${errorMessage(error)}`))
      .finally(() => {
        this.#dialing.delete(key);
        const now = clock.now();
        for (const [other, at] of this.#retryAt) if (at <= now) this.#retryAt.delete(other);
        this.#retryAt.set(retry, now + (way === 'direct' ? RETRY_DIRECT_AFTER : RETRY_AFTER));
        if (!this.#signal.aborted) this.seek();
      });
  }

  /** A connection to the peer exists: should it end, the two may take turns again to dial. */
  met(peer: PeerRef): void {
    this.#turns.met(peer);
  }

  #join(channel: MemberChannel): void {
    const { swarm, links, mayAccess } = this.#options;
    // Much can have happened while it was dialed.
    if (this.#signal.aborted || !mayAccess(channel.device) || !links.add(channel)) {
      channel.close();
      return;
    }
    this.met(channel);
    swarm.initiate(channel, peerKey(channel), links.replacedBy(channel));
  }
}
