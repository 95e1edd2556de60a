import type { Swarm } from '../bittorrent/swarm.ts';
import type { SourceInfo, TransferInfo } from './api.ts';
import type { DownloadRecord } from './download-record.ts';
import { parsePeerKey } from './network/channel.ts';

/** `rate` in bytes per second. */
type Figures = Pick<TransferInfo, 'fetched' | 'rate' | 'sources'>;

/** What a download has fetched, and from whom: in this run, and in those before. */
export class DownloadAccounts {
  readonly #record: DownloadRecord;
  readonly #deviceName: (device: string) => string;
  #fetchedBefore = 0;
  #sourcesBefore: Readonly<Record<string, number>> = {};
  /** What this run fetches content by, while it does. */
  swarm: Swarm | undefined;

  constructor(record: DownloadRecord, deviceName: (device: string) => string) {
    this.#record = record;
    this.#deviceName = deviceName;
  }

  /** A run begins: what the record says is of those before. */
  begin(): void {
    this.#fetchedBefore = this.#record.fetched;
    this.#sourcesBefore = this.#record.sources;
  }

  /** Brings the record up to date. */
  store(): void {
    this.#record.fetched = this.#fetched();
    this.#record.sources = this.#bytesBySource();
  }

  /** While it runs. */
  now(): Figures {
    const accounts = this.swarm?.accounts() ?? [];
    const bytes = this.#bytesBySource(accounts);
    const live = new Map(accounts.map((account) => [account.source, account]));
    const connected = accounts.filter((account) => account.connected).map(({ source }) => source);
    const keys = new Set([...Object.keys(bytes), ...connected]);
    const sources = [...keys].map((key) => {
      const account = live.get(key);
      return this.#source(key, bytes[key] ?? 0, Math.round(account?.downloadRate ?? 0), account?.connected ?? false);
    });
    const rate = accounts.reduce((sum, account) => sum + account.downloadRate, 0);
    return { fetched: this.#fetched(), rate, sources };
  }

  /** What the record says: nothing is fetched now. */
  stored(): Figures {
    const { fetched, sources } = this.#record;
    return {
      fetched,
      rate: 0,
      sources: Object.entries(sources).map(([key, bytes]) => this.#source(key, bytes, 0, false)),
    };
  }

  #fetched(): number {
    return this.swarm ? this.#fetchedBefore + this.swarm.fetched : this.#record.fetched;
  }

  #bytesBySource(accounts = this.swarm?.accounts() ?? []): Record<string, number> {
    if (!this.swarm) return { ...this.#record.sources };
    const bytes = { ...this.#sourcesBefore };
    for (const { source, downloaded } of accounts)
      if (downloaded > 0) bytes[source] = (this.#sourcesBefore[source] ?? 0) + downloaded;
    return bytes;
  }

  #source(key: string, bytes: number, rate: number, connected: boolean): SourceInfo {
    const { device } = parsePeerKey(key);
    return { device, name: this.#deviceName(device), bytes, rate, connected };
  }
}
