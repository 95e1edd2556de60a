import type { PexMessage } from '../../bittorrent/wire/ut-pex.ts';
import type { Clock } from '../../common/clock.ts';
import { peerKey } from './channel.ts';
import type { ControlPeer } from './control-peer.ts';
import { addressOf, type Links } from './links.ts';
import { type KnownAddress, PeerExchange } from './peer-exchange.ts';

interface Located extends KnownAddress {
  /** Of the peer that is there. */
  readonly key: string;
}

/** Peer exchange (BEP 11): tells connected members that know it where the others are, and hears it from them. */
export class PexGossip {
  readonly #links: Links;
  readonly #clock: Clock;
  readonly #onLearned: (addresses: PexMessage['added'], from: string) => void;
  readonly #exchanges = new Map<ControlPeer, PeerExchange>();
  /** Counts how often what there is to be told changed, and who was told all of which count. */
  #version = 0;
  #text = '';
  readonly #settled = new WeakMap<ControlPeer, number>();

  /** `onLearned`: a peer at the IP address `from` says that members are at these. */
  constructor(links: Links, clock: Clock, onLearned: (addresses: PexMessage['added'], from: string) => void) {
    this.#links = links;
    this.#clock = clock;
    this.#onLearned = onLearned;
  }

  join(link: ControlPeer): void {
    this.#exchanges.set(link, new PeerExchange(this.#clock));
    this.#tell(link);
  }

  leave(link: ControlPeer): void {
    this.#exchanges.delete(link);
  }

  /** What comes too often is not heeded. */
  receive(link: ControlPeer, message: PexMessage): void {
    if (this.#exchanges.get(link)?.accept() !== true) return;
    this.#onLearned(message.added, link.channel.remoteAddress);
  }

  /** Says what is new to everybody to whom it may be said again. Called now and then. */
  tell(): void {
    // Once for all: in a network of hundreds, each hears of hundreds, and most often nothing changed.
    const located = this.#located();
    const text = located.map(({ address, reachable }) => `${address} ${reachable}`).join();
    if (text !== this.#text) this.#version++;
    this.#text = text;
    for (const link of this.#links.all()) {
      if (this.#settled.get(link) === this.#version || this.#exchanges.get(link)?.due !== true) continue;
      if (!this.#tell(link, located)) this.#settled.set(link, this.#version);
    }
  }

  /** False when there is nothing to say. */
  #tell(link: ControlPeer, located = this.#located()): boolean {
    const exchange = this.#exchanges.get(link);
    if (exchange === undefined || !link.supports('ut_pex')) return false;
    const key = peerKey(link.peer);
    const known = located.filter((other) => other.key !== key);
    const message = exchange.next(known, link.channel.remoteAddress);
    if (message !== undefined) link.sendPex(message);
    return message !== undefined;
  }

  /** Every connected peer that can be dialled. */
  #located(): readonly Located[] {
    return [...this.#links.byPeer()].flatMap((links) => {
      const address = addressOf(links);
      const [first] = links;
      if (address === undefined || first === undefined) return [];
      return [{ key: peerKey(first.peer), address, reachable: links.some((other) => other.dialed !== undefined) }];
    });
  }
}
