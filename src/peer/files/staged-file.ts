import { sep } from 'node:path';
import type { FileEntry } from '../../bittorrent/metainfo.ts';

/** Name of the folder of a staging directory that holds the files: a share may have names of its own for whatever is beside it. */
const ROOT = 'files';

/** Where in a staging directory a share takes the shape that it will have, so that it can be placed by one rename. */
export function stagedRoot(staging: string): string {
  return `${staging}${sep}${ROOT}`;
}

/** Where a file is in its staging directory until it is placed. Paths of an `Info` are safe, and none is part of another. */
export function stagedFile(staging: string, { path }: Pick<FileEntry, 'path'>): string {
  // Put together by hand: `join` would normalize what is known to be normal, once for each of many files.
  return `${stagedRoot(staging)}${sep}${path.length === 1 ? path[0] : path.join(sep)}`;
}
