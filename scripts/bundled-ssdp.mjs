// For esbuild: @achingbrain/ssdp reads its own package.json while it runs, which a bundle does not have beside it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const READS = "req('../../package.json')";

/** @type {import('esbuild').Plugin} */
export const bundledSsdp = {
  name: 'bundled-ssdp',
  setup(build) {
    build.onLoad({ filter: /[\\/]@achingbrain[\\/]ssdp[\\/]dist[\\/]src[\\/]ssdp\.js$/ }, async ({ path }) => {
      const [source, manifest] = await Promise.all([
        readFile(path, 'utf8'),
        readFile(join(path, '../../../package.json'), 'utf8'),
      ]);
      if (!source.includes(READS)) throw new Error(`${path} is not what it was: see scripts/bundled-ssdp.mjs`);
      const { name, version } = JSON.parse(manifest);
      return { contents: source.replace(READS, JSON.stringify({ name, version })) };
    });
  },
};
