import type { NetworkInfo } from '../peer/api.ts';
import { askTrackerUrl, type NetworkCommands } from './network-commands.ts';
import { iconlessText, messageText } from './safe-text.ts';
import type { Services } from './services.ts';
import { vscode } from './vscode.ts';

interface TrackerItem extends vscode.QuickPickItem {
  readonly url?: string;
}

/** What the creator and the admins of a network set for everybody in it. */
export class NetworkSettingsCommands {
  readonly #services: Services;
  readonly #networks: NetworkCommands;

  constructor(services: Services, networks: NetworkCommands) {
    this.#services = services;
    this.#networks = networks;
  }

  async rename(args: readonly unknown[]): Promise<void> {
    const { t, report } = this.#services;
    const network = await this.#networks.administeredFor(args, t('Rename which network?'));
    if (network === undefined) return;
    const name = await vscode.window.showInputBox({
      title: t('Rename “{0}”', iconlessText(network.name)),
      prompt: t('Every member sees the new name.'),
      value: network.name,
      ignoreFocusOut: true,
      validateInput: (text) => (text.trim() === '' ? t('Give the network a name.') : undefined),
    });
    if (name === undefined || name.trim() === network.name) return;
    const api = await this.#services.api();
    await api.renameNetwork({ network: network.network, name: name.trim() });
    report.done(t('Renamed to “{0}”', name.trim()));
  }

  /** The list, with a button to remove each, until the user leaves it. Every change is for everybody, at once. */
  async trackers(args: readonly unknown[]): Promise<void> {
    const { t, report } = this.#services;
    const network = await this.#networks.administeredFor(args, t('Trackers of which network?'));
    if (network === undefined) return;
    const api = await this.#services.api();
    for (;;) {
      const current = (await api.networks()).find((candidate) => candidate.network === network.network);
      if (current === undefined) return;
      const choice = await this.#chooseTracker(current);
      if (choice === undefined) return;
      let trackers: string[];
      if (choice.kind === 'remove') {
        if (!(await this.#confirmRemoval(current, choice.url))) continue;
        trackers = current.trackers.filter((url) => url !== choice.url);
      } else {
        const url = await askTrackerUrl(this.#services);
        if (url === undefined) continue;
        trackers = [...new Set([...current.trackers, url])];
      }
      await api.setTrackers({ network: network.network, trackers });
      report.done(t('The trackers of “{0}” are changed for everyone', current.name));
    }
  }

  #chooseTracker(network: NetworkInfo): Promise<{ kind: 'add' } | { kind: 'remove'; url: string } | undefined> {
    const { t } = this.#services;
    return new Promise((resolve) => {
      const list = vscode.window.createQuickPick<TrackerItem>();
      const remove: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('trash'), tooltip: t('Remove…') };
      list.title = t('Trackers of “{0}”', iconlessText(network.name));
      list.placeholder = t('Trackers introduce peers to each other. Changes are for everyone in the network.');
      list.ignoreFocusOut = true;
      list.items = [
        ...network.trackers.map((url) => ({ label: `$(server) ${iconlessText(url)}`, buttons: [remove], url })),
        { label: t('$(add) Add Tracker…'), alwaysShow: true },
      ];
      const finish = (choice?: { kind: 'add' } | { kind: 'remove'; url: string }): void => {
        resolve(choice);
        list.dispose();
      };
      list.onDidHide(() => finish());
      list.onDidTriggerItemButton(({ item }) => item.url !== undefined && finish({ kind: 'remove', url: item.url }));
      list.onDidAccept(() => {
        const [item] = list.selectedItems;
        if (item === undefined) return;
        finish(item.url === undefined ? { kind: 'add' } : { kind: 'remove', url: item.url });
      });
      list.show();
    });
  }

  async #confirmRemoval(network: NetworkInfo, url: string): Promise<boolean> {
    const { t } = this.#services;
    const remove = { title: t('Remove') };
    const chosen = await vscode.window.showWarningMessage(
      t('Remove the tracker {0}?', messageText(url)),
      {
        modal: true,
        detail:
          network.trackers.length > 1
            ? t('Every member of “{0}” stops using it.', messageText(network.name))
            : t(
                'It is the only one of “{0}”: members then find each other on the same local network, at addresses that they remember, and through each other.',
                messageText(network.name),
              ),
      },
      remove,
    );
    return chosen === remove;
  }
}
