import { PeerwireError } from '../common/errors.ts';
import { type MemberChannel, type PeerRef, peerKey } from './network/channel.ts';

/**
 * The connections of one swarm, one to each peer. Both ends may dial each other at once: of two connections both ends keep
 * the one that was initiated by the peer with the smaller key.
 */
export class SwarmLinks {
  readonly #self: string;
  readonly #channels = new Map<string, MemberChannel>();

  constructor(self: PeerRef) {
    this.#self = peerKey(self);
  }

  /** Takes in a connection and closes what it replaces. False when another is to be kept: this one is not closed. */
  add(channel: MemberChannel): boolean {
    for (const [key, other] of this.#channels) if (other.closed) this.#channels.delete(key);
    const key = peerKey(channel);
    const existing = this.#channels.get(key);
    if (existing && existing.initiator !== channel.initiator) {
      const weAreSmaller = this.#self < key;
      if (existing.initiator === weAreSmaller) return false;
    }
    existing?.close(new PeerwireError('closed', 'Replaced by another connection to the same peer.'));
    this.#channels.set(key, channel);
    return true;
  }

  /** Those that are open. */
  *open(): Generator<MemberChannel> {
    for (const channel of this.#channels.values()) if (!channel.closed) yield channel;
  }
}
