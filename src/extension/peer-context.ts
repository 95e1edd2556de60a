import { hostname } from 'node:os';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import type { PeerClient } from './peer-client.ts';
import type { PeerState } from './peer-state.ts';
import type { TrackerHost } from './tracker-host.ts';
import { vscode } from './vscode.ts';

/**
 * Remembers over restarts whether there is a network, so that a window without one starts nothing. The editor's memory is
 * the same in all remote windows; this is true of one machine.
 */
const HAS_NETWORKS = `peerwire.hasNetworks:${hostname()}`;

/** Keeps the keys that welcome views and menus ask for, and the memory of being in a network. */
export class PeerContext implements Disposable {
  readonly #owned = new DisposableList();
  readonly #memory: vscode.Memento;
  readonly #state: PeerState;

  constructor(client: PeerClient, state: PeerState, tracker: TrackerHost, memory: vscode.Memento) {
    this.#memory = memory;
    this.#state = state;
    setContext('peerwire.activated', true);
    setContext('peerwire.hasNetworks', this.hasNetworks);
    setContext('peerwire.peer', client.state);
    this.#owned.add(client.onState((now) => setContext('peerwire.peer', now)));
    this.#owned.add(tracker.onDidChange(() => setContext('peerwire.hostsTracker', tracker.url !== undefined)));
    this.#owned.add(state.onDidChange((part) => part === 'networks' && this.#update()));
  }

  get hasNetworks(): boolean {
    return this.#memory.get(HAS_NETWORKS, false);
  }

  dispose(): void {
    this.#owned.dispose();
  }

  #update(): void {
    // No answer yet, or no peer: what was true last time still is.
    if (this.#state.status === undefined) return;
    const { networks } = this.#state;
    setContext(
      'peerwire.createdNetwork',
      networks.some(({ creator }) => creator),
    );
    setContext(
      'peerwire.administersNetwork',
      networks.some(({ admin }) => admin),
    );
    const now = this.#state.networks.length > 0;
    if (now === this.hasNetworks) return;
    setContext('peerwire.hasNetworks', now);
    void this.#memory.update(HAS_NETWORKS, now);
  }
}

export function setContext(key: string, value: unknown): void {
  void vscode.commands.executeCommand('setContext', key, value);
}
