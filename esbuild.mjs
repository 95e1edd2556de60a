// Builds dist/: the extension (CommonJS, loaded by the editor), its worker threads, the command line and the tracker.
import { chmod, mkdir, rm } from 'node:fs/promises';
import { build } from 'esbuild';
import { bundledSsdp } from './scripts/bundled-ssdp.mjs';

const production = process.argv.includes('--production');
const common = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  minify: production,
  sourcemap: production ? false : 'linked',
  legalComments: 'none',
  logLevel: 'warning',
  plugins: [bundledSsdp],
};
// Bundled CommonJS dependencies call require(); an ES module has none unless it is made.
const esm = {
  ...common,
  format: 'esm',
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
};

await rm('dist', { recursive: true, force: true });
await mkdir('dist', { recursive: true });
await Promise.all([
  build({
    ...common,
    format: 'cjs',
    entryPoints: ['src/extension/extension.ts'],
    outfile: 'dist/extension.cjs',
    external: ['vscode'],
  }),
  build({
    ...esm,
    entryPoints: { 'peer-worker': 'src/peer/peer-worker.ts' },
    outdir: 'dist',
    splitting: true,
    chunkNames: 'peer-[name]-[hash]',
  }),
  // Threads of CommonJS start a little faster, and whoever shares or downloads waits for these.
  build({
    ...common,
    format: 'cjs',
    entryPoints: ['src/peer/hash-worker.ts'],
    outfile: 'dist/hash-worker.cjs',
  }),
  build({
    ...esm,
    entryPoints: { cli: 'src/cli/main.ts' },
    outdir: 'dist',
    // What `import()` loads is loaded only when it is needed.
    splitting: true,
    chunkNames: 'cli-[name]-[hash]',
    banner: { js: `#!/usr/bin/env node\n${esm.banner.js}` },
  }),
  build({ ...esm, entryPoints: { tracker: 'tracker/main.ts' }, outdir: 'dist' }),
]);
await chmod('dist/cli.js', 0o755);
