import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** Debian's Python, which has python3-libtorrent. */
export const PYTHON = '/usr/bin/python3';

/** Describes one file in a torrent file, with libtorrent. */
export function makeTorrent(file: string, torrent: string, version: 'v1' | 'v2', tracker = ''): void {
  const script = path.join(import.meta.dirname, 'make-torrent.py');
  const made = spawnSync(PYTHON, [script, file, torrent, version, tracker]);
  if (made.status !== 0) throw new Error(`No torrent could be made: ${made.stderr}`);
}
