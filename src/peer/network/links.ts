import { PeerwireError } from '../../common/errors.ts';
import type { DeviceId, PeerInstance } from '../../common/ids.ts';
import { type PeerRef, peerKey } from './channel.ts';
import type { ControlPeer } from './control-peer.ts';
import { FairShare } from './fair-share.ts';

/** Control connections of one network; of one device, whose windows are peers of their own; and of one peer. */
export const MAX_LINKS = 256;
export const MAX_LINKS_PER_DEVICE = 64;
const MAX_LINKS_PER_PEER = 4;

/**
 * The open control connections. Two peers may connect twice, most often when they dial each other at the same time:
 * then the connection that the smaller of both (by `peerKey`) dialled stays, and a relayed one never beside a direct one. Only who dialled a connection closes it as
 * a duplicate, so that the two ends, which learn of connections in different order, never close both.
 */
export class Links {
  readonly #self: string;
  readonly #inviterOf: (device: DeviceId) => DeviceId | undefined;
  readonly #links = new Map<string, ControlPeer[]>();
  /** The same peers, by device: whoever dials asks after all whom it remembers, again and again. */
  readonly #present = new Map<DeviceId, Set<PeerInstance>>();

  /** `inviterOf`: who invited a device, if that is known. */
  constructor(self: PeerRef, inviterOf: (device: DeviceId) => DeviceId | undefined = () => undefined) {
    this.#self = peerKey(self);
    this.#inviterOf = inviterOf;
  }

  /** Takes in a connection and closes what it makes superfluous. False when there is no room: it is closed. */
  add(link: ControlPeer): boolean {
    const device = link.peer.device;
    let all = 0;
    let ofDevice = 0;
    for (const other of this.all()) {
      all++;
      if (other.peer.device === device) ofDevice++;
    }
    if (ofDevice >= MAX_LINKS_PER_DEVICE || (all >= MAX_LINKS && !this.#makeRoom(link))) {
      link.close(new PeerwireError('busy', 'There are too many connections already.'));
      return false;
    }
    const key = peerKey(link.peer);
    const links = [...(this.#links.get(key) ?? []), link];
    this.#links.set(key, links);
    const present = this.#present.get(device);
    if (present === undefined) this.#present.set(device, new Set([link.peer.instance]));
    else present.add(link.peer.instance);
    if (links.length > MAX_LINKS_PER_PEER)
      links[0]?.close(new PeerwireError('busy', 'A newer connection replaces this.'));
    for (const duplicate of this.#duplicates(key)) {
      duplicate.close(new PeerwireError('exists', 'The peer is connected already.'));
    }
    return true;
  }

  /** True when it was in. */
  remove(link: ControlPeer): boolean {
    const key = peerKey(link.peer);
    const links = this.#links.get(key);
    if (links?.includes(link) !== true) return false;
    const rest = links.filter((other) => other !== link);
    if (rest.length > 0) {
      this.#links.set(key, rest);
      return true;
    }
    this.#links.delete(key);
    const { device, instance } = link.peer;
    const present = this.#present.get(device);
    present?.delete(instance);
    if (present?.size === 0) this.#present.delete(device);
    return true;
  }

  has(peer: PeerRef): boolean {
    return this.#present.get(peer.device)?.has(peer.instance) === true;
  }

  /** The connections to one peer, the newest last. */
  to(peer: PeerRef): readonly ControlPeer[] {
    return this.#links.get(peerKey(peer)) ?? [];
  }

  /** Every peer with its connections, the newest last. */
  byPeer(): IterableIterator<readonly ControlPeer[]> {
    return this.#links.values();
  }

  *all(): Generator<ControlPeer> {
    for (const links of [...this.#links.values()]) yield* links;
  }

  /** False when `add` would refuse anyone. */
  get hasRoom(): boolean {
    let all = 0;
    for (const links of this.#links.values()) all += links.length;
    return all < MAX_LINKS;
  }

  /** Connections that are relayed. */
  get relayed(): number {
    let count = 0;
    for (const link of this.all()) if (link.relayed) count++;
    return count;
  }

  /** Connected devices but `own`. */
  devices(own: DeviceId): number {
    return new Set([...this.all()].map((link) => link.peer.device).filter((device) => device !== own)).size;
  }

  /** There is a connection that nobody relays. */
  isDirect(peer: PeerRef): boolean {
    return this.has(peer) && this.to(peer).some((link) => !link.relayed);
  }

  /** Whoever has most connections, with all whom it invited, loses the newest: false when that is who wants to come in. */
  #makeRoom(link: ControlPeer): boolean {
    const room = new FairShare(this.#inviterOf);
    const links = [...this.all(), link];
    for (const [index, { peer, since }] of links.entries())
      room.add({ key: String(index), device: peer.device, bytes: 0, time: -since });
    const first = links[Number(room.first()?.key)];
    if (first === undefined || first === link) return false;
    first.close(new PeerwireError('busy', 'There are too many connections already.'));
    return true;
  }

  /** The connections to this peer that we dialled in vain. */
  #duplicates(key: string): ControlPeer[] {
    const links = this.#links.get(key) ?? [];
    const direct = links.filter((link) => !link.relayed);
    const relayed = links.filter((link) => link.relayed);
    const isReached = direct.some((link) => !link.doubtful);
    const superfluous = isReached ? relayed.filter((link) => link.initiator) : this.#duplicatesOf(key, relayed);
    return [...this.#duplicatesOf(key, direct), ...superfluous];
  }

  #duplicatesOf(key: string, links: readonly ControlPeer[]): ControlPeer[] {
    const ours = links.filter((link) => link.initiator);
    const theirs = links.some((link) => !link.initiator && !link.doubtful);
    return this.#self > key && theirs ? ours : ours.slice(0, -1);
  }
}

/** `host:port` at which a peer can be dialled: what worked for us, or else what its newest connection says. */
export function addressOf(links: readonly ControlPeer[]): string | undefined {
  return links.find((link) => link.dialed !== undefined)?.address ?? links.at(-1)?.address;
}
