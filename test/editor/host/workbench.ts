import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { openWindow } from './browser.ts';
import { OUTPUT } from './paths.ts';

/**
 * One open VS Code window, spoken to in a person's words: titles, labels and the text of buttons. Locators are those
 * that stayed the same over years of releases (reference/vscode.md §5). Waits end with Playwright's default timeout.
 */
export class Workbench {
  readonly page: Page;
  readonly #context: BrowserContext;

  private constructor(page: Page, context: BrowserContext) {
    this.page = page;
    this.#context = context;
  }

  static async open(browser: Browser, url: string, options: { theme?: 'light' | 'dark' } = {}): Promise<Workbench> {
    const { page, context } = await openWindow(browser, url, options.theme);
    const workbench = new Workbench(page, context);
    await workbench.#ready();
    return workbench;
  }

  /** Loads the window anew, as *Reload Window* does: the extension host starts again. */
  async reload(): Promise<void> {
    await this.page.reload();
    await this.#ready();
  }

  async #ready(): Promise<void> {
    await this.page.locator('.monaco-workbench').waitFor();
    // The status bar's bell comes with the restored workbench; before that, keys are lost.
    await this.page.locator('[id="status.notifications"]').waitFor();
  }

  async close(): Promise<void> {
    await this.#context.close();
  }

  /** Runs a command by its title (with its category) from the palette. */
  async command(title: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input').first();
    // A command of an extension that is still being scanned is not listed yet: ask again until it is.
    for (const deadline = Date.now() + 30_000; ; ) {
      await this.page.keyboard.press('F1');
      await input.waitFor();
      await input.fill(`>${title}`);
      const option = this.option(title).first();
      if (await appears(option, 2_000)) {
        await option.click();
        return;
      }
      await this.page.keyboard.press('Escape');
      if (Date.now() > deadline) throw new Error(`The palette has no command “${title}”.`);
    }
  }

  /** The open quick pick, or input box. */
  get quickPick(): Locator {
    return this.page.locator('.quick-input-widget');
  }

  /** An entry of the open quick pick. */
  option(name: string | RegExp): Locator {
    return this.quickPick.getByRole('option', { name });
  }

  /** An entry of the open quick pick in which several can be chosen. */
  choice(name: string | RegExp): Locator {
    // Its role is another one in each release.
    return this.quickPick.locator('.quick-input-list .monaco-list-row').filter({ hasText: name });
  }

  async pick(name: string | RegExp): Promise<void> {
    await this.option(name).first().click();
  }

  /** Types into the open input box and accepts it. */
  async answer(text: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input').first();
    await input.waitFor();
    await input.fill(text);
    await input.press('Enter');
  }

  /** Shows a view container by the title of its tab in the activity bar. */
  async showSidebar(title: string | RegExp): Promise<void> {
    const tab = this.page.locator('.activitybar').getByRole('tab', { name: title }).first();
    const heading = this.page.locator('.part.sidebar > .title h2').filter({ hasText: title });
    await tab.waitFor();
    if (await heading.isVisible()) return;
    // A window that was just loaded restores its sidebar in a moment; a click at that time closes it: then click again.
    const deadline = Date.now() + 30_000;
    do {
      if (Date.now() > deadline) throw new Error(`The sidebar does not show “${title}”.`);
      await tab.click();
    } while (!(await appears(heading, 2_000)));
  }

  /** A row of any tree; its name is the label for accessibility. Only rows on screen exist. */
  row(name: string | RegExp): Locator {
    return this.page.getByRole('treeitem', { name });
  }

  async expand(row: Locator): Promise<void> {
    await row.waitFor();
    if ((await row.getAttribute('aria-expanded')) === 'true') return;
    await row.locator('.monaco-tl-twistie').first().click();
    await row.and(this.page.locator('[aria-expanded="true"]')).waitFor();
  }

  /** Picks an entry of a row's context menu. */
  async contextMenu(row: Locator, title: string | RegExp): Promise<void> {
    const entry = this.page.getByRole('menuitem', { name: title });
    await row.waitFor();
    // Entries of an extension that is still being scanned are not in the menu yet: open it again until they are.
    for (const deadline = Date.now() + 30_000; ; ) {
      await row.click({ button: 'right' });
      if (await appears(entry, 2_000)) break;
      await this.page.keyboard.press('Escape');
      if (Date.now() > deadline) throw new Error(`The context menu has no “${title}”.`);
    }
    // A menu takes no clicks in its first 100 ms, so that the one that opened it picks nothing.
    while (await entry.isVisible()) {
      await entry.click({ timeout: 1_000 }).catch(() => {});
      await disappears(entry, 500);
    }
  }

  /** Clicks an action shown on a row while the pointer is over it. */
  async inlineAction(row: Locator, name: string | RegExp): Promise<void> {
    await row.hover();
    await row.getByRole('button', { name }).first().click();
  }

  /** A toast, by a part of its text. */
  toast(text: string | RegExp): Locator {
    return this.page.locator('.notifications-toasts').getByRole('dialog', { name: text });
  }

  /** A modal dialog, by a part of its text. */
  modal(text: string | RegExp): Locator {
    return this.page.locator('.monaco-dialog-box').filter({ hasText: text });
  }

  /** A button anywhere: in a toast, a dialog, or the welcome text of an empty view. */
  button(name: string | RegExp, within: Locator | Page = this.page): Locator {
    return within.getByRole('button', { name });
  }

  statusBar(id: string): Locator {
    return this.page.locator(`[id="${id}"]`);
  }

  async clipboard(): Promise<string> {
    return this.page.evaluate<string>('navigator.clipboard.readText()');
  }

  /** What a command copies, once it has. */
  async copied(work: () => Promise<void>): Promise<string> {
    await this.setClipboard('');
    await work();
    for (const deadline = Date.now() + 30_000; ; ) {
      const text = await this.clipboard();
      if (text !== '') return text;
      if (Date.now() > deadline) throw new Error('Nothing was copied.');
    }
  }

  async setClipboard(text: string): Promise<void> {
    await this.page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
  }

  /**
   * As `screenshot`, in the light, the dark and the high-contrast theme: to be looked at, so only with
   * `PEERWIRE_SCREENSHOTS=1`. The window keeps the last one.
   */
  async screens(name: string): Promise<void> {
    if (!process.env.PEERWIRE_SCREENSHOTS) return;
    for (const [theme, css] of [
      ['light', '.monaco-workbench.vs'],
      ['contrast', '.monaco-workbench.hc-black'],
      ['dark', '.monaco-workbench.vs-dark'],
    ] as const) {
      await this.page.emulateMedia({
        colorScheme: theme === 'light' ? 'light' : 'dark',
        forcedColors: theme === 'contrast' ? 'active' : 'none',
      });
      await this.page.locator(css).waitFor();
      await this.screenshot(`${name}-${theme}`);
    }
  }

  /** Saves what the window shows under .test-output/screenshots. */
  async screenshot(name: string): Promise<string> {
    const folder = path.join(OUTPUT, 'screenshots');
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, `${name}.png`);
    await this.page.screenshot({ path: file });
    return file;
  }
}

async function appears(locator: Locator, timeout: number): Promise<boolean> {
  return locator.waitFor({ timeout }).then(
    () => true,
    () => false,
  );
}

async function disappears(locator: Locator, timeout: number): Promise<boolean> {
  return locator.waitFor({ state: 'hidden', timeout }).then(
    () => true,
    () => false,
  );
}
