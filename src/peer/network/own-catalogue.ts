import type { Clock } from '../../common/clock.ts';
import type { Disposable } from '../../common/disposable.ts';
import { errorMessage, PeerwireError } from '../../common/errors.ts';
import type { DeviceId, NetworkId, ShareId } from '../../common/ids.ts';
import type { Logger } from '../../common/log.ts';
import {
  audienceKey,
  checkHold,
  checkShare,
  cleanDeviceName,
  compareVersions,
  type HoldEntry,
  MAX_SECTION_ENTRIES,
  MAX_SECTION_SIZE,
  type Section,
  type SectionSigner,
  type ShareEntry,
  type SignedSection,
  sectionContent,
  signSection,
} from './catalogue.ts';
import { type CatalogueStore, keyOf } from './catalogue-store.ts';
import type { PeerRef } from './channel.ts';

/** A section is signed again, though unchanged, after so long (ms), so that others do not forget it. */
const REFRESH_AFTER = 7 * 24 * 60 * 60 * 1000;
const REFRESH_CHECK = 60 * 60 * 1000;
/** Milliseconds between two publications: at least, and for each 4 KiB that every member has to fetch. */
const PUBLISH_GAP = 50;
const PUBLISH_GAP_BYTES = 4096;
/** Milliseconds between two answers to later sections of our own, doubling; and after which that begins anew. */
const ANSWER_PAUSE = 1000;
const MAX_ANSWER_PAUSE = 10 * 60 * 1000;
const ANSWER_CALM = 60 * 60 * 1000;
/** Room for the signature, the credentials and the numbers around a section's content. */
const OVERHEAD = 8192;

export interface OwnCatalogueOptions {
  readonly self: PeerRef;
  readonly network: NetworkId;
  readonly signer: SectionSigner;
  readonly credentials: () => Buffer;
  readonly store: CatalogueStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a section shall say; who signs it and when is added on publication. */
interface Draft {
  readonly to?: readonly DeviceId[];
  readonly shares: readonly ShareEntry[];
  readonly holds: readonly HoldEntry[];
}

/** Others had a later version of a section of ours than the store. */
interface Contest {
  latest: Section;
  /** When it may be answered, by the monotone clock, and how long (ms) after an answer. */
  next: number;
  pause: number;
  timer: Disposable | undefined;
}

/**
 * Keeps this peer's signed sections in the store equal to what it offers. A change is published at once, and further
 * ones after a pause that grows with their size, so that a big catalogue cannot flood the network.
 */
export class OwnCatalogue implements Disposable {
  readonly #options: OwnCatalogueOptions;
  #name: string;
  #drafts = new Map<string, Draft>();
  /** Contents, since they are compared often: encoding thousands of entries takes a while. */
  readonly #contents = new WeakMap<Draft | SignedSection, Buffer>();
  #incarnation = 0;
  #sequence = 0;
  #started = false;
  #disposed = false;
  #nextPublication = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;
  /** Sections of ours of which others had later versions, by key. */
  readonly #contests = new Map<string, Contest>();
  #refresh: Disposable | undefined;

  constructor(options: OwnCatalogueOptions, name: string) {
    this.#options = options;
    this.#name = cleanDeviceName(name);
    this.#drafts = draftsOf([], [], options.self.device);
  }

  /** Begins to publish, under an incarnation higher than all that are in the store. Call it when the store is loaded. */
  start(): void {
    const { store, clock } = this.#options;
    this.#incarnation = store
      .own()
      .reduce(
        (incarnation, { section }) => Math.max(incarnation, section.incarnation + 1),
        Math.floor(clock.wallTime()),
      );
    this.#started = true;
    this.#refresh = clock.setInterval(() => this.refresh(), REFRESH_CHECK);
    this.#publish();
  }

