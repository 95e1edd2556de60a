/** Builds the VSIX that users get, and refuses what the marketplace or a reader would frown at. */
import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, rmSync, statSync } from 'node:fs';

/** Bytes. DESIGN §7. */
const LIMIT = 1_000_000;

const { name, version } = JSON.parse(readFileSync('package.json', 'utf8')) as { name: string; version: string };
const vsix = `${name}-${version}.vsix`;
// Others may be installing the last one.
const part = `${vsix}.${process.pid}`;
process.once('exit', () => rmSync(part, { force: true }));
const vsce = spawnSync(
  process.execPath,
  [
    'node_modules/@vscode/vsce/vsce',
    'package',
    '--no-dependencies',
    '--allow-missing-repository',
    '--no-rewrite-relative-links',
    '--out',
    part,
  ],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
);
const output = vsce.stdout + vsce.stderr;
if (vsce.status !== 0 || /\bWARNING\b/i.test(output)) {
  console.error(output);
  console.error(vsce.status === 0 ? 'vsce warned; see above.' : `vsce ended with ${vsce.status}.`);
  process.exit(1);
}
const { size } = statSync(part);
if (size >= LIMIT) {
  console.error(`${output}\nThe package has ${size} bytes; it must stay under ${LIMIT}.`);
  process.exit(1);
}
renameSync(part, vsix);
console.log(`${vsix}: ${(size / 1000).toFixed(0)} kB`);
