import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorMessage, PeerwireError } from '../../common/errors.ts';
import type { DeviceId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import type { PeerRef } from './channel.ts';
import { type MembershipMessage, type Part, PartCollector, partsOf } from './control-messages.ts';
import { TokenBucket } from './token-bucket.ts';

/** Sets sent to one peer: per second, and in one burst; changes in between go together in the next. */
const SEND_RATE = 1;
const SEND_BURST = 5;
/** Sets that are read of one device, whatever windows it has: per second, and in one burst. Who sends more is let go. */
const READ_RATE = 4;
const READ_BURST = 40;

/** What creator and admins of a network said, revocations above all: `NetworkTrust` has it. */
export interface Revocations {
  /** Equal heads mean equal sets. */
  readonly revocationHead: string;
  revocationsBytes(): Buffer;
  /** Throws when the bytes do not verify. */
  applyRevocations(bytes: Uint8Array): unknown;
}

/** A connected peer, as this gossip sees it. */
export interface MembershipLink {
  readonly peer: PeerRef;
  sendMembership(message: MembershipMessage): void;
}

interface LinkState {
  /** The set that the other knows, as far as we know. */
  head: string | undefined;
  /** Our set that it was sent last, by its head: sets are large, and asking is cheap. */
  sent: string | undefined;
  readonly sets: TokenBucket;
  waiting: Disposable | undefined;
  readonly collector: PartCollector;
}

/**
 * Spreads revocations and settings: peers compare heads when they meet, whoever hears of a different set sends its own, and what
 * changes here goes to everyone whose set is not known to be the same.
 */
export class MembershipGossip {
  readonly #revocations: Revocations;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #links = new Map<MembershipLink, LinkState>();
  readonly #reads = new Map<DeviceId, TokenBucket>();
  #head: string;

  constructor(revocations: Revocations, clock: Clock, logger: Logger) {
    this.#revocations = revocations;
    this.#clock = clock;
    this.#logger = logger;
    this.#head = revocations.revocationHead;
  }

  /**
   * `shown`: its head as the handshake told it, if it did. When it differs, our set is the first thing that the other hears,
   * before catalogues and addresses, and without waiting for its head.
   */
  join(link: MembershipLink, shown?: string): void {
    const sets = new TokenBucket(this.#clock, SEND_RATE, SEND_BURST);
    const collector = new PartCollector();
    const state: LinkState = { head: shown, sent: undefined, sets, waiting: undefined, collector };
    const head = this.#revocations.revocationHead;
    this.#links.set(link, state);
    link.sendMembership({ type: 'head', head });
    if (shown !== undefined && shown !== head) this.#send(link, state);
  }

  leave(link: MembershipLink): void {
    this.#links.get(link)?.waiting?.dispose();
    this.#links.delete(link);
  }

  /** Throws `protocol` when parts are out of place, or what the revocations' verification throws. */
  receive(link: MembershipLink, message: MembershipMessage): void {
    const state = this.#links.get(link);
    if (state === undefined) return;
    if (message.type === 'head') {
      state.head = message.head;
      if (message.head !== this.#revocations.revocationHead) this.#send(link, state);
    } else {
      this.#onPart(link, state, message);
    }
  }

  /** Call it when the revocations may have changed. */
  changed(): void {
    const head = this.#revocations.revocationHead;
    if (head === this.#head) return;
    this.#head = head;
    for (const [link, state] of this.#links) if (state.head !== head) this.#send(link, state);
  }

  #onPart({ peer }: MembershipLink, state: LinkState, part: Part & { readonly head: string }): void {
    const bytes = state.collector.add(part);
    if (bytes === undefined) return;
    if (!this.#mayRead(peer.device)) throw new PeerwireError('protocol', 'The peer sends revocations all the time.');
    state.head = part.head;
    try {
      this.#revocations.applyRevocations(bytes);
    } catch (error) {
      this.#logger.warn(`Revocations were refused: ${errorMessage(error)}`);
      throw error;
    }
    this.changed();
  }

  #mayRead(device: DeviceId): boolean {
    // A full allowance is as good as none.
    for (const [other, { isFull }] of this.#reads) if (isFull) this.#reads.delete(other);
    const reads = this.#reads.get(device) ?? new TokenBucket(this.#clock, READ_RATE, READ_BURST);
    this.#reads.set(device, reads);
    return reads.tryTake(1);
  }

  #send(link: MembershipLink, state: LinkState): void {
    const head = this.#revocations.revocationHead;
    if (state.sent === head || state.waiting !== undefined) return;
    // Or one who may say little could have everybody send all that was ever said, again and again.
    if (!state.sets.tryTake(1)) {
      state.waiting = this.#clock.setTimeout(() => {
        state.waiting = undefined;
        if (state.head !== this.#revocations.revocationHead) this.#send(link, state);
      }, 1000 / SEND_RATE);
      return;
    }
    state.sent = head;
    for (const part of partsOf(this.#revocations.revocationsBytes()))
      link.sendMembership({ ...part, type: 'part', head });
  }
}
