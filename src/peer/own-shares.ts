import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Bitfield } from '../bittorrent/bitfield.ts';
import { type FileStamp, readStamp } from '../bittorrent/file-stamp.ts';
import { FileStorage } from '../bittorrent/file-storage.ts';
import { checkComponent } from '../bittorrent/safe-path.ts';
import type { SwarmContent } from '../bittorrent/swarm.ts';
import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { errorCode, errorMessage, PeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { DeviceId, InfoHash, NetworkId, ShareId } from '../common/ids.ts';
import { shareIdFromBytes } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import type { ShareKind } from './api.ts';
import { buildVersion } from './files/publish.ts';
import type { HashPool } from './hash-pool.ts';
import { checkShare, type ShareEntry } from './network/catalogue.ts';
import type { ShareDecisions } from './share-decisions.ts';
import type { StateStore } from './state-store.ts';
import type { VersionStore } from './version-store.ts';

const FILE = 'shares.json';
/** How often the sources of shares are compared with what was published, in ms. */
const CHECK_INTERVAL = 2_000;
/** Folders with more files than this are compared less often: each check costs a stat per file. */
const SMALL_FOLDER = 500;
const BIG_FOLDER_INTERVAL = 30_000;
/** Shares that are compared in one interval; with more, it takes turns. */
const CHECKED_AT_ONCE = 100;

/** A share of this peer, as stored. */
export interface OwnShare {
  readonly share: ShareId;
  readonly network: NetworkId;
  /** Absolute path of the file or folder. */
  readonly source: string;
  readonly name: string;
  readonly kind: ShareKind;
  readonly message?: string;
  readonly path?: string;
  readonly to?: readonly DeviceId[];
  readonly includeSecrets?: boolean;
  /** Wall time (ms) of the last decision about it that this peer knows; see `ShareDecisions`. */
  readonly decided?: number;
  readonly infohash: InfoHash;
  readonly version: number;
  readonly time: number;
  readonly size: number;
  readonly files: number;
  /** By file index: what the files looked like when they were hashed. */
  readonly stamps: readonly FileStamp[];
}

export interface NewShare {
  readonly source: string;
  readonly network: NetworkId;
  readonly name?: string;
  readonly message?: string;
  readonly path?: string;
  readonly to?: readonly DeviceId[];
  readonly includeSecrets?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (phase: 'scanning' | 'hashing', done: number, total: number) => void;
}

export interface OwnSharesOptions {
  readonly store: StateStore;
  readonly versions: VersionStore;
  readonly pool: HashPool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The same in all windows of the device, so that a file that several share is one share; default: by chance. */
  readonly idOf?: (network: NetworkId, source: string) => ShareId;
  /** What all windows of the device are to heed; absent: there is no other. */
  readonly decisions?: ShareDecisions;
}

type State = 'ready' | 'hashing' | 'missing';

/** What this peer offers from its own files. A share follows its file: a change is published as a new version. */
export class OwnShares implements Disposable {
  readonly #options: OwnSharesOptions;
  readonly #shares = new Map<ShareId, OwnShare>();
  readonly #states = new Map<ShareId, State>();
  readonly #disposables = new DisposableList();
  readonly #abort = new AbortController();
  readonly #changed = new Emitter<void>();
  readonly #replaced = new Emitter<{ network: NetworkId; infohash: InfoHash }>();
  #checking = false;
  #bigChecked = 0;
  #next = 0;
  readonly onChanged: Event<void> = this.#changed.event;
  /** A version is offered no longer: it changed, moved or was unshared. */
  readonly onReplaced: Event<{ network: NetworkId; infohash: InfoHash }> = this.#replaced.event;

  constructor(options: OwnSharesOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const stored = await this.#options.store.readJson(FILE, parseStored);
    for (const share of stored ?? []) this.#shares.set(share.share, share);
    // Before anybody is told of them.
    await this.#heedOthers();
    this.#disposables.add(this.#options.clock.setInterval(() => this.#look(), CHECK_INTERVAL));
  }

  #look(): void {
    this.#heedOthers()
      .then(() => this.check())
      .catch((error: unknown) => this.#options.logger.error(`Shares could not be checked: ${errorMessage(error)}`));
  }

  list(): OwnShare[] {
    return [...this.#shares.values()];
  }

  get(share: ShareId): OwnShare | undefined {
    return this.#shares.get(share);
  }

  state(share: ShareId): State {
    return this.#states.get(share) ?? 'ready';
  }

  find(network: NetworkId, infohash: string): OwnShare | undefined {
    return this.list().find((share) => share.network === network && share.infohash.startsWith(infohash));
  }

  /** Publishes a file or folder, or a new version of it when the same path is shared with the same network already. */
  async add(request: NewShare): Promise<OwnShare> {
    const source = await realpath(request.source).catch(() => request.source);
    const existing = this.list().find((share) => share.source === source && share.network === request.network);
    const built = await this.#build(request, request.name ?? existing?.name);
    const { decisions, idOf } = this.#options;
    const id = existing?.share ?? idOf?.(request.network, built.source) ?? shareIdFromBytes(randomBytes(16));
    // To share it is the last word, whatever was decided before, and elsewhere.
    const isWord = (request.to?.length ?? 0) > 0 || (await decisions?.has(id)) === true;
    const decided = isWord ? await this.#decide(id, request.to) : this.#options.clock.wallTime();
    const share: OwnShare = {
      share: id,
      decided,
      network: request.network,
      ...(request.message === undefined ? {} : { message: request.message }),
      ...(request.path === undefined ? {} : { path: request.path }),
      ...(request.to === undefined ? {} : { to: request.to }),
      ...(request.includeSecrets === true ? { includeSecrets: true } : {}),
      ...built,
      version: nextVersion(existing, built.infohash),
      time: this.#options.clock.wallTime(),
    };
    await this.#put(share, existing);
    return share;
  }

  /** `to`: absent or empty for every member. Whoever may not have it any more is cut off at once. */
  async setAccess(id: ShareId, to: readonly DeviceId[] | undefined): Promise<OwnShare> {
    const before = this.#shares.get(id);
    if (!before) throw new PeerwireError('not-found', 'That share is not one of yours.');
    return await this.#limit(before, to, await this.#decide(id, to));
  }

  async #limit(before: OwnShare, to: readonly DeviceId[] | undefined, decided: number): Promise<OwnShare> {
    const { to: _everyone, ...open } = before;
    const share: OwnShare = { ...open, ...(to === undefined || to.length === 0 ? {} : { to }), decided };
    await this.#put(share, before);
    return share;
  }

  /** Stops sharing it, in every window of the device: also one that this peer does not offer itself. */
  async stop(id: ShareId): Promise<void> {
    await this.#options.decisions?.record(id, { stopped: true });
    await this.#remove(id);
  }

  async removeNetwork(network: NetworkId): Promise<void> {
    for (const share of this.list()) if (share.network === network) await this.#remove(share.share);
  }

  async #remove(id: ShareId): Promise<void> {
    const share = this.#shares.get(id);
    if (!share) return;
    this.#shares.delete(id);
    this.#states.delete(id);
    await this.#save();
    this.#replaced.fire(share);
    this.#changed.fire();
  }

  /** Does what was decided in other windows. Never rejects. */
  async #heedOthers(): Promise<void> {
    try {
      await this.#heed();
    } catch (error) {
      this.#options.logger.error(`What other windows decided about shares is not known: ${errorMessage(error)}`);
    }
  }

  async #heed(): Promise<void> {
    for (const [id, { time, stopped, to }] of (await this.#options.decisions?.news()) ?? []) {
      const share = this.#shares.get(id);
      if (share === undefined || (share.decided ?? 0) >= time) continue;
      if (stopped) await this.#remove(id);
      else await this.#limit(share, to, time);
    }
  }

  async #decide(share: ShareId, to: readonly DeviceId[] | undefined): Promise<number> {
    const { decisions, clock } = this.#options;
    const limit = to === undefined || to.length === 0 ? {} : { to };
    return (await decisions?.record(share, { stopped: false, ...limit })) ?? clock.wallTime();
  }

  /** What a swarm serves for one of our versions. */
  async content(network: NetworkId, infohash: string): Promise<SwarmContent | undefined> {
    const share = this.find(network, infohash);
    if (!share || this.state(share.share) !== 'ready') return undefined;
    const version = await this.#options.versions.load(share.infohash);
    if (!version) return undefined;
    const { info, layers } = version;
    const folder = join(share.source, sep);
    const storage = new FileStorage((index) => {
      const file = info.files[index];
      if (!file) throw new PeerwireError('internal', 'There is no such file in this version.');
      const path = info.single ? share.source : folder + file.path.join(sep);
      const stamp = share.stamps[index];
      if (stamp === undefined) throw new PeerwireError('stale', 'It is not known what this file looked like.');
      return { kind: 'published', path, stamp };
    }, this.#options.pool);
    return { info, layers, have: new Bitfield(info.pieceCount).fill(), storage: () => storage };
  }

  /** Compares sources with what was published, and publishes what changed. */
  async check(only?: { network: NetworkId; infohash: InfoHash }): Promise<void> {
    if (this.#checking || this.#disposables.disposed) return;
    this.#checking = true;
    try {
      const now = this.#options.clock.now();
      const big = now - this.#bigChecked > BIG_FOLDER_INTERVAL;
      if (big) this.#bigChecked = now;
      const all = this.list();
      const due = only
        ? all.filter((share) => share.infohash === only.infohash)
        : [
            ...Array.from(
              { length: Math.min(all.length, CHECKED_AT_ONCE) },
              (_, index) => all[(this.#next + index) % all.length],
            ),
            ...(big ? all.filter((share) => share.files > SMALL_FOLDER) : []),
          ];
      if (!only) this.#next = all.length === 0 ? 0 : (this.#next + CHECKED_AT_ONCE) % all.length;
      for (const share of due) {
        if (!share || (!only && share.files > SMALL_FOLDER && !big)) continue;
        await this.#checkOne(share);
      }
    } finally {
      this.#checking = false;
    }
  }

  dispose(): void {
    this.#abort.abort();
    this.#disposables.dispose();
  }

  async #checkOne(share: OwnShare): Promise<void> {
    const verdict = await this.#compare(share);
    if (verdict === 'same') {
      if (this.state(share.share) !== 'ready') this.#setState(share, 'ready');
      return;
    }
    if (verdict === 'missing') {
      if (this.state(share.share) === 'missing') return;
      this.#replaced.fire(share);
      this.#setState(share, 'missing');
      return;
    }
    this.#replaced.fire(share);
    this.#setState(share, 'hashing');
    try {
      const built = await this.#build({ ...share, signal: this.#abort.signal }, share.name);
      if (this.#shares.get(share.share) !== share) return;
      const next = {
        ...share,
        ...built,
        version: nextVersion(share, built.infohash),
        time: this.#options.clock.wallTime(),
      };
      await this.#put(next, share);
      this.#options.logger.info(`“${share.name}” changed; version ${next.version} is published`);
    } catch (error) {
      // Still changing, or unreadable for now: the next check tries again.
      if (errorCode(error) === 'not-found') this.#setState(share, 'missing');
      else this.#options.logger.debug(`A changed share could not be published yet: ${errorMessage(error)}`);
    }
  }

  async #compare(share: OwnShare): Promise<'same' | 'changed' | 'missing'> {
    try {
      const source = await readStamp(share.source);
      if (share.kind !== 'folder') return source === share.stamps[0] ? 'same' : 'changed';
      const version = await this.#options.versions.load(share.infohash);
      const walked = await this.#options.pool.walk(share.source, {
        includeSecrets: share.includeSecrets === true,
        signal: this.#abort.signal,
      });
      if (!version || walked.files.length !== version.info.files.length) return 'changed';
      const stamps = new Map(version.info.files.map((file, index) => [file.path.join('/'), share.stamps[index]]));
      const same = walked.files.every((file) => stamps.get(file.path.join('/')) === file.stamp);
      return same ? 'same' : 'changed';
    } catch (error) {
      return errorCode(error) === 'not-found' ? 'missing' : 'same';
    }
  }

  async #build(
    request: Pick<NewShare, 'source' | 'includeSecrets' | 'signal' | 'onProgress'>,
    name: string | undefined,
  ): Promise<Pick<OwnShare, 'source' | 'name' | 'kind' | 'infohash' | 'size' | 'files' | 'stamps'>> {
    const signal = request.signal ?? this.#abort.signal;
    const { onProgress } = request;
    const { walked, early } = await this.#options.pool.walkToHash(request.source, {
      includeSecrets: request.includeSecrets === true,
      signal,
      ...(onProgress ? { onProgress: ({ files }) => onProgress('scanning', files, 0) } : {}),
    });
    if (walked.files.length === 0) {
      const secret = walked.secrets[0];
      throw new PeerwireError(
        'usage',
        secret === undefined
          ? `There is nothing to share in “${walked.name}”.`
          : `“${secret}” looks like a secret and is left out; say that you want secrets included to share it.`,
      );
    }
    const shareName = name ?? walked.name;
    checkComponent(shareName);
    const files = walked.single ? walked.files.map((file) => ({ ...file, path: [shareName] })) : walked.files;
    const { info, layers, sources } = await buildVersion({
      files,
      early,
      name: shareName,
      single: walked.single,
      pool: this.#options.pool,
      signal,
      ...(onProgress ? { onProgress: ({ done, total }) => onProgress('hashing', done, total) } : {}),
    });
    await this.#options.versions.save({ info, layers });
    return {
      source: walked.root,
      name: shareName,
      kind: walked.single ? 'file' : 'folder',
      infohash: info.infoHash,
      size: info.size,
      files: info.files.length,
      stamps: sources.map((source) => source.stamp),
    };
  }

  async #put(share: OwnShare, before: OwnShare | undefined): Promise<void> {
    // What others would refuse must not be stored: it could never be published.
    checkShare(entryOf(share));
    this.#shares.set(share.share, share);
    this.#states.delete(share.share);
    await this.#save();
    // Also when the content is the same: the stamps that guard its files are not.
    if (before) this.#replaced.fire(before);
    this.#changed.fire();
  }

  #setState(share: OwnShare, state: State): void {
    if (this.#shares.get(share.share) !== share) return;
    this.#states.set(share.share, state);
    this.#changed.fire();
  }

  async #save(): Promise<void> {
    await this.#options.store.writeJson(FILE, { shares: this.list() });
  }
}

/** The share as its catalogue says it. */
export function entryOf(share: OwnShare): ShareEntry {
  return {
    share: share.share,
    infohash: share.infohash,
    name: share.name,
    kind: share.kind,
    size: share.size,
    files: share.files,
    version: share.version,
    time: share.time,
    ...(share.message === undefined ? {} : { message: share.message }),
    ...(share.path === undefined ? {} : { path: share.path }),
    ...(share.to === undefined ? {} : { to: share.to }),
  };
}

/** Our own file, written atomically: its shape is trusted when its outline fits. */
function parseStored(value: unknown): OwnShare[] {
  const { shares } = value as { shares?: OwnShare[] };
  if (
    !Array.isArray(shares) ||
    !shares.every((share) => typeof share.source === 'string' && Array.isArray(share.stamps))
  ) {
    throw new PeerwireError('bad-encoding', 'The list of shares is damaged.');
  }
  return shares;
}

function nextVersion(before: OwnShare | undefined, infohash: InfoHash): number {
  if (!before) return 1;
  return before.infohash === infohash ? before.version : before.version + 1;
}
