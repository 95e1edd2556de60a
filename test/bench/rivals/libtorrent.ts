import { spawnSync } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { makeTorrent, PYTHON } from './make-torrent.ts';
import { Child, type Rival } from './rival.ts';

/** libtorrent 2 with a v2 torrent, in plaintext. */
export const libtorrent: Rival = {
  name: 'libtorrent, plaintext',

  missing: () =>
    spawnSync(PYTHON, ['-c', 'import libtorrent']).status === 0 ? undefined : 'apt-get install python3-libtorrent',

  async prepare({ file, folder }) {
    const torrent = path.join(folder, 'v2.torrent');
    makeTorrent(file, torrent, 'v2');
    const script = path.join(import.meta.dirname, 'libtorrent-peer.py');
    return {
      async transfer() {
        const into = path.join(folder, 'libtorrent');
        await mkdir(into);
        const seed = new Child(PYTHON, [script, torrent, path.dirname(file), 'seed']);
        try {
          const [, port] = await seed.line(/^port (\d+)/);
          const peer = new Child(PYTHON, [script, torrent, into, 'get', String(port)]);
          const [, seconds] = await peer.line(/^seconds (.+)/).finally(() => peer.dispose());
          return Number(seconds);
        } finally {
          await seed.dispose();
          await rm(into, { recursive: true });
        }
      },
    };
  },
};
