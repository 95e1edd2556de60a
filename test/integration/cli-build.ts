import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { bundledSsdp } from '../../scripts/bundled-ssdp.mjs';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** The command built from the sources of the moment: the folder of the bundles, as `npm run build` makes them in dist/; `main` is the command. */
export class CliBuild {
  readonly #folder: string;

  static async create(): Promise<CliBuild> {
    const folder = await mkdtemp(path.join(tmpdir(), 'peerwire-cli-build-'));
    const common: BuildOptions = {
      absWorkingDir: ROOT,
      bundle: true,
      platform: 'node',
      target: 'node22',
      logLevel: 'warning',
      plugins: [bundledSsdp],
    };
    const dist = path.join(folder, 'dist');
    await Promise.all([
      build({
        ...common,
        entryPoints: { cli: 'src/cli/main.ts', tracker: 'tracker/main.ts', 'peer-worker': 'src/peer/peer-worker.ts' },
        outdir: dist,
        ...{ splitting: true, format: 'esm' },
        banner: {
          js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
        },
      }),
      build({
        ...common,
        entryPoints: ['src/peer/hash-worker.ts'],
        outfile: path.join(dist, 'hash-worker.cjs'),
        format: 'cjs',
      }),
    ]);
    // As in the package: the files are ES modules by its word.
    await copyFile(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
    return new CliBuild(folder);
  }

  private constructor(folder: string) {
    this.#folder = folder;
  }

  get main(): string {
    return path.join(this.#folder, 'dist', 'cli.js');
  }

  async dispose(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The command, built before the first test of the suite that calls this, removed after its last. */
export function useCli(): { readonly main: string } {
  let build: CliBuild | undefined;
  before(async () => {
    build = await CliBuild.create();
  });
  after(() => build?.dispose());
  return {
    get main(): string {
      if (build === undefined) throw new Error('The command is built before the first test.');
      return build.main;
    },
  };
}
