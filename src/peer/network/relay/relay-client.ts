import { randomBytes } from 'node:crypto';
import { readHandshake } from '../../../bittorrent/incoming-wire.ts';
import { encodeHandshake } from '../../../bittorrent/wire/handshake.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Disposable } from '../../../common/disposable.ts';
import { errorCode, errorMessage, PeerwireError } from '../../../common/errors.ts';
import type { DeviceId, NetworkId } from '../../../common/ids.ts';
import type { Logger } from '../../../common/log.ts';
import { type MemberChannel, type PeerRef, peerKey } from '../channel.ts';
import type { ControlPeer } from '../control-peer.ts';
import { dialPeer } from '../dial-peer.ts';
import type { DialTarget } from '../dialer.ts';
import { addressesOf } from '../swarm-dialer.ts';
import { TokenBucket } from '../token-bucket.ts';
import { givesWay, type Place } from './gives-way.ts';
import { relayInfoHash } from './relay-host.ts';
import { MAX_PEERS, type PeerHere, REQUEST_ID_SIZE, type RelayMessage } from './relay-messages.ts';

/** Milliseconds for an answer to a request; and for others after the first that answers a ping. */
const ANSWER_TIMEOUT = 5_000;
const PONG_PAUSE = 50;
/** Milliseconds for reaching the relay, and for the other end to come there. */
const DIAL_TIMEOUT = 8_000;
const JOIN_TIMEOUT = 15_000;
/** Relays that are asked for one connection, one after another: one of each device. */
const MOST_RELAYS = 4;
/** Milliseconds for which a device by which a connection failed comes after all others. */
const FAILED_FOR = 5 * 60_000;
/** Connections under way at once for which others asked; when there are so many, whoever has the most gives way. */
const MOST_JOINS = 16;
/** … and for which one relay may have us dial it: per second, and in one burst. */
const JOIN_RATE = 5;
const JOIN_BURST = 50;

export interface RelayClientOptions {
  readonly network: NetworkId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isRevoked: (device: DeviceId) => boolean;
  readonly dial: (target: DialTarget) => Promise<MemberChannel>;
  /** TLS and the member handshake in what the relay passes on. Owns the channel. */
  readonly secure: (
    role: 'initiator' | 'responder',
    channel: MemberChannel,
    head: Uint8Array,
    expect: PeerRef,
  ) => Promise<MemberChannel>;
  /** Receives, and owns, channels that others opened to us through a relay. */
  readonly accept: (channel: MemberChannel) => void;
  /** Who is where changed. */
  readonly onChange: () => void;
}

interface Relay {
  readonly peers: Map<string, PeerHere>;
  readonly joins: TokenBucket;
  relays: boolean;
}

/** A connection under way for which another asked: by which relay, and who. */
interface Join extends Place {
  readonly abort: AbortController;
}

/** Reaches peers through members that both are connected to. */
export class RelayClient implements Disposable {
  readonly #options: RelayClientOptions;
  readonly #relays = new Map<ControlPeer, Relay>();
  readonly #answers = new Map<string, (link: ControlPeer, message: RelayMessage | undefined) => void>();
  readonly #abort = new AbortController();
  /** The oldest first. */
  readonly #joins = new Set<Join>();
  /** Monotone times at which a connection by a relay failed. */
  readonly #failed = new Map<DeviceId, number>();
  /** Undefined: to be found anew. */
  #known: ReadonlyMap<string, PeerHere> | undefined;

  constructor(options: RelayClientOptions) {
    this.#options = options;
  }

