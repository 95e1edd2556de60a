import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../common/clock.ts';
import { systemCode } from '../common/errors.ts';
import { type DeviceId, parseShareId, type ShareId } from '../common/ids.ts';
import type { StateStore } from './state-store.ts';

/** Milliseconds after which a decision is forgotten: no window stays closed for so long. */
const KEPT_FOR = 366 * 24 * 60 * 60 * 1000;

/** Milliseconds after which a change of a folder has a time of its own, on any file system. */
const SETTLED = 3_000;

/** What a person decided about a share, in any window of the device. */
export interface ShareDecision {
  /** Wall time, ms: of two the later holds. */
  readonly time: number;
  /** It is not to be shared any more. */
  readonly stopped: boolean;
  /** Who may have it; absent: every member. */
  readonly to?: readonly DeviceId[];
}

/**
 * Decisions about shares that hold for all windows of a device, one file each: the same file may be shared in several, and
 * whoever stops sharing it, or limits who may have it, means the file.
 */
export class ShareDecisions {
  readonly #store: StateStore;
  readonly #clock: Clock;
  /** By file name: what was read last. */
  readonly #read = new Map<string, bigint>();
  #folderRead: bigint | undefined;

  /** `store`: a folder for nothing else. */
  constructor(store: StateStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async has(share: ShareId): Promise<boolean> {
    return (await this.#changed(fileOf(share))) !== undefined;
  }

  /** Returns its time. */
  async record(share: ShareId, decision: Omit<ShareDecision, 'time'>): Promise<number> {
    const time = this.#clock.wallTime();
    await this.#store.writeJson(fileOf(share), { ...decision, time });
    return time;
  }

  /** Those that were made, here or in other windows, since it was last called. */
  async news(): Promise<Map<ShareId, ShareDecision>> {
    const news = new Map<ShareId, ShareDecision>();
    // A file that is replaced changes its folder, too.
    const folder = await this.#changed('');
    if (folder === undefined || folder === this.#folderRead) return news;
    for (const name of await this.#store.list()) {
      const changed = await this.#changed(name);
      if (changed === undefined || this.#read.get(name) === changed) continue;
      this.#read.set(name, changed);
      const share = shareOf(name);
      const decision = share && readDecision(await this.#store.readJson(name));
      if (share === undefined || decision === undefined) continue;
      if (decision.time < this.#clock.wallTime() - KEPT_FOR) await this.#store.delete(name);
      else news.set(share, decision);
    }
    // Of one that changed just now, a later change may bear the same time.
    const settled = BigInt(Math.floor(this.#clock.wallTime()) - SETTLED) * 1_000_000n;
    if (folder < settled) this.#folderRead = folder;
    return news;
  }

  /** When it changed, in ns; undefined when it is not there. */
  async #changed(name: string): Promise<bigint | undefined> {
    try {
      return (await stat(join(this.#store.dir, name), { bigint: true })).mtimeNs;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function fileOf(share: ShareId): string {
  return `${share}.json`;
}

function shareOf(name: string): ShareId | undefined {
  try {
    return parseShareId(name.replace(/\.json$/, ''));
  } catch {
    return undefined;
  }
}

function readDecision(value: unknown): ShareDecision | undefined {
  if (typeof value !== 'object' || value === null || !('time' in value) || typeof value.time !== 'number')
    return undefined;
  const { time } = value;
  const to =
    'to' in value && Array.isArray(value.to) ? value.to.map((device: unknown) => String(device) as DeviceId) : [];
  const stopped = 'stopped' in value && value.stopped === true;
  return { time, stopped, ...(to.length === 0 ? {} : { to }) };
}
