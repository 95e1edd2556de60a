import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './child.ts';
import { PROJECT } from './paths.ts';

/** What users get: the VSIX of `npm run package`, made now when there is none. */
export async function packagedExtension(): Promise<string> {
  const manifest = JSON.parse(await readFile(path.join(PROJECT, 'package.json'), 'utf8')) as { version: string };
  const vsix = path.join(PROJECT, `peerwire-${manifest.version}.vsix`);
  if (!existsSync(vsix)) await run('npm', ['run', 'package'], { cwd: PROJECT });
  return vsix;
}
