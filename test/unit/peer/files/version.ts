import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileRoot } from '../../../../src/bittorrent/merkle.ts';
import { createInfo, type Info } from '../../../../src/bittorrent/metainfo.ts';
import { leafHashes } from '../../../../src/peer/files/block-hashes.ts';
import { place, stagingDir } from '../../../../src/peer/files/placement.ts';
import type { HashPool } from '../../../../src/peer/hash-pool.ts';

export type Content = Readonly<Record<string, string>>;

/** A version of small files, without a disk. One file of the version's own name makes a single-file version. */
export function versionOf(name: string, content: Content): Info {
  const files = Object.entries(content).map(([path, text]) => {
    const data = Buffer.from(text);
    const root = data.length > 0 ? fileRoot(leafHashes(data)) : undefined;
    return { path: path.split('/'), length: data.length, root };
  });
  const single = files.length === 1 && files[0]?.path.length === 1 && files[0].path[0] === name;
  return createInfo({ name, pieceLength: 65_536, files, single });
}

type Overrides = Partial<Parameters<typeof place>[0]>;

/** Stages what is not empty, as a download would, and places it. */
export async function stageAndPlace(
  info: Info,
  content: Content,
  destination: string,
  pool: HashPool,
  overrides: Overrides = {},
) {
  const staging = await stagingDir(destination);
  for (const [index, file] of info.files.entries()) {
    const text = content[file.path.join('/')] ?? '';
    if (text !== '') writeFileSync(join(staging, `${index}`), text, { mode: 0o600 });
  }
  return await place({
    info,
    files: [...info.files.keys()],
    stagedPath: (index) => join(staging, `${index}`),
    destination,
    policy: 'fail',
    allowRisky: false,
    pool,
    ...overrides,
  });
}
