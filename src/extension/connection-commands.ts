import { networkInterfaces } from 'node:os';
import { PeerwireError } from '../common/errors.ts';
import type { NetworkInfo } from '../peer/api.ts';
import { lanAddress } from './lan-address.ts';
import { iconlessText, messageText } from './safe-text.ts';
import type { Services } from './services.ts';
import type { TrackerHost } from './tracker-host.ts';
import { capitalize } from './transfer-model.ts';
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

  /** Every check with its result; picking one that needs attention copies what to do. */
  async diagnose(): Promise<void> {
    const { t } = this.#services;
    const api = await this.#services.api();
    const lines = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: t('Checking the connection') },
      () => api.diagnose(),
    );
    const { port } = await api.status();
    const address = port === undefined ? undefined : `${lanAddress(networkInterfaces())}:${port}`;
    const wrong = lines.filter((line) => !line.ok).length;
    const items = lines.map((line) => ({
      label: `${line.ok ? '$(pass)' : '$(error)'} ${iconlessText(capitalize(line.check))}`,
      description: iconlessText(line.detail),
      ...(line.fix === undefined ? {} : { detail: t('To do: {0}', iconlessText(line.fix)) }),
      copy: line.fix ?? `${line.check}: ${line.detail}`,
    }));
    if (address !== undefined) {
      const description = t('{0}, for those who add you by hand', address);
      items.push({ label: t('$(info) Your Address'), description, copy: address });
    }
    const picked = await vscode.window.showQuickPick(items, {
      title: t('Diagnose Connection'),
      placeHolder:
        wrong === 0
          ? t('All is well. Pick a line to copy it.')
          : t('{0} of {1} checks need attention. Pick one to copy what to do.', wrong, lines.length),
      matchOnDescription: true,
      matchOnDetail: true,
      ignoreFocusOut: true,
    });
    if (picked === undefined) return;
    await vscode.env.clipboard.writeText(picked.copy);
    this.#services.report.done(t('Copied'));
  }

  /** Starts the tracker, shows where it is, and offers to use it in the networks that have another one. */
  async hostTracker(): Promise<void> {
    const { t } = this.#services;
    const url = await this.#tracker.start();
    const api = await this.#services.api();
    const others = (await api.networks()).filter((network) => !network.trackers.includes(url));
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
