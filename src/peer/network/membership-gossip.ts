import { errorMessage } from '../../common/errors.ts';
import type { Logger } from '../../common/log.ts';
import { type MembershipMessage, type Part, PartCollector, partsOf } from './control-messages.ts';

/** The revocations of a network: `NetworkTrust` has them. */
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
 * Spreads revocations: peers compare heads when they meet, whoever hears of a different set sends its own, and what
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

  join(link: MembershipLink): void {
    this.#links.set(link, { head: undefined, sent: undefined, collector: new PartCollector() });
    link.sendMembership({ type: 'head', head: this.#revocations.revocationHead });
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