  /** Throws `usage` or `unsafe-path`, changing nothing, when others would refuse it. */
  set(shares: readonly ShareEntry[], holds: readonly HoldEntry[]): void {
    for (const entry of shares) checkShare(entry);
    for (const entry of holds) checkHold(entry);
    if (
      new Set(shares.map((entry) => entry.share)).size < shares.length ||
      new Set(holds.map((entry) => `${entry.owner}/${entry.share}/${entry.infohash}`)).size < holds.length
    ) {
      throw new PeerwireError('usage', 'A share is listed twice.');
    }
    const drafts = draftsOf(shares, holds, this.#options.self.device);
    for (const draft of drafts.values()) {
      const entries = draft.shares.length + draft.holds.length;
      if (entries > MAX_SECTION_ENTRIES || this.#contentOf(draft).length > MAX_SECTION_SIZE - OVERHEAD) {
        throw new PeerwireError('usage', 'Too much is shared at once: share fewer, larger folders.');
      }
    }
    this.#drafts = drafts;
    this.refresh();
  }

  /** Offers nothing any more, at once: for the good-bye of a peer that leaves the network. */
  withdraw(): void {
    this.#drafts = draftsOf([], [], this.#options.self.device);
    if (this.#started) this.#publish();
  }

  /**
   * Takes a share out of what other peers of this device said that are not here: a window that was closed cannot do it, and
   * what it said would stand. Under a later incarnation, so that no version is signed twice; one that runs after all says
   * its present word on that.
   */
  withdrawFor(share: ShareId, isHere: (peer: PeerRef) => boolean): void {
    const { self, store, signer, credentials, clock } = this.#options;
    if (!this.#started || this.#disposed) return;
    for (const [, { section }] of [...store.entries()]) {
      if (section.device !== self.device || store.isOwn(section) || isHere(section)) continue;
      const shares = section.shares.filter((entry) => entry.share !== share);
      if (shares.length === section.shares.length) continue;
      const next = { ...section, shares, incarnation: section.incarnation + 1, sequence: 1 };
      store.putOwn(signSection({ ...next, time: Math.floor(clock.wallTime()) }, signer, credentials()));
    }
  }

  setName(name: string): void {
    this.#name = cleanDeviceName(name);
    // The name is part of each section: new drafts have no content yet.
    this.#drafts = new Map([...this.#drafts].map(([key, draft]) => [key, { ...draft }]));
    this.refresh();
  }

  /** Publishes what differs from what was signed: after a change of the credentials, for example. */
  refresh(): void {
    if (!this.#started || this.#disposed || this.#timer !== undefined) return;
    const wait = this.#nextPublication - this.#options.clock.now();
    if (wait <= 0) {
      this.#publish();
      return;
    }
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#publish();
    }, wait);
  }

  /**
   * Others have a section of ours that the store lacks: our state was lost or is older than it was. Signs our present
   * word on it, so that it supersedes theirs.
   */
  supersede({ section }: SignedSection): void {
    const key = keyOf(section);
    const { clock } = this.#options;
    const contest = this.#contests.get(key) ?? {
      latest: section,
      next: Number.NEGATIVE_INFINITY,
      pause: 0,
      timer: undefined,
    };
    this.#contests.set(key, contest);
    if (compareVersions(contest.latest, section) < 0) contest.latest = section;
    if (contest.timer !== undefined || this.#disposed) return;
    const wait = contest.next - clock.now();
    if (wait <= 0) this.#answer(contest);
    else {
      contest.timer = clock.setTimeout(() => {
        contest.timer = undefined;
        this.#answer(contest);
      }, wait);
    }
  }

  #answer(contest: Contest): void {
    const { store, clock } = this.#options;
    const { latest: section } = contest;
    const own = store.get(keyOf(section));
    if (own !== undefined && compareVersions(own.section, section) >= 0) return;
    this.#incarnation = Math.max(this.#incarnation, section.incarnation + 1);
    const draft = this.#drafts.get(audienceKey(section.to));
    const empty: Draft = { ...(section.to === undefined ? {} : { to: section.to }), shares: [], holds: [] };
    this.#sign(draft ?? empty);
    // A copy of this device that runs elsewhere answers in turn, and so on: with ever longer pauses.
    const calm = clock.now() - contest.next > ANSWER_CALM;
    contest.pause = calm ? ANSWER_PAUSE : Math.min(2 * contest.pause, MAX_ANSWER_PAUSE);
    contest.next = clock.now() + contest.pause;
  }

  dispose(): void {
    this.#disposed = true;
    this.#timer?.dispose();
    for (const { timer } of this.#contests.values()) timer?.dispose();
    this.#refresh?.dispose();
  }

  #publish(): void {
    if (this.#disposed) return;
    const { store, clock } = this.#options;
    const credentials = this.#options.credentials();
    const oldest = clock.wallTime() - REFRESH_AFTER;
    let published = 0;
    const keep = new Map<string, Draft>(this.#drafts);
    for (const { section } of store.own()) {
      const audience = audienceKey(section.to);
      if (keep.has(audience) || section.shares.length + section.holds.length === 0) continue;
      keep.set(audience, { ...(section.to === undefined ? {} : { to: section.to }), shares: [], holds: [] });
    }
    // Emptied sections first: a share that moves to fewer devices leaves its old audience before it joins the new one.
    const drafts = [...keep.values()].sort((a, b) => size(a) - size(b));
    for (const draft of drafts) {
      const section = this.#section(draft);
      const own = store.get(keyOf(section));
      const unchanged =
        own !== undefined &&
        own.section.time > oldest &&
        own.credentials.equals(credentials) &&
        this.#contentOf(own).equals(this.#contentOf(draft));
      if (!unchanged) published += this.#sign(draft);
    }
    this.#nextPublication = clock.now() + PUBLISH_GAP + published / PUBLISH_GAP_BYTES;
  }

  /** Returns the bytes published. */
  #sign(draft: Draft): number {
    const { signer, credentials, store, clock, logger } = this.#options;
    try {
      const section: Section = {
        ...this.#section(draft),
        incarnation: this.#incarnation,
        sequence: ++this.#sequence,
        time: Math.floor(clock.wallTime()),
      };
      const signed = signSection(section, signer, credentials());
      this.#contents.set(signed, this.#contentOf(draft));
      store.putOwn(signed);
      return signed.bytes.length;
    } catch (error) {
      logger.error(`The catalogue was not published: ${errorMessage(error)}`);
      return 0;
    }
  }

  #contentOf(item: Draft | SignedSection): Buffer {
    const known = this.#contents.get(item);
    if (known !== undefined) return known;
    const content = sectionContent('section' in item ? item.section : this.#section(item));
    this.#contents.set(item, content);
    return content;
  }

  #section(draft: Draft): Section {
    const { self, network } = this.#options;
    return { network, ...self, name: this.#name, ...draft, incarnation: 0, sequence: 0, time: 0 };
  }
}

/** One draft for each audience, in an order that depends on nothing but the entries. There is always one for everyone. */
function draftsOf(shares: readonly ShareEntry[], holds: readonly HoldEntry[], self: DeviceId): Map<string, Draft> {
  const drafts = new Map<string, { to?: readonly DeviceId[]; shares: ShareEntry[]; holds: HoldEntry[] }>();
  drafts.set('', { shares: [], holds: [] });
  const draftFor = (to: readonly DeviceId[] | undefined) => {
    const audience = to === undefined ? undefined : [...new Set(to)].filter((device) => device !== self).sort();
    const key = audienceKey(audience);
    const known = drafts.get(key);
    if (known !== undefined) return known;
    const draft = { ...(audience === undefined ? {} : { to: audience }), shares: [], holds: [] };
    drafts.set(key, draft);
    return draft;
  };
  const byShare = <T extends ShareEntry | HoldEntry>(entries: readonly T[]): T[] =>
    [...entries].sort((a, b) => compareText(a.share, b.share) || compareText(a.infohash, b.infohash));
  for (const entry of byShare(shares)) draftFor(entry.to).shares.push(entry);
  for (const entry of byShare(holds)) draftFor(entry.to).holds.push(entry);
  return drafts;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function size(draft: Draft): number {
  return draft.shares.length + draft.holds.length;
}
