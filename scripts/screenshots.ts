/**
 * `npm run screenshots`: the pictures of the README, taken of two real editors: the first use, the network with shares
 * and a running transfer, in a light and a dark theme. Look at them before you commit them.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { PeerwireWindow } from '../test/editor/host/peerwire-window.ts';
import { TwoEditors } from '../test/editor/two-editors.ts';

const FOLDER = 'media/screenshots';
/** Wide enough for whole rows, and the top of the window only. */
const CLIP = { x: 0, y: 36, width: 520, height: 740 };

const editors = await TwoEditors.start({
  fill: async (a) => {
    await mkdir(path.join(a, 'design/diagrams'), { recursive: true });
    await writeFile(path.join(a, 'design/overview.md'), '# Overview\n');
    await writeFile(path.join(a, 'design/diagrams/flow.txt'), 'A → B\n');
    await writeFile(path.join(a, 'release-notes.md'), '# 2.0\n\nFaster.\n');
    await writeFile(path.join(a, 'measurements.csv'), randomBytes(90_000));
    await writeFile(path.join(a, 'dataset.bin'), randomBytes(160_000_000));
  },
  settings: { b: { 'peerwire.transfer.downloadLimit': 20_000 } },
});
try {
  await mkdir(FOLDER, { recursive: true });
  const { a, b } = editors;
  await widen(a.window);
  await widen(b.window);
  await take('first-use');
  await editors.introduce('Compiler team');
  for (const file of ['release-notes.md', 'measurements.csv', 'dataset.bin']) await a.window.share(file);
  await a.window.share('design', 'folder');
  await b.window.workbench.expand(b.window.personRow(a.name, 'online'));
  await b.window.shareRow('design').waitFor();
  await take('network');
  await b.window.download(a.name, 'dataset.bin');
  await b.window
    .transferRow('dataset.bin', 'downloading')
    .filter({ hasText: /[3-6]\d ?%/ })
    .waitFor();
  await take('transfer');
} finally {
  await editors.dispose();
}

/** Drags the sidebar's edge to the right. */
async function widen(window: PeerwireWindow): Promise<void> {
  const { page } = window.workbench;
  const sidebar = await page.locator('[id="workbench.parts.sidebar"]').boundingBox();
  if (!sidebar) throw new Error('There is no sidebar to widen.');
  await page.mouse.move(sidebar.x + sidebar.width, 400);
  await page.mouse.down();
  await page.mouse.move(CLIP.width, 400, { steps: 5 });
  await page.mouse.up();
}

/** B's window is dark; the same window is shown in light afterwards. */
async function take(name: string): Promise<void> {
  const { page } = editors.b.window.workbench;
  await page.mouse.move(900, 700);
  for (const scheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.locator(scheme === 'dark' ? '.monaco-workbench.vs-dark' : '.monaco-workbench.vs').waitFor();
    await page.screenshot({ path: path.join(FOLDER, `${name}-${scheme}.png`), clip: CLIP });
  }
}
