import { PeerwireError } from '../common/errors.ts';
import { type MemberChannel, type PeerRef, peerKey } from './network/channel.ts';

/**
 * The connections of one swarm, one to each peer. Both ends may dial each other at once: of two connections both ends keep
 * the one that was initiated by the peer with the smaller key. Of a direct one and one by a relay, the direct one stays; what was
 * asked for by the relay still comes.
 */
export class SwarmLinks {
  readonly #self: string;
  readonly #channels = new Map<string, MemberChannel>();
  /** Relayed ones, by those that replace them. */
  readonly #retiring = new Map<MemberChannel, MemberChannel>();

  constructor(self: PeerRef) {
    this.#self = peerKey(self);
  }

  /** Takes in a connection and closes what it replaces. False when another is to be kept: this one is not closed. */
  add(channel: MemberChannel): boolean {
    for (const [key, other] of this.#channels) if (other.closed) this.#channels.delete(key);
    for (const [by, other] of this.#retiring) {
      if (by.closed || other.closed) this.#retiring.delete(by);
      // The direct way was none.
      if (by.closed && !other.closed && !this.#channels.has(peerKey(other))) this.#channels.set(peerKey(other), other);
    }
    const key = peerKey(channel);
    const existing = this.#channels.get(key);
    if (existing && isRelayed(existing) && !isRelayed(channel)) {
      this.#retiring.set(channel, existing);
      this.#channels.set(key, channel);
      return true;
    }
    if (existing && existing.initiator !== channel.initiator) {
      // They did not know of each other: who relays is not needed.
      if (isRelayed(channel) && !isRelayed(existing)) return false;
      const weAreSmaller = this.#self < key;
      if (existing.initiator === weAreSmaller) return false;
    }
    const retiring = existing && this.#retiring.get(existing);
    if (existing && retiring) {
      this.#retiring.delete(existing);
      this.#retiring.set(channel, retiring);
    }
    existing?.close(new PeerwireError('closed', 'Replaced by another connection to the same peer.'));
    this.#channels.set(key, channel);
    return true;
  }

  /** What a connection that was taken in replaces, once it is ready. */
  replacedBy(channel: MemberChannel): MemberChannel | undefined {
    return this.#retiring.get(channel);
  }

  /** It is connected, and only by relays. */
  isRelayed(peer: PeerRef): boolean {
    const key = peerKey(peer);
    const channel = this.#channels.get(key);
    if (channel && !channel.closed) return isRelayed(channel);
    return [...this.#retiring.values()].some((other) => !other.closed && peerKey(other) === key);
  }

  /** Those that are open. */
  *open(): Generator<MemberChannel> {
    for (const channels of [this.#channels, this.#retiring])
      for (const channel of channels.values()) if (!channel.closed) yield channel;
  }
}

const isRelayed = ({ relay }: MemberChannel): boolean => relay !== undefined;
