/** Builds the VSIX that users get, and refuses what the marketplace or a reader would frown at. */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

/** Bytes. DESIGN §7. */
const LIMIT = 1_000_000;

const { name, version } = JSON.parse(readFileSync('package.json', 'utf8')) as { name: string; version: string };
const vsix = `${name}-${version}.vsix`;
const vsce = spawnSync(
  process.execPath,
  [
    'node_modules/@vscode/vsce/vsce',
    'package',
    '--no-dependencies',
    '--allow-missing-repository',
    '--no-rewrite-relative-links',
    '--out',
    vsix,
  ],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
);
const output = vsce.stdout + vsce.stderr;
if (vsce.status !== 0 || /\bWARNING\b/i.test(output)) {
  console.error(output);
  console.error(vsce.status === 0 ? 'vsce warned; see above.' : `vsce ended with ${vsce.status}.`);
  process.exit(1);
}
const { size } = statSync(vsix);
console.log(`${vsix}: ${(size / 1000).toFixed(0)} kB`);
if (size >= LIMIT) {
  console.error(`${output}\nThe package must stay under ${LIMIT / 1000} kB.`);
  process.exit(1);
}
