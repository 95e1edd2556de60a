import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { launchBrowser } from './host/browser.ts';
import { EditorServer } from './host/editor-server.ts';
import { packagedExtension } from './host/packaged-extension.ts';
import { PeerwireWindow } from './host/peerwire-window.ts';
import { temporaryFolder } from './host/temporary-folder.ts';
import { startTracker, type TrackerProcess } from './host/tracker-process.ts';

/** One user: an editor of their own, their workspace, and the window they look at. */
export interface EditorUser {
  readonly name: string;
  readonly server: EditorServer;
  readonly workspace: string;
  readonly window: PeerwireWindow;
}

/** Two users with nothing in common but a tracker; the extension is the packaged one, freshly installed. */
export class TwoEditors {
  readonly a: EditorUser;
  readonly b: EditorUser;
  readonly tracker: TrackerProcess;
  readonly #close: () => Promise<void>;

  private constructor(a: EditorUser, b: EditorUser, tracker: TrackerProcess, close: () => Promise<void>) {
    this.a = a;
    this.b = b;
    this.tracker = tracker;
    this.#close = close;
  }

  /** `fill`: makes the workspaces before the editors open them. */
  static async start(options: {
    fill: (a: string, b: string) => Promise<void>;
    settings?: { a?: Record<string, unknown>; b?: Record<string, unknown> };
    /** For networks that they create, besides the tracker. */
    moreTrackers?: readonly string[];
  }): Promise<TwoEditors> {
    const closers: (() => Promise<void>)[] = [];
    const close = async (): Promise<void> => {
      for (const closer of closers.splice(0).reverse()) await closer();
    };
    try {
      const vsix = await packagedExtension();
      const folder = await temporaryFolder('editors');
      closers.push(folder.remove);
      const tracker = await startTracker();
      closers.push(tracker.dispose);
      const workspace = (name: string): string => path.join(folder.path, name, 'workspace');
      await mkdir(workspace('ann'), { recursive: true });
      await mkdir(workspace('ben'), { recursive: true });
      await options.fill(workspace('ann'), workspace('ben'));
      const browser = await launchBrowser();
      closers.push(() => browser.close());
      const user = async (
        name: string,
        theme: 'light' | 'dark',
        settings: Record<string, unknown> = {},
      ): Promise<EditorUser> => {
        const own = {
          'peerwire.device.name': name,
          'peerwire.network.trackers': [tracker.url, ...(options.moreTrackers ?? [])],
        };
        const server = await EditorServer.start({ name, extensions: [vsix], settings: { ...own, ...settings } });
        closers.push(() => server.dispose());
        const window = await openWindow(browser, server, workspace(name), theme);
        return { name, server, workspace: workspace(name), window };
      };
      const a = await user('ann', 'light', options.settings?.a);
      const b = await user('ben', 'dark', options.settings?.b);
      return new TwoEditors(a, b, tracker, close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  /** A creates a network, B joins it with the pasted invite; both see each other. */
  async introduce(network: string): Promise<string> {
    const invite = await this.a.window.createNetwork(network);
    await this.b.window.join(invite, network);
    await this.b.window.personRow(this.a.name, 'online').waitFor();
    await this.a.window.personRow(this.b.name, 'online').waitFor();
    return invite;
  }

  /** For a failed test: what both users saw. */
  async screenshots(name: string): Promise<void> {
    await this.a.window.workbench.screenshot(`${name}-a`);
    await this.b.window.workbench.screenshot(`${name}-b`);
  }

  dispose(): Promise<void> {
    return this.#close();
  }
}

async function openWindow(
  browser: Browser,
  server: EditorServer,
  workspace: string,
  theme: 'light' | 'dark',
): Promise<PeerwireWindow> {
  try {
    return await PeerwireWindow.open(browser, server.url(workspace), { theme });
  } catch (error) {
    throw new Error(`The window did not open. The server said:\n${server.log.slice(-4000)}`, { cause: error });
  }
}
