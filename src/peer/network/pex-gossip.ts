import type { PexMessage } from '../../bittorrent/wire/ut-pex.ts';
import type { Clock } from '../../common/clock.ts';
import { peerKey } from './channel.ts';
import type { ControlPeer } from './control-peer.ts';
import { addressOf, type Links } from './links.ts';
import { PeerExchange } from './peer-exchange.ts';

/** Peer exchange (BEP 11): tells connected members that know it where the others are, and hears it from them. */
export class PexGossip {
  readonly #links: Links;
  readonly #clock: Clock;
  readonly #onLearned: (addresses: PexMessage['added'], from: string) => void;
  readonly #exchanges = new Map<ControlPeer, PeerExchange>();

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
    for (const link of this.#links.all()) this.#tell(link);
  }

  #tell(link: ControlPeer): void {
    const exchange = this.#exchanges.get(link);
    if (exchange === undefined || !link.supports('ut_pex')) return;
    const key = peerKey(link.peer);
    const known = [...this.#links.byPeer()].flatMap((links) => {
      const address = addressOf(links);
      if (address === undefined || links.some((other) => peerKey(other.peer) === key)) return [];
      return [{ address, reachable: links.some((other) => other.dialed !== undefined) }];
    });
    const message = exchange.next(known, link.channel.remoteAddress);
    if (message !== undefined) link.sendPex(message);
  }
}
