import { errorMessage } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { type MembershipMessage, type Part, PartCollector, partsOf } from './control-messages.ts';

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
  sendMembership(message: MembershipMessage): void;
}

interface LinkState {
  /** The set that the other knows, as far as we know. */
  head: string | undefined;
  /** Our set that it was sent last, by its head: sets are large, and asking is cheap. */
  sent: string | undefined;
  readonly collector: PartCollector;
}

/**
 * Spreads revocations and settings: peers compare heads when they meet, whoever hears of a different set sends its own, and what
 * changes here goes to everyone whose set is not known to be the same.
 */
export class MembershipGossip {
  readonly #revocations: Revocations;
  readonly #logger: Logger;
  readonly #links = new Map<MembershipLink, LinkState>();
  #head: string;

  constructor(revocations: Revocations, logger: Logger) {
    this.#revocations = revocations;
    this.#logger = logger;
    this.#head = revocations.revocationHead;
  }

  /**
   * `shown`: its head as the handshake told it, if it did. When it differs, our set is the first thing that the other hears,
   * before catalogues and addresses, and without waiting for its head.
   */
  join(link: MembershipLink, shown?: string): void {
    const state: LinkState = { head: shown, sent: undefined, collector: new PartCollector() };
    const head = this.#revocations.revocationHead;
    this.#links.set(link, state);
    link.sendMembership({ type: 'head', head });
    if (shown !== undefined && shown !== head) this.#send(link, state);
  }

  leave(link: MembershipLink): void {
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
      this.#onPart(state, message.head, message);
    }
  }

  /** Call it when the revocations may have changed. */
  changed(): void {
    const head = this.#revocations.revocationHead;
    if (head === this.#head) return;
    this.#head = head;
    for (const [link, state] of this.#links) if (state.head !== head) this.#send(link, state);
  }

  #onPart(state: LinkState, head: string, part: Part): void {
    const bytes = state.collector.add(part);
    if (bytes === undefined) return;
    state.head = head;
    try {
      this.#revocations.applyRevocations(bytes);
    } catch (error) {
      this.#logger.warn(`Revocations were refused: ${errorMessage(error)}`);
      throw error;
    }
    this.changed();
  }

  #send(link: MembershipLink, state: LinkState): void {
    const head = this.#revocations.revocationHead;
    if (state.sent === head) return;
    state.sent = head;
    for (const part of partsOf(this.#revocations.revocationsBytes()))
      link.sendMembership({ ...part, type: 'part', head });
  }
}
