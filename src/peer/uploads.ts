import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { InfoHash, NetworkId } from '../common/ids.ts';
import type { SourceInfo, TransferInfo } from './api.ts';
import { parsePeerKey } from './network/channel.ts';
import type { ShareIndex } from './share-index.ts';
import type { HubSwarm, SwarmHub } from './swarm-hub.ts';

const REPORT_INTERVAL = 500;
/** An upload's row goes when nothing was sent for this long, in ms. */
const LINGER = 10_000;

interface Row {
  info: TransferInfo;
  since: number;
  active: number;
}

/** What others take from us, one row a version, made from the swarms' accounts. */
export class Uploads implements Disposable {
  readonly #options: { readonly hub: SwarmHub; readonly index: ShareIndex; readonly clock: Clock };
  readonly #rows = new Map<string, Row>();
  readonly #disposables = new DisposableList();
  readonly #transfer = new Emitter<TransferInfo>();
  readonly #removed = new Emitter<string>();
  readonly onTransfer: Event<TransferInfo> = this.#transfer.event;
  readonly onRemoved: Event<string> = this.#removed.event;

  constructor(options: { readonly hub: SwarmHub; readonly index: ShareIndex; readonly clock: Clock }) {
    this.#options = options;
    this.#disposables.add(options.clock.setInterval(() => this.#update(), REPORT_INTERVAL));
  }

  list(): TransferInfo[] {
    return [...this.#rows.values()].map(({ info }) => info);
  }

  /** The version that a row is about; undefined when there is no such row. */
  versionOf(id: string): { readonly network: NetworkId; readonly infohash: InfoHash } | undefined {
    return this.#rows.get(id)?.info;
  }

  /** Something about the row changed that its figures do not show. */
  refresh(id: string): void {
    const row = this.#rows.get(id);
    if (!row) return;
    const { limits } = this.#options.hub.settings(row.info.network, row.info.infohash);
    row.info = { ...row.info, limits };
    this.#transfer.fire(row.info);
  }

  /** Ends the connections of an upload; true when there is such a row. They may come back while it is shared. */
  stop(id: string): boolean {
    const row = this.#rows.get(id);
    if (!row) return false;
    this.#options.hub.get(row.info.network, row.info.infohash)?.disconnectUploads();
    this.#remove(id);
    return true;
  }

  dispose(): void {
    this.#disposables.dispose();
  }

  #update(): void {
    const now = this.#options.clock.now();
    for (const place of this.#options.hub.swarms()) this.#updateOne(place, now);
    for (const [id, row] of this.#rows) if (now - row.active > LINGER) this.#remove(id);
  }

  #updateOne({ network, swarm }: HubSwarm, now: number): void {
    const accounts = swarm.accounts().filter((account) => account.uploaded > 0);
    const rate = accounts.reduce((sum, account) => sum + account.uploadRate, 0);
    const id = `up-${network.slice(0, 8)}-${swarm.infoHash.slice(0, 16)}`;
    const row = this.#rows.get(id);
    if (rate === 0 && !row) return;
    const share = this.#options.index.ofVersion(network, swarm.infoHash);
    if (!share) return;
    const sources: SourceInfo[] = accounts.map((account) => {
      const { device } = parsePeerKey(account.source);
      const name = this.#options.index.deviceName(device);
      return {
        device,
        name,
        bytes: account.uploaded,
        rate: Math.round(account.uploadRate),
        connected: account.connected,
      };
    });
    const sent = accounts.reduce((sum, account) => sum + account.uploaded, 0);
    const info: TransferInfo = {
      id,
      direction: 'upload',
      share: share.share,
      infohash: share.infohash,
      network,
      name: share.name,
      state: 'uploading',
      size: share.size,
      done: sent,
      fetched: 0,
      rate: Math.round(rate),
      sources,
      elapsed: Math.round(now - (row?.since ?? now)),
      seeding: true,
      limits: this.#options.hub.settings(network, swarm.infoHash).limits,
      priority: 'normal',
    };
    if (row?.info.done === sent && row.info.rate === info.rate) return;
    this.#rows.set(id, { info, since: row?.since ?? now, active: sent === row?.info.done ? row.active : now });
    this.#transfer.fire(info);
  }

  #remove(id: string): void {
    if (this.#rows.delete(id)) this.#removed.fire(id);
  }
}
