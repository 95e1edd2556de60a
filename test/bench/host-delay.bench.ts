import { mkdtemp, rm } from 'node:fs/promises';
import { launchBrowser } from '../editor/host/browser.ts';
import { runInServer } from '../editor/host/in-host.ts';
import { packagedExtension } from '../editor/host/packaged-extension.ts';
import { SOURCE } from '../editor/in-host/transfer-source.ts';
import { type Bench, type BenchOptions, type BenchReport, median } from './bench.ts';
import { startSource } from './share-source.ts';

const GB = 1e9;
const NAMES = ['idle p99, ms', 'p50, ms', 'p99, ms', 'max, ms', 'MB/s', 'activate(), ms'] as const;

export const bench: Bench = {
  about: "delay of the extension host's event loop while its peer downloads 1 GB at full speed",

  async run(options: BenchOptions): Promise<BenchReport> {
    const folder = await mkdtemp('/dev/shm/peerwire-bench-');
    const { source, dispose } = await startSource(Math.floor(GB / options.scale), folder);
    const browser = await launchBrowser();
    try {
      const runs: Readonly<Record<string, number>>[] = [];
      for (let run = 0; run < options.runs; run++) {
        options.progress(`run ${run + 1} of ${options.runs}`);
        const env = { [SOURCE]: JSON.stringify(source) };
        const vsix = await packagedExtension();
        const report = await runInServer(browser, { vsix, workspace: folder, env, timeout: 180_000 });
        const failed = report.failure ?? report.tests.find(({ state }) => state === 'failed')?.error;
        if (failed !== undefined) throw new Error(failed);
        runs.push(report.figures);
      }
      const figures = Object.fromEntries(
        NAMES.map((name) => [name, median(runs.map((run) => run[name] ?? Number.NaN))]),
      );
      return {
        rows: [{ name: 'extension host', figures }],
        targets: [
          { what: 'p99 delay, ms', figure: figures['p99, ms'] ?? Number.NaN, bound: { atMost: 10 } },
          {
            what: 'activate() with no network, ms of main thread',
            figure: figures['activate(), ms'] ?? Number.NaN,
            bound: { atMost: 30 },
          },
        ],
      };
    } finally {
      await browser.close();
      await dispose();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
