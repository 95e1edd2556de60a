import type { Clock } from '../../../common/clock.ts';
import { type Disposable, DisposableList } from '../../../common/disposable.ts';
import type { DeviceId, NetworkId } from '../../../common/ids.ts';
import { Throttle } from '../../../common/throttle.ts';
import { normalizeHost } from '../addresses.ts';
import { type PeerRef, peerKey } from '../channel.ts';
import type { ControlPeer } from '../control-peer.ts';
import type { Links } from '../links.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { RelayHost } from './relay-host.ts';
import type { PeerHere, RelayMessage } from './relay-messages.ts';

/** Milliseconds between two tellings who is here. */
const TELL_PAUSE = 500;
/** Requests of one device that are heeded, by all of its connections: per second, and in one burst. */
const REQUEST_RATE = 5;
const REQUEST_BURST = 60;

export interface RelayDeskOptions {
  readonly network: NetworkId;
  readonly links: Links;
  readonly clock: Clock;
  readonly isRevoked: (device: DeviceId) => boolean;
  /** Who invited the device, and so on, from the creator down; empty when unknown. */
  readonly invitersOf?: (device: DeviceId) => readonly DeviceId[];
  /** Undefined while this peer does not relay: it passes on calls all the same. */
  readonly host: () => RelayHost | undefined;
}

interface Visitor {
  readonly told: Map<string, PeerHere>;
  relays: boolean | undefined;
}

/**
 * What this member does for others that cannot dial each other: tells them of each other, passes on calls, and has their
 * connections relayed. Only for those connected directly, and between those: nothing is relayed over two members.
 */
export class RelayDesk implements Disposable {
  readonly #options: RelayDeskOptions;
  readonly #visitors = new Map<ControlPeer, Visitor>();
  /** What the devices that are here, or were lately, may ask for. */
  readonly #requests = new Map<DeviceId, TokenBucket>();
  readonly #owned = new DisposableList();
  readonly #telling: Throttle;

  constructor(options: RelayDeskOptions) {
    this.#options = options;
    this.#telling = this.#owned.add(new Throttle(options.clock, TELL_PAUSE, () => this.#tellAll()));
  }

  join(link: ControlPeer): void {
    if (link.relayed || !link.supports('pw_relay')) return;
    this.#visitors.set(link, { told: new Map(), relays: undefined });
    this.#telling.run();
  }

  leave(link: ControlPeer): void {
    if (this.#visitors.delete(link)) this.#telling.run();
  }

  /** Who listens, or whether this peer relays, may have changed. */
  changed(): void {
    this.#telling.run();
  }

  receive(link: ControlPeer, message: RelayMessage): void {
    const visitor = this.#visitors.get(link);
    if (!visitor || this.#options.isRevoked(link.peer.device)) return;
    if (message.type !== 'call' && message.type !== 'ping' && message.type !== 'want') return;
    if (!this.#mayAsk(link.peer.device)) return;
    switch (message.type) {
      case 'ping':
        link.sendRelay({ type: 'pong', id: message.id, load: this.#options.host()?.load ?? 100 });
        return;
      case 'call':
        this.#call(link, message.peer);
        return;
      case 'want': {
        const tokens = this.#reserve(link, message.peer);
        if (tokens) link.sendRelay({ type: 'open', id: message.id, token: tokens[0] });
        else link.sendRelay({ type: 'no', id: message.id });
        return;
      }
    }
  }

  dispose(): void {
    this.#owned.dispose();
    this.#visitors.clear();
  }

  #mayAsk(device: DeviceId): boolean {
    let requests = this.#requests.get(device);
    if (requests === undefined) {
      for (const [other, bucket] of this.#requests) if (bucket.isFull) this.#requests.delete(other);
      requests = new TokenBucket(this.#options.clock, REQUEST_RATE, REQUEST_BURST);
      this.#requests.set(device, requests);
    }
    return requests.tryTake(1);
  }

  /** Passes on where we see the caller: of its own word there is only the port. */
  #call(link: ControlPeer, peer: PeerRef): void {
    if (link.listenPort === undefined) return;
    const host = normalizeHost(link.channel.remoteAddress);
    this.#to(peer)?.sendRelay({ type: 'called', peer: link.peer, host, port: link.listenPort });
  }

  #reserve(link: ControlPeer, peer: PeerRef): readonly [Buffer, Buffer] | undefined {
    const other = this.#to(peer);
    const isItself = peerKey(peer) === peerKey(link.peer);
    if (!other || isItself) return undefined;
    const { host, network, invitersOf } = this.#options;
    const tokens = host()?.reserve(network, link.peer, peer, invitersOf?.(link.peer.device));
    if (tokens) other.sendRelay({ type: 'join', peer: link.peer, token: tokens[1] });
    return tokens;
  }

  /** A connection to a peer that may be asked for something; undefined for one that is not here. */
  #to(peer: PeerRef): ControlPeer | undefined {
    if (this.#options.isRevoked(peer.device)) return undefined;
    return this.#options.links.to(peer).findLast((link) => this.#visitors.has(link));
  }

  #tellAll(): void {
    const here = new Map<string, PeerHere>();
    for (const links of this.#options.links.byPeer()) {
      // Whom we dialled others can dial, most likely; peer exchange tells them where.
      if (links.some((link) => link.dialed !== undefined)) continue;
      const link = links.findLast((one) => this.#visitors.has(one));
      if (link) here.set(peerKey(link.peer), { ...link.peer, listens: link.listenPort !== undefined });
    }
    const relays = this.#options.host() !== undefined;
    for (const [link, visitor] of this.#visitors) tell(link, visitor, here, relays);
  }
}

function tell(link: ControlPeer, visitor: Visitor, here: ReadonlyMap<string, PeerHere>, relays: boolean): void {
  const { told } = visitor;
  const own = peerKey(link.peer);
  const added = [...here].filter(([key, peer]) => key !== own && told.get(key)?.listens !== peer.listens);
  const gone = [...told].filter(([key]) => !here.has(key));
  if (added.length + gone.length === 0 && visitor.relays === relays) return;
  visitor.relays = relays;
  for (const [key, peer] of added) told.set(key, peer);
  for (const [key] of gone) told.delete(key);
  link.sendRelay({ type: 'here', added: added.map(([, peer]) => peer), gone: gone.map(([, peer]) => peer), relays });
}
