/**
 * What the views show: the last answers of the peer, asked again whenever it says that something changed. Many changes
 * while a question is under way make one more question, not many.
 */
import { type Disposable, DisposableList, toDisposable } from '../common/disposable.ts';
import { Emitter, type Event } from '../common/event.ts';
import {
  type MemberInfo,
  type NetworkInfo,
  type PeerApi,
  type PeerEvent,
  type PeerInfo,
  type PeerStatus,
  type ShareInfo,
  shareKey,
  type TransferInfo,
} from '../peer/api.ts';

export type StatePart = 'networks' | 'members' | 'peers' | 'shares' | 'transfers';
type Question = 'status' | 'networks' | 'members' | 'peers' | 'shares' | 'transfers';

export class PeerState implements Disposable {
  readonly onDidChange: Event<StatePart>;
  status: PeerStatus | undefined;
  networks: readonly NetworkInfo[] = [];
  /** Of all networks: this device, those who are away and those who were removed too. */
  members: readonly MemberInfo[] = [];
  peers: readonly PeerInfo[] = [];
  shares: readonly ShareInfo[] = [];
  #shares = new Map<string, ShareInfo>();
  readonly transfers = new Map<string, TransferInfo>();
  /** False until the peer has told of the transfers that it remembers. */
  transfersKnown = false;
  readonly #changes = new Emitter<StatePart>();
  readonly #onError: (error: unknown) => void;
  #attached: DisposableList | undefined;

  /** `onError`: hears of questions that the peer could not answer. */
  constructor(onError: (error: unknown) => void) {
    this.onDidChange = this.#changes.event;
    this.#onError = onError;
  }

  /** Resolves when the first answers of the peer that is followed are in. */
  ready: Promise<void> = Promise.resolve();

  /** Follows this peer until another one is attached, or none. */
  attach(api: PeerApi | undefined): void {
    this.ready = this.#attach(api);
  }

  async #attach(api: PeerApi | undefined): Promise<void> {
    this.#attached?.dispose();
    this.#attached = undefined;
    if (api === undefined) {
      this.#clear();
      return;
    }
    const owned = new DisposableList();
    this.#attached = owned;
    const ask = this.#asker(api, owned);
    owned.add(api.onEvent((event) => this.#hear(event, ask)));
    await Promise.all([ask('status'), ask('networks'), ask('members'), ask('peers'), ask('shares'), ask('transfers')]);
  }

  dispose(): void {
    this.#attached?.dispose();
    this.#changes.dispose();
  }

  #asker(api: PeerApi, owned: DisposableList): (question: Question) => Promise<void> {
    const running = new Map<Question, { again: boolean; done: Promise<void> }>();
    const run = async (question: Question, entry: { again: boolean }): Promise<void> => {
      do {
        entry.again = false;
        try {
          await this.#answer(api, question, () => !owned.disposed);
        } catch (error) {
          if (!owned.disposed) this.#onError(error);
        }
      } while (entry.again && !owned.disposed);
      running.delete(question);
    };
    owned.add(toDisposable(() => running.clear()));
    return (question) => {
      const current = running.get(question);
      if (current !== undefined) {
        current.again = true;
        return current.done;
      }
      const entry = { again: false, done: Promise.resolve() };
      running.set(question, entry);
      entry.done = run(question, entry);
      return entry.done;
    };
  }

  async #answer(api: PeerApi, question: Question, current: () => boolean): Promise<void> {
    switch (question) {
      case 'status': {
        const status = await api.status();
        if (current()) this.#set('networks', () => (this.status = status));
        return;
      }
      case 'networks': {
        const networks = await api.networks();
        if (current()) this.#set('networks', () => (this.networks = networks));
        return;
      }
      case 'members': {
        const members = await api.members();
        if (current()) this.#set('members', () => (this.members = members));
        return;
      }
      case 'peers': {
        const peers = await api.peers();
        if (current()) this.#set('peers', () => (this.peers = peers));
        return;
      }
      case 'shares': {
        const shares = await api.shares();
        if (current()) this.#set('shares', () => this.#keepShares(shares));
        return;
      }
      case 'transfers': {
        const transfers = await api.transfers();
        if (!current()) return;
        this.#set('transfers', () => {
          this.transfersKnown = true;
          this.transfers.clear();
          for (const transfer of transfers) this.transfers.set(transfer.id, transfer);
        });
        return;
      }
    }
  }

  #hear(event: PeerEvent, ask: (question: Question) => Promise<void>): void {
    switch (event.event) {
      case 'networks':
        void ask('status');
        void ask('networks');
        void ask('members');
        return;
      case 'peers':
        this.#set('peers', () => (this.peers = event.peers));
        void ask('networks');
        void ask('members');
        return;
      case 'shares':
        if (event.changed && event.removed) this.#changeShares(event.changed, event.removed);
        else void ask('shares');
        return;
      case 'transfer':
        this.#set('transfers', () => this.transfers.set(event.transfer.id, event.transfer));
        return;
      case 'transfer-removed':
        this.#set('transfers', () => this.transfers.delete(event.id));
        return;
      case 'progress':
      case 'notice':
        return;
    }
  }

  #set(part: StatePart, change: () => unknown): void {
    change();
    this.#changes.fire(part);
  }

  #keepShares(shares: readonly ShareInfo[]): void {
    this.#shares = new Map(shares.map((share) => [shareKey(share), share]));
    this.shares = shares;
  }

  #changeShares(changed: readonly ShareInfo[], removed: readonly Pick<ShareInfo, 'owner' | 'share'>[]): void {
    if (changed.length + removed.length === 0) return;
    for (const share of removed) this.#shares.delete(shareKey(share));
    for (const share of changed) this.#shares.set(shareKey(share), share);
    this.#set('shares', () => (this.shares = [...this.#shares.values()]));
  }

  #clear(): void {
    this.status = undefined;
    this.networks = [];
    this.members = [];
    this.peers = [];
    this.#keepShares([]);
    this.transfersKnown = false;
    this.transfers.clear();
    for (const part of ['networks', 'members', 'peers', 'shares', 'transfers'] as const) this.#changes.fire(part);
  }
}