  join(link: ControlPeer): void {
    if (!link.relayed && link.supports('pw_relay')) {
      const joins = new TokenBucket(this.#options.clock, JOIN_RATE, JOIN_BURST);
      this.#relays.set(link, { peers: new Map(), joins, relays: false });
    }
  }

  leave(link: ControlPeer): void {
    if (!this.#relays.delete(link)) return;
    this.#known = undefined;
    this.#options.onChange();
  }

  receive(link: ControlPeer, message: RelayMessage): void {
    const relay = this.#relays.get(link);
    if (!relay) return;
    switch (message.type) {
      case 'here':
        for (const peer of message.gone) relay.peers.delete(peerKey(peer));
        this.#add(link.peer.device, relay, message.added);
        relay.relays = message.relays;
        this.#known = undefined;
        this.#options.onChange();
        return;
      case 'open':
      case 'no':
      case 'pong':
        this.#answers.get(message.id)?.(link, message);
        return;
      case 'join':
        if (relay.joins.tryTake(1)) void this.#onJoin(link, message.peer, message.token);
        return;
    }
  }

  /** Peers that connected members told of. */
  known(): ReadonlyMap<string, PeerHere> {
    if (this.#known) return this.#known;
    const known = new Map<string, PeerHere>();
    for (const { peers } of this.#relays.values()) for (const [key, peer] of peers) known.set(key, peer);
    this.#known = known;
    return known;
  }

  /** Has the peer called by a member that it is connected to: it dials us. False when nobody can. */
  call(peer: PeerRef): boolean {
    for (const [link, { peers }] of this.#relays)
      if (peers.has(peerKey(peer)) && link.sendRelay({ type: 'call', peer })) return true;
    return false;
  }

  canReach(peer: PeerRef): boolean {
    return this.#relaysTo(peer).length > 0;
  }

  /** A channel to the peer through whoever relays best. Rejects with `connection`, `cancelled`… */
  async open(peer: PeerRef, signal: AbortSignal): Promise<MemberChannel> {
    const { logger } = this.#options;
    const either = AbortSignal.any([signal, this.#abort.signal]);
    const relays = this.#relaysTo(peer);
    let failure: unknown;
    for (const link of await this.#best(relays, either)) {
      if (either.aborted) break;
      try {
        const channel = await this.#openBy(link, peer, either);
        logger.info(`Reached ${peerKey(peer)} by the relay ${peerKey(link.peer)}`);
        return channel;
      } catch (error) {
        failure = error;
        // That it has no room is no fault.
        if (!either.aborted && errorCode(error) !== 'busy') this.#noteFailure(link.peer.device);
        logger.debug(`No way to ${peerKey(peer)} by the relay ${peerKey(link.peer)}: ${errorMessage(error)}`);
      }
    }
    if (either.aborted) throw new PeerwireError('cancelled', 'The connection was cancelled.');
    throw new PeerwireError(
      'connection',
      'Neither this peer nor the other can be dialled, and no member that both are connected to relays between them.',
      { cause: failure },
    );
  }

  dispose(): void {
    this.#abort.abort();
    this.#relays.clear();
    this.#known = undefined;
  }

  /** All connections of a device tell of so many: it cannot fill our memory by having many. */
  #add(device: DeviceId, relay: Relay, added: readonly PeerHere[]): void {
    let room = MAX_PEERS;
    for (const [link, { peers }] of this.#relays) if (link.peer.device === device) room -= peers.size;
    for (const peer of added) {
      const key = peerKey(peer);
      if (relay.peers.has(key)) relay.peers.set(key, peer);
      else if (room-- > 0) relay.peers.set(key, peer);
    }
  }

  #noteFailure(device: DeviceId): void {
    const now = this.#options.clock.now();
    for (const [other, at] of this.#failed) if (now - at > FAILED_FOR) this.#failed.delete(other);
    this.#failed.set(device, now);
  }

  #relaysTo(peer: PeerRef): ControlPeer[] {
    const key = peerKey(peer);
    return [...this.#relays].flatMap(([link, { peers, relays }]) =>
      relays && link.ready && peers.has(key) && addressesOf([link]).length > 0 ? [link] : [],
    );
  }

  /**
   * The quickest and least loaded first, then those that did not answer in time, and last by whom a connection failed lately: one
   * that is near, says that it is idle and leads nowhere keeps us from nobody. Full ones are not among them.
   */
  async #best(links: readonly ControlPeer[], signal: AbortSignal): Promise<readonly ControlPeer[]> {
    if (links.length < 2) return links;
    const full = new Set<ControlPeer>();
    const { clock } = this.#options;
    const started = clock.now();
    const scores = new Map<ControlPeer, number>();
    await new Promise<void>((resolve) => {
      const ids: string[] = [];
      const done = (): void => {
        for (const id of ids) this.#answers.delete(id);
        timer.dispose();
        signal.removeEventListener('abort', done);
        resolve();
      };
      let timer = clock.setTimeout(done, ANSWER_TIMEOUT);
      signal.addEventListener('abort', done);
      for (const link of links) {
        const id = randomBytes(REQUEST_ID_SIZE).toString('hex');
        ids.push(id);
        this.#answers.set(id, (from, message) => {
          if (from !== link || message?.type !== 'pong' || scores.has(link)) return;
          const took = clock.now() - started;
          // A full one counts like one three times as far away.
          if (message.load < 100) scores.set(link, (took + 1) * (1 + message.load / 50));
          else full.add(link);
          if (scores.size + full.size === links.length) done();
          else if (scores.size === 1) {
            timer.dispose();
            timer = clock.setTimeout(done, took + PONG_PAUSE);
          }
        });
        link.sendRelay({ type: 'ping', id });
      }
    });
    const devices = new Set<DeviceId>();
    const late = 10 * ANSWER_TIMEOUT;
    return links
      .filter((link) => !full.has(link))
      .map((link) => ({ link, score: scores.get(link) ?? late, failed: Number(this.#hasFailed(link)) }))
      .sort((a, b) => a.failed - b.failed || a.score - b.score)
      .flatMap(({ link }) => {
        const isNew = !devices.has(link.peer.device);
        devices.add(link.peer.device);
        return isNew ? [link] : [];
      })
      .slice(0, MOST_RELAYS);
  }

  /** Lately: a relay that is near, says that it is idle, and passes nothing on is not asked first again. */
  #hasFailed({ peer }: ControlPeer): boolean {
    const at = this.#failed.get(peer.device);
    return at !== undefined && this.#options.clock.now() - at < FAILED_FOR;
  }

  async #openBy(link: ControlPeer, peer: PeerRef, signal: AbortSignal): Promise<MemberChannel> {
    const answer = await this.#ask(link, peer, signal);
    if (answer?.type !== 'open') throw new PeerwireError('busy', 'The relay has no room, or the peer left it.');
    return await this.#meet('initiator', link, answer.token, peer, signal);
  }

  #ask(link: ControlPeer, peer: PeerRef, signal: AbortSignal): Promise<RelayMessage | undefined> {
    const id = randomBytes(REQUEST_ID_SIZE).toString('hex');
    return new Promise((resolve) => {
      const done = (message: RelayMessage | undefined): void => {
        this.#answers.delete(id);
        timer.dispose();
        signal.removeEventListener('abort', aborted);
        resolve(message);
      };
      const aborted = (): void => done(undefined);
      const timer = this.#options.clock.setTimeout(aborted, ANSWER_TIMEOUT);
      signal.addEventListener('abort', aborted);
      this.#answers.set(id, (from, message) => {
        if (from === link) done(message);
      });
      if (!link.sendRelay({ type: 'want', id, peer })) done(undefined);
    });
  }

  async #onJoin(link: ControlPeer, peer: PeerRef, token: Uint8Array): Promise<void> {
    const { isRevoked, logger, accept } = this.#options;
    if (isRevoked(peer.device) || this.#abort.signal.aborted) return;
    // Who asks is the relay's word: it cannot take the room of others by naming many.
    const join: Join = { chain: [link.peer.device, peer.device], abort: new AbortController() };
    if (this.#joins.size >= MOST_JOINS) {
      const first = givesWay(this.#joins, join.chain, () => false);
      if (!first) return;
      this.#joins.delete(first);
      first.abort.abort();
    }
    this.#joins.add(join);
    try {
      const signal = AbortSignal.any([join.abort.signal, this.#abort.signal]);
      const channel = await this.#meet('responder', link, token, peer, signal);
      if (signal.aborted) channel.close();
      else accept(channel);
    } catch (error) {
      logger.debug(`${peerKey(peer)} did not reach us by the relay ${peerKey(link.peer)}: ${errorMessage(error)}`);
    } finally {
      this.#joins.delete(join);
    }
  }

  /** Dials the relay, waits until it says that the other end is there, and speaks TLS with that. */
  async #meet(
    role: 'initiator' | 'responder',
    link: ControlPeer,
    token: Uint8Array,
    peer: PeerRef,
    signal: AbortSignal,
  ): Promise<MemberChannel> {
    const { network, clock, secure, isRevoked } = this.#options;
    const outer = await this.#dial(link, signal);
    const infoHash = relayInfoHash(network, token);
    outer.write([encodeHandshake({ infoHash, peerId: Buffer.alloc(20) })]);
    const cancel = (): void => outer.close(new PeerwireError('cancelled', 'The connection was cancelled.'));
    signal.addEventListener('abort', cancel);
    try {
      const answer = await readHandshake(outer, clock, JOIN_TIMEOUT);
      if (!answer.handshake.infoHash.equals(infoHash)) {
        outer.close();
        throw new PeerwireError('protocol', 'The relay answered something else.');
      }
      const channel = await secure(role, outer, answer.rest, peer);
      if (!isRevoked(peer.device) && !isRevoked(link.peer.device) && !signal.aborted) return channel;
      channel.close();
      throw new PeerwireError('cancelled', 'The connection was cancelled.');
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  async #dial(link: ControlPeer, signal: AbortSignal): Promise<MemberChannel> {
    const { clock, dial } = this.#options;
    let failure: unknown;
    for (const address of addressesOf([link])) {
      try {
        return await dialPeer({ clock, dial, peer: link.peer, address, limit: DIAL_TIMEOUT, signal });
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}
