import { mkdtemp, rm } from 'node:fs/promises';
import { launchBrowser } from '../editor/host/browser.ts';
import { EditorServer } from '../editor/host/editor-server.ts';
import { packagedExtension } from '../editor/host/packaged-extension.ts';
import { PeerwireWindow } from '../editor/host/peerwire-window.ts';
import { type Bench, type BenchOptions, type BenchReport, median } from './bench.ts';

export const bench: Bench = {
  about:
    'activation as VS Code itself reports it (wall clock: loading, activate, waiting for others), no network and one',

  async run(options: BenchOptions): Promise<BenchReport> {
    const workspace = await mkdtemp('/dev/shm/peerwire-bench-');
    const browser = await launchBrowser();
    const fresh: number[] = [];
    const configured: number[] = [];
    try {
      const vsix = await packagedExtension();
      for (let run = 0; run < options.runs; run++) {
        options.progress(`run ${run + 1} of ${options.runs}`);
        const settings = { 'peerwire.network.trackers': ['http://127.0.0.1:9/announce'] };
        const server = await EditorServer.start({ name: 'activation', extensions: [vsix], settings });
        try {
          const window = await PeerwireWindow.open(browser, server.url(workspace));
          fresh.push(await activationTime(window));
          await window.createNetwork('Bench');
          await window.workbench.reload();
          configured.push(await activationTime(window));
          await window.workbench.close();
        } finally {
          await server.dispose();
        }
      }
    } finally {
      await browser.close();
      await rm(workspace, { recursive: true, force: true });
    }
    return {
      rows: [
        { name: 'no network', figures: { ms: median(fresh) } },
        { name: 'one network', figures: { ms: median(configured) } },
      ],
    };
  },
};

/** Milliseconds, from the editor of *Developer: Show Running Extensions*. */
async function activationTime({ workbench }: PeerwireWindow): Promise<number> {
  // Only rows on screen exist.
  await workbench.page.setViewportSize({ width: 1280, height: 2400 });
  const list = workbench.page.locator('.runtime-extensions-editor');
  const row = list.locator('.extension').filter({ hasText: 'Peerwire' });
  for (const deadline = Date.now() + 30_000; ; ) {
    await workbench.command('Developer: Show Running Extensions');
    const text = await row.innerText();
    // It covers the views as a modal editor.
    await workbench.page.keyboard.press('Escape');
    await list.waitFor({ state: 'hidden' });
    // What is still activating is listed without a time.
    const time = /Activation: (\d+)ms/.exec(text)?.[1];
    if (time !== undefined) return Number(time);
    if (Date.now() > deadline) throw new Error(`Peerwire does not activate: ${text}`);
  }
}
