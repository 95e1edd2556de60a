// Runs before `npm start` and `npm test`, on any Node ≥ 20 and before anything is installed: so no dependencies, no TypeScript.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, utimesSync } from 'node:fs';

// npm writes this file when an install is complete.
const installed = 'node_modules/.package-lock.json';
const complete = existsSync(installed) && existsSync('node_modules/.bin/node');
if (!complete || statSync(installed).mtimeMs < statSync('package-lock.json').mtimeMs) {
  const { status } = spawnSync('npm', [complete ? 'install' : 'ci', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
  // npm leaves the file as it is when there was nothing to change.
  utimesSync(installed, new Date(), new Date());
}
