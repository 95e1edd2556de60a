import { PeerwireError } from '../common/errors.ts';
import type { NetworkInfo } from '../peer/api.ts';
import { messageText } from './safe-text.ts';
import type { Services } from './services.ts';
import type { TrackerHost } from './tracker-host.ts';
import { isAddress } from './typed-input.ts';
import { vscode } from './vscode.ts';

export class ConnectionCommands {
  readonly #services: Services;
  readonly #tracker: TrackerHost;

  constructor(services: Services, tracker: TrackerHost) {
    this.#services = services;
    this.#tracker = tracker;
  }

  async addPeer(): Promise<void> {
    const { t } = this.#services;
    const address = await vscode.window.showInputBox({
      title: t('Add Peer by Address'),
      prompt: t('“Diagnose Connection” on the other machine shows its address and port.'),
      placeHolder: '192.168.1.20:51413',
      ignoreFocusOut: true,
      validateInput: (text) =>
        isAddress(text.trim()) ? undefined : t('An address looks like 192.168.1.20:51413 or host.example:51413.'),
    });
    if (address === undefined) return;
    const api = await this.#services.api();
    await api.addPeerAddress(address.trim());
    this.#services.report.done(t('Dialing {0}', address.trim()));
  }

  /** Starts the tracker, shows where it is, and offers to use it in the networks that have another one. */
  async hostTracker(): Promise<void> {
    const { t } = this.#services;
    const url = await this.#tracker.start();
    const api = await this.#services.api();
    const others = (await api.networks()).filter((network) => network.admin && !network.trackers.includes(url));
    const use = others.slice(0, 3).map((network) => ({ title: t('Use in “{0}”', messageText(network.name)), network }));
    const copy = { title: t('Copy URL') };
    const buttons: { title: string; network?: NetworkInfo }[] = [...use, copy];
    const chosen = await vscode.window.showInformationMessage(t('A tracker runs at {0}', url), ...buttons);
    if (chosen === copy) await vscode.env.clipboard.writeText(url);
    if (chosen?.network === undefined) return;
    const { network, trackers } = chosen.network;
    await api.setTrackers({ network, trackers: [...trackers, url] });
  }

  async stopTracker(): Promise<void> {
    const { t } = this.#services;
    if (this.#tracker.url === undefined) throw new PeerwireError('not-found', t('This window hosts no tracker.'));
    await this.#tracker.stop();
    this.#services.report.done(t('The tracker is stopped; peers that know each other stay connected'));
  }
}
