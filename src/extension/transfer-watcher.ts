import { type Disposable, DisposableList } from '../common/disposable.ts';
import { type ErrorCode, PeerwireError } from '../common/errors.ts';
import type { TransferInfo } from '../peer/api.ts';
import type { PeerState } from './peer-state.ts';

/**
 * Hears of downloads that failed, or that paused by themselves with a reason (disk full, no permission): once for each
 * time, and not for those that were so when the window opened. Done ones make no noise.
 */
export class TransferWatcher implements Disposable {
  readonly #owned = new DisposableList();
  readonly #state: PeerState;
  readonly #onTrouble: (transfer: TransferInfo, error: PeerwireError) => void;
  /** Transfers known to be in trouble; undefined until the first answer of the peer. */
  #troubled: Set<string> | undefined;

  constructor(state: PeerState, onTrouble: (transfer: TransferInfo, error: PeerwireError) => void) {
    this.#state = state;
    this.#onTrouble = onTrouble;
    this.#owned.add(
      state.onDidChange((part) => {
        if (part === 'transfers') this.#look();
      }),
    );
  }

  dispose(): void {
    this.#owned.dispose();
  }

  #look(): void {
    if (!this.#state.transfersKnown) {
      this.#troubled = undefined;
      return;
    }
    const before = this.#troubled;
    const now = [...this.#state.transfers.values()].filter(inTrouble);
    this.#troubled = new Set(now.map((transfer) => transfer.id));
    if (before === undefined) return;
    for (const transfer of now) {
      if (before.has(transfer.id) || transfer.error === undefined) continue;
      // A newer peer may know more codes; an unknown one is treated like any other failure.
      this.#onTrouble(transfer, new PeerwireError(transfer.error.code as ErrorCode, transfer.error.message));
    }
  }
}

function inTrouble(transfer: TransferInfo): boolean {
  // One that is looked at meanwhile was told already.
  const resting = transfer.rechecking === true || ['failed', 'paused'].includes(transfer.state);
  return transfer.direction === 'download' && transfer.error !== undefined && resting;
}
