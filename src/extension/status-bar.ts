import { type Disposable, DisposableList } from '../common/disposable.ts';
import { countPeers, formatRate } from './format.ts';
import { statusLabel } from './labels.ts';
import { countOnline } from './network-model.ts';
import type { PeerState } from './peer-state.ts';
import { totalRates } from './transfer-model.ts';
import type { Translate } from './translate.ts';
import { vscode } from './vscode.ts';

/** `$(broadcast) 2 peers  ↓ 48 MB/s`, once there is a network; its menu has what people reach for in a hurry. */
export class StatusBar implements Disposable {
  readonly #owned = new DisposableList();
  readonly #item: vscode.StatusBarItem;
  readonly #state: PeerState;
  readonly #t: Translate;

  constructor(state: PeerState, t: Translate) {
    this.#state = state;
    this.#t = t;
    // The editor puts the extension's id before it: `peerwire.peerwire.status`.
    this.#item = this.#owned.add(vscode.window.createStatusBarItem('status', vscode.StatusBarAlignment.Left));
    this.#item.name = t('Peerwire');
    this.#item.command = 'peerwire.statusMenu';
    this.#owned.add(state.onDidChange(() => this.#update()));
  }

  dispose(): void {
    this.#owned.dispose();
  }

  #update(): void {
    const t = this.#t;
    if (this.#state.networks.length === 0) {
      this.#item.hide();
      return;
    }
    const peers = countOnline({ peers: this.#state.peers, device: this.#state.status?.device });
    const rates = totalRates(this.#state.transfers.values());
    const parts = [
      peers === 0 ? t('no peers') : countPeers(t, peers),
      rates.down > 0 && `↓ ${formatRate(rates.down)}`,
      rates.up > 0 && `↑ ${formatRate(rates.up)}`,
    ];
    this.#item.text = `$(broadcast) ${parts.filter(Boolean).join('  ')}`;
    const label = statusLabel(t, peers, rates);
    this.#item.tooltip = label;
    this.#item.accessibilityInformation = { label };
    this.#item.show();
  }
}
