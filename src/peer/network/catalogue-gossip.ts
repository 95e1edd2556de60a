import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorMessage } from '../../common/errors.ts';
import type { DeviceId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import { audienceKey, compareVersions, mayRead, type SignedSection } from './catalogue.ts';
import { type CatalogueStore, MAX_SECTIONS, sectionKey } from './catalogue-store.ts';
import { type PeerRef, peerKey } from './channel.ts';
import {
  type CatalogueMessage,
  MAX_ROWS,
  type Part,
  PartCollector,
  partsOf,
  type SectionHead,
  type SectionName,
  type Wanted,
} from './control-messages.ts';
import { applyDelta } from './section-delta.ts';
import { TokenBucket } from './token-bucket.ts';

/** Milliseconds in which news of others' sections are gathered into one message. Our own go out at once. */
const ANNOUNCE_DELAY = 10;
/** Milliseconds without a part until a section is asked of someone else. */
const REQUEST_TIMEOUT = 20_000;
/** Sections asked of one peer at a time. */
const MAX_REQUESTS = 32;
/** Sections of which we note that a peer has them; a little more than a store keeps. */
const MAX_HEADS = MAX_SECTIONS + 500;
/** Proofs of conflict that we remember to have seen. */
const MAX_EXAMINED = 1000;
/** The same version goes to the same peer once in so many ms, however often it asks. */
const SERVE_PAUSE = 10_000;
/** A peer that so often did not deliver what it said it has is not asked for that section again. */
const MAX_FAILURES = 2;

/** Bytes that deltas of one peer may grow to: per second, and in one burst. As much as a peer may send without being slowed down. */
const GROWTH_RATE = 4 * 1024 * 1024;
const GROWTH_BURST = 16 * 1024 * 1024;

/** A connected peer, as gossip sees it. */
export interface GossipLink {
  readonly peer: PeerRef;
  /** False while enough is on its way; `drained` follows. */
  readonly writable: boolean;
  readonly takesDeltas: boolean;
  sendCatalogue(message: CatalogueMessage): void;
}

export interface CatalogueGossipOptions {
  readonly store: CatalogueStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isRevoked: (device: DeviceId) => boolean;
  /** Someone has a section of ours that we lack. */
  readonly onOwn: (signed: SignedSection) => void;
}

interface LinkState {
  readonly link: GossipLink;
  /** The newest version of each section that the other is known to have. */
  readonly heads: Map<string, SectionHead>;
  /** How often it failed to deliver a section. */
  readonly failures: Map<string, number>;
  readonly toAnnounce: Set<string>;
  readonly toSend: Map<string, Reason>;
  readonly served: Map<string, { readonly digest: string; readonly base: string | undefined; readonly at: number }>;
  /** Sections of which a delta from here was of no use: the whole is asked for. */
  readonly whole: Set<string>;
  /** Bytes that deltas may still grow to. */
  readonly growth: TokenBucket;
  sending: Sending | undefined;
  receiving: { readonly key: string; readonly collector: PartCollector | undefined } | undefined;
  requests: number;
}

/** Our own section is pushed to whoever has what we sent last; others' sections go to who asked, with what it has, if it has any. */
type Reason = 'pushed' | { readonly base: string | undefined };

interface Sending {
  readonly key: string;
  readonly head: SectionHead;
  readonly parts: Iterator<Part>;
  /** Digest of the version that it leads from; undefined: it is the whole. */
  readonly base: string | undefined;
}

interface Request {
  readonly state: LinkState;
  timer: Disposable;
}

/**
 * Spreads signed sections: each side names the versions that it has, and asks for what it lacks. A change of our own is
 * pushed; news of others are named first, since in a full mesh most peers have them already.
 */
export class CatalogueGossip implements Disposable {
  readonly #options: CatalogueGossipOptions;
  readonly #links = new Map<GossipLink, LinkState>();
  /** Sections that some peer has in a version that we lack. */
  readonly #missing = new Set<string>();
  readonly #requests = new Map<string, Request>();
  /** `key digest` of conflicting sections that were examined. */
  readonly #examined = new Set<string>();
  readonly #subscription: Disposable;
  #announceTimer: Disposable | undefined;

  constructor(options: CatalogueGossipOptions) {
    this.#options = options;
    this.#subscription = options.store.onChanged((key) => this.#onChanged(key));
  }

  join(link: GossipLink): void {
    const state: LinkState = {
      link,
      heads: new Map(),
      failures: new Map(),
      toAnnounce: new Set(),
      toSend: new Map(),
      served: new Map(),
      whole: new Set(),
      growth: new TokenBucket(this.#options.clock, GROWTH_RATE, GROWTH_BURST),
      sending: undefined,
      receiving: undefined,
      requests: 0,
    };
    this.#links.set(link, state);
    for (const [key] of this.#options.store.entries()) state.toAnnounce.add(key);
    this.#announce(state);
  }

  leave(link: GossipLink): void {
    const state = this.#links.get(link);
    if (state === undefined) return;
    this.#links.delete(link);
    for (const [key, request] of this.#requests) if (request.state === state) this.#endRequest(key);
    this.#request();
  }

  /** Throws `protocol` when parts are out of place. */
  receive(link: GossipLink, message: CatalogueMessage): void {
    const state = this.#links.get(link);
    if (state === undefined) return;
    switch (message.type) {
      case 'heads':
        for (const head of message.heads) this.#onHead(state, head);
        this.#request();
        break;
      case 'want':
        for (const name of message.names) this.#onWant(state, name);
        this.#send(state);
        break;
      case 'part':
        this.#onPart(state, message.name, message, (bytes) => bytes);
        break;
      case 'delta':
        this.#onPart(state, message.head, message, (delta, asked) => this.#grow(state, message, delta, asked));
        break;
    }
  }

  /** The link is writable again. */
  drained(link: GossipLink): void {
    const state = this.#links.get(link);
    if (state !== undefined) this.#send(state);
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#announceTimer?.dispose();
    for (const key of [...this.#requests.keys()]) this.#endRequest(key);
    this.#links.clear();
  }

  #onChanged(key: string): void {
    const signed = this.#options.store.get(key);
    if (signed === undefined) return;
    this.#missing.delete(key);
    const own = this.#options.store.isOwn(signed.section);
    for (const state of this.#links.values()) {
      if (own) {
        if (mayRead(signed.section, state.link.peer.device)) state.toSend.set(key, 'pushed');
        this.#send(state);
      } else {
        state.toAnnounce.add(key);
      }
    }
    if (!own) this.#announceSoon();
  }

  #announceSoon(): void {
    this.#announceTimer ??= this.#options.clock.setTimeout(() => {
      this.#announceTimer = undefined;
      for (const state of this.#links.values()) this.#announce(state);
    }, ANNOUNCE_DELAY);
  }

  #announce(state: LinkState): void {
    const heads: SectionHead[] = [];
    for (const key of state.toAnnounce) {
      const signed = this.#options.store.get(key);
      if (signed === undefined || !mayRead(signed.section, state.link.peer.device)) continue;
      const theirs = state.heads.get(key);
      if (theirs === undefined || compareVersions(signed.section, theirs) > 0) heads.push(headOf(signed));
    }
    state.toAnnounce.clear();
    for (let i = 0; i < heads.length; i += MAX_ROWS) {
      state.link.sendCatalogue({ type: 'heads', heads: heads.slice(i, i + MAX_ROWS) });
    }
  }

  #onHead(state: LinkState, head: SectionHead): void {
    const key = sectionKey(head, head.audience);
    const before = state.heads.get(key);
    // What it failed to deliver counts as well: or ever other names would fill our memory.
    if (before === undefined && state.heads.size + state.failures.size >= MAX_HEADS) return;
    if (before !== undefined && compareVersions(before, head) > 0) return;
    state.heads.set(key, head);
    if (this.#lacks(key, head)) this.#missing.add(key);
  }

  /** True when the section named by `head` is worth asking for. */
  #lacks(key: string, head: SectionHead): boolean {
    if (this.#options.isRevoked(head.device)) return false;
    const known = this.#options.store.get(key);
    if (known === undefined) return true;
    const order = compareVersions(head, known.section);
    if (order !== 0) return order > 0;
    // Two sections under one version: fetch the other, so that a claim becomes proof.
    return head.digest !== known.digest && !this.#examined.has(`${key} ${head.digest}`);
  }

  /** Asks for what is missing, each section of one peer at a time. */
  #request(): void {
    const wants = new Map<LinkState, Wanted[]>();
    for (const key of this.#missing) {
      if (this.#requests.has(key)) continue;
      let wanted = false;
      for (const state of this.#links.values()) {
        const head = state.heads.get(key);
        if (head === undefined || !this.#lacks(key, head)) continue;
        if ((state.failures.get(key) ?? 0) >= MAX_FAILURES) continue;
        wanted = true;
        if (state.requests >= MAX_REQUESTS) continue;
        state.requests++;
        this.#requests.set(key, { state, timer: this.#requestTimer(key) });
        const names = wants.get(state) ?? [];
        wants.set(state, names);
        const base = state.whole.has(key) ? undefined : this.#options.store.get(key)?.digest;
        names.push({ ...head, base });
        break;
      }
      if (!wanted) this.#missing.delete(key);
    }
    for (const [state, names] of wants) state.link.sendCatalogue({ type: 'want', names });
  }

  #requestTimer(key: string): Disposable {
    return this.#options.clock.setTimeout(() => {
      const state = this.#requests.get(key)?.state;
      this.#endRequest(key);
      if (state !== undefined) noteFailure(state, key);
      this.#request();
    }, REQUEST_TIMEOUT);
  }

  #endRequest(key: string): void {
    const request = this.#requests.get(key);
    if (request === undefined) return;
    request.timer.dispose();
    request.state.requests--;
    this.#requests.delete(key);
  }

  #onWant(state: LinkState, { base, ...name }: Wanted): void {
    const key = sectionKey(name, name.audience);
    const signed = this.#options.store.get(key);
    if (signed === undefined || !mayRead(signed.section, state.link.peer.device)) return;
    const served = state.served.get(key);
    const isAgain = served?.digest === signed.digest && (served.base === undefined || served.base === base);
    if (isAgain && this.#options.clock.now() - served.at < SERVE_PAUSE) return;
    state.toSend.set(key, { base });
  }

  #send(state: LinkState): void {
    while (state.link.writable) {
      const sending = state.sending ?? this.#nextToSend(state);
      if (sending === undefined) return;
      state.sending = sending;
      const { key, head, base, parts } = sending;
      const { value, done } = parts.next();
      if (done !== true) {
        state.link.sendCatalogue(
          base === undefined ? { ...value, type: 'part', name: head } : { ...value, type: 'delta', head, base },
        );
        continue;
      }
      state.sending = undefined;
      this.#noteHead(state, key, head);
      state.served.set(key, { digest: head.digest, base, at: this.#options.clock.now() });
    }
  }

  /** It has this version now. What is in no catalogue any more is forgotten when there is too much. */
  #noteHead(state: LinkState, key: string, head: SectionHead): void {
    if (state.heads.size + state.served.size >= 2 * MAX_HEADS) {
      const isGone = (other: string): boolean => this.#options.store.get(other) === undefined;
      for (const other of [...state.heads.keys()].filter(isGone)) state.heads.delete(other);
      for (const other of [...state.served.keys()].filter(isGone)) state.served.delete(other);
    }
    state.heads.set(key, head);
  }

  #nextToSend(state: LinkState): LinkState['sending'] {
    const { store } = this.#options;
    for (const [key, reason] of state.toSend) {
      state.toSend.delete(key);
      const signed = store.get(key);
      if (signed === undefined) continue;
      const base = reason === 'pushed' ? state.heads.get(key)?.digest : reason.base;
      const delta = base !== undefined && state.link.takesDeltas ? store.past.deltaTo(key, signed, base) : undefined;
      const head = headOf(signed);
      if (delta === undefined) return { key, head, parts: partsOf(signed.bytes), base: undefined };
      return { key, head, parts: partsOf(delta), base };
    }
    return undefined;
  }

  /** `read`: gives the section from the bytes that came, or undefined when they are of no use. */
  #onPart(
    state: LinkState,
    name: SectionName,
    part: Part,
    read: (bytes: Buffer, asked: boolean) => Buffer | undefined,
  ): void {
    const key = sectionKey(name, name.audience);
    const request = this.#requests.get(key);
    const asked = request?.state === state;
    if (asked) {
      request.timer.dispose();
      request.timer = this.#requestTimer(key);
    }
    if (part.at === 0) {
      // Peers push their own sections; others' come when we asked.
      const expected = asked || peerKey(name) === peerKey(state.link.peer);
      state.receiving = { key, collector: expected ? new PartCollector() : undefined };
    }
    if (state.receiving?.key !== key) return;
    const bytes = state.receiving.collector?.add(part);
    if (bytes === undefined) return;
    state.receiving = undefined;
    if (asked) this.#endRequest(key);
    const section = read(bytes, asked);
    if (section !== undefined) this.#onSection(state, key, section);
    this.#request();
  }

  /** What a delta leads to. When that is not to be had, the section is asked for: at first what changed, then the whole. */
  #grow(
    state: LinkState,
    { head, base }: { readonly head: SectionHead; readonly base: string },
    delta: Buffer,
    asked: boolean,
  ): Buffer | undefined {
    const { store, logger } = this.#options;
    const key = sectionKey(head, head.audience);
    const known = store.get(key);
    if (known !== undefined && compareVersions(head, known.section) <= 0) return undefined;
    this.#onHead(state, head);
    if (known?.digest !== base) {
      if (asked && state.whole.has(key)) noteFailure(state, key);
      else if (asked) noteWhole(state, key);
      return undefined;
    }
    // Few bytes become many, which are hashed and verified: no more of them than if they came as they are.
    if (!state.growth.tryTake(known.bytes.length + delta.length)) {
      noteWhole(state, key);
      return undefined;
    }
    try {
      return applyDelta(known.bytes, delta);
    } catch (error) {
      logger.warn(`A change of a catalogue from ${peerKey(state.link.peer)} was refused: ${errorMessage(error)}`);
      noteFailure(state, key);
      noteWhole(state, key);
      this.#onHead(state, head);
      return undefined;
    }
  }

  #onSection(state: LinkState, key: string, bytes: Buffer): void {
    const { store, logger, onOwn } = this.#options;
    const before = state.heads.get(key);
    const outcome = store.offer(bytes, key);
    switch (outcome.kind) {
      case 'new':
        state.whole.delete(key);
        this.#noteHead(state, key, headOf(outcome.signed));
        return;
      case 'own':
        onOwn(outcome.signed);
        break;
      case 'conflict':
        logger.warn(`${key} was signed twice with one version; the first stays.`);
        if (this.#examined.size >= MAX_EXAMINED) this.#examined.clear();
        if (before !== undefined) this.#examined.add(`${key} ${before.digest}`);
        break;
      case 'refused':
        logger.warn(`A catalogue from ${peerKey(state.link.peer)} was refused: ${outcome.reason.message}`);
        break;
      case 'known':
        break;
    }
    // Whatever it was, it did not give us what the peer said it has: do not ask it again for the same.
    const lacking = state.heads.get(key);
    if (lacking !== undefined && this.#lacks(key, lacking)) noteFailure(state, key);
  }
}

/** The other's word on a section is forgotten until it gives it again. */
function noteFailure(state: LinkState, key: string): void {
  state.heads.delete(key);
  state.failures.set(key, (state.failures.get(key) ?? 0) + 1);
}

/** The next time the whole is asked for. */
function noteWhole(state: LinkState, key: string): void {
  if (state.whole.size >= MAX_HEADS) state.whole.clear();
  state.whole.add(key);
}

function headOf(signed: SignedSection): SectionHead {
  const { device, instance, incarnation, sequence, to } = signed.section;
  return { device, instance, audience: audienceKey(to), incarnation, sequence, digest: signed.digest };
}
