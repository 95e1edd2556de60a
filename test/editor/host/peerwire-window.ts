import type { Browser, Locator } from 'playwright-core';
import { Workbench } from './workbench.ts';

const CLICKS = 3;

/** A VS Code window with Peerwire in it: what its user does, in the words of src/extension/labels.ts. */
export class PeerwireWindow {
  readonly workbench: Workbench;

  private constructor(workbench: Workbench) {
    this.workbench = workbench;
  }

  static async open(
    browser: Browser,
    url: string,
    options: { theme?: 'light' | 'dark' } = {},
  ): Promise<PeerwireWindow> {
    const window = new PeerwireWindow(await Workbench.open(browser, url, options));
    await window.show();
    return window;
  }

  /** Brings Peerwire's views to the front. */
  async show(): Promise<void> {
    await this.workbench.showSidebar(/^Peerwire/);
  }

  /** As *Reload Window* does: the extension host and the peer in it start again. */
  async reload(): Promise<void> {
    await this.workbench.reload();
    await this.show();
  }

  /** Creates a network from the welcome view and returns the invite that is on the clipboard afterwards. */
  async createNetwork(name: string): Promise<string> {
    await this.workbench.button('Create a Network').first().click();
    await this.workbench.answer(name);
    await this.networkRow(name).waitFor();
    await this.workbench.toast(name).waitFor();
    return this.workbench.clipboard();
  }

  /** Pastes an invite into the welcome view's input box and confirms. */
  async join(invite: string, name: string): Promise<void> {
    await this.workbench.button('Join with an Invite').first().click();
    await this.workbench.answer(invite);
    await this.workbench.modal(name).getByRole('button', { name: 'Join' }).click();
    await this.networkRow(name).waitFor();
  }

  /** Opens a link as the operating system does, and allows Peerwire to take it. */
  async openLink(link: string): Promise<void> {
    await this.workbench.command('Developer: Open URL');
    await this.workbench.answer(link);
    const open = this.workbench.modal(/open this URI/i).getByRole('button', { name: /^(Open|Yes|Allow)/ });
    await open.click();
  }

  /** What a network's row offers in its menu. */
  async ofNetwork(network: string, action: string | RegExp): Promise<void> {
    await this.workbench.contextMenu(this.networkRow(network), action);
  }

  /** What a person's row offers in its menu. */
  async ofPerson(person: string, action: string | RegExp): Promise<void> {
    await this.workbench.contextMenu(this.personRow(person), action);
  }

  /** Ticks entries of a list in which several can be chosen, and accepts. */
  async choose(...names: string[]): Promise<void> {
    for (const name of names) await this.workbench.choice(startsWith(name)).click();
    await this.workbench.quickPick.getByRole('button', { name: 'OK' }).click();
  }

  /** Shares a row of the explorer; a folder's confirmation is accepted. */
  async share(name: string, kind: 'file' | 'folder' = 'file'): Promise<void> {
    await this.workbench.showSidebar(/^Explorer/);
    await this.workbench.contextMenu(this.workbench.row(name), 'Share with Peers');
    if (kind === 'folder')
      await this.workbench
        .modal(name)
        .getByRole('button', { name: /^Share/ })
        .click();
    await this.show();
    await this.ownShareRow(name).waitFor();
  }

  /** Downloads a share of somebody into the workspace. */
  async download(owner: string, name: string): Promise<void> {
    await this.show();
    await this.workbench.expand(this.personRow(owner, 'online'));
    await this.shareRow(name).waitFor();
    // A row that is drawn anew while the button is down loses the click, as it does for a person: who sees nothing clicks again.
    for (let click = 1; ; click++) {
      await this.workbench.inlineAction(this.shareRow(name), /^Download(?! to)/);
      try {
        await this.transferRow(name, '').waitFor({ timeout: 10_000 });
        return;
      } catch (error) {
        if (click === CLICKS) throw error;
      }
    }
  }

  networkRow(name: string, state = ''): Locator {
    return this.workbench.row(startsWith(`${name}, network, ${state}`));
  }

  hintRow(text: string): Locator {
    return this.workbench.row(startsWith(text));
  }

  personRow(name: string, state = ''): Locator {
    return this.workbench.row(startsWith(`${name}, ${state}`));
  }

  /** Somebody else's share. */
  shareRow(name: string): Locator {
    return this.workbench.row(new RegExp(`^${literally(name)}, (file|folder), .*from `));
  }

  ownShareRow(name: string): Locator {
    return this.workbench.row(new RegExp(`^${literally(name)}, .*shared by you`));
  }

  transferRow(name: string, state: string): Locator {
    return this.workbench.row(startsWith(`${name}, download, ${state}`));
  }
}

function startsWith(text: string): RegExp {
  return new RegExp(`^${literally(text)}`);
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
