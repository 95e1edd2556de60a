import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { makeTorrent } from './make-torrent.ts';
import { Child, type Rival } from './rival.ts';

/** Where rivals from the npm registry are looked for. */
const TOOLS = '.test-output/rivals';
const PACKAGE = path.resolve(TOOLS, 'node_modules/webtorrent');

/** webtorrent, v1 torrent, plaintext over TCP. */
export const webtorrent: Rival = {
  name: 'webtorrent, plaintext',

  missing: () =>
    existsSync(PACKAGE)
      ? undefined
      : `npm install --ignore-scripts --prefix ${TOOLS} webtorrent@2.8.5 uint8-util@2.2.5`,

  async prepare({ file, folder }) {
    const torrent = path.join(folder, 'webtorrent.torrent');
    makeTorrent(file, torrent, 'v1');
    const script = path.join(import.meta.dirname, 'webtorrent-peer.mjs');
    return {
      async transfer() {
        const into = path.join(folder, 'webtorrent');
        await mkdir(into);
        const seed = new Child(process.execPath, [script, PACKAGE, torrent, path.dirname(file)]);
        try {
          const [, port] = await seed.line(/^port (\d+)/);
          const peer = new Child(process.execPath, [script, PACKAGE, torrent, into, String(port)]);
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
