/** Finds a Chromium, or unpacks the one that the npm package `@sparticuz/chromium` carries (Linux x64). */
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import { run } from './child.ts';
import { CACHE } from './paths.ts';

export interface Chromium {
  readonly executable: string;
  readonly env: NodeJS.ProcessEnv;
}

const CANDIDATES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
  ],
  win32: [
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
    'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
  ],
  linux: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable'],
};

/** `PEERWIRE_CHROMIUM` names one to use; else the carried build is preferred, because every Linux machine then runs the same. */
export async function findChromium(): Promise<Chromium> {
  const chosen = process.env.PEERWIRE_CHROMIUM;
  if (chosen) return { executable: chosen, env: process.env };
  if (process.platform === 'linux' && process.arch === 'x64') return carriedChromium();
  const found = CANDIDATES[process.platform]?.find((candidate) => existsSync(candidate));
  if (!found) throw new Error('No Chromium found: set PEERWIRE_CHROMIUM to the path of one.');
  return { executable: found, env: process.env };
}

async function carriedChromium(): Promise<Chromium> {
  const archives = path.resolve(createRequire(import.meta.url).resolve('@sparticuz/chromium'), '../../../bin');
  const manifest = await readFile(path.join(archives, '../package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const folder = path.join(CACHE, `chromium-${version}`);
  if (!existsSync(folder)) {
    const unpacking = `${folder}.${process.pid}`;
    await mkdir(unpacking, { recursive: true });
    const executable = path.join(unpacking, 'chromium');
    await pipeline(
      createReadStream(path.join(archives, 'chromium.br')),
      createBrotliDecompress(),
      createWriteStream(executable),
    );
    await chmod(executable, 0o755);
    for (const name of ['al2023', 'fonts', 'swiftshader'])
      await untar(path.join(archives, `${name}.tar.br`), unpacking);
    // The carried fonts.conf names folders of the platform that the package was made for.
    const fonts = `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/fonts-cache</cachedir></fontconfig>`;
    await writeFile(path.join(unpacking, 'fonts.conf'), fonts);
    try {
      await rename(unpacking, folder);
    } catch (error) {
      await rm(unpacking, { recursive: true, force: true });
      // Another run may have been faster.
      if (!existsSync(folder)) throw error;
    }
  }
  const libraries = [path.join(folder, 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  return {
    executable: path.join(folder, 'chromium'),
    env: {
      ...process.env,
      LD_LIBRARY_PATH: libraries,
      ...(existsSync('/etc/fonts/fonts.conf') ? {} : { FONTCONFIG_FILE: path.join(folder, 'fonts.conf') }),
    },
  };
}

/** By way of a file: tar closes a pipe at the end of the archive, before the padding behind it is written. */
async function untar(archive: string, folder: string): Promise<void> {
  const tar = path.join(folder, 'archive.tar');
  await pipeline(createReadStream(archive), createBrotliDecompress(), createWriteStream(tar));
  await run('tar', ['-xf', tar, '-C', folder]);
  await rm(tar);
}
