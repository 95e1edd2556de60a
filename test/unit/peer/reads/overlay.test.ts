import assert from 'node:assert/strict';
import { Bitfield } from '../../../../src/bittorrent/bitfield.ts';
import type { Storage } from '../../../../src/bittorrent/storage.ts';
import { CachedVersion } from '../../../../src/peer/reads/cached-version.ts';
import { OverlaidStorage } from '../../../../src/peer/reads/overlay.ts';
import { PieceCache } from '../../../../src/peer/reads/piece-cache.ts';
import { makeVersion } from '../../../sim/test-version.ts';
import { useTempDir } from '../../temp-dir.ts';

describe('OverlaidStorage', () => {
  const temp = useTempDir();

  it('lends descriptors of files that have a place of their own, and none of the cache', async () => {
    const { info } = makeVersion([100, 100], 16_384, Math.random);
    const lent: number[] = [];
    const own: Storage = {
      read: async () => {},
      readAll: async () => {},
      write: async () => {},
      close: async () => {},
      writeBy: (fileIndex, action) => {
        lent.push(fileIndex);
        return action(7);
      },
    };
    const cached = new CachedVersion(new PieceCache({ dir: temp.path, capacity: 1 << 20 }), 'version', info);
    const storage = new OverlaidStorage(own, (index) => index === 0, cached, new Bitfield(info.pieceCount));
    assert.equal(await storage.writeBy(0, async (descriptor) => descriptor), 7);
    assert.equal(
      storage.writeBy(1, async () => 1),
      undefined,
    );
    assert.deepEqual(lent, [0]);
    await storage.close();
  });

  it('reads many files at once, each from where it is', async () => {
    const { info, files } = makeVersion([100, 200, 300, 400], 16_384, Math.random);
    const asked: number[] = [];
    const own: Storage = {
      read: async () => {},
      readAll: async (reads) => {
        for (const { fileIndex, view } of reads) {
          asked.push(fileIndex);
          files[fileIndex]!.copy(view);
        }
      },
      write: async () => {},
      close: async () => {},
    };
    const cached = new CachedVersion(new PieceCache({ dir: temp.path, capacity: 1 << 20 }), 'version', info);
    for (const index of [1, 3]) await cached.write(index, 0, files[index]!);
    const storage = new OverlaidStorage(own, (index) => index % 2 === 0, cached, new Bitfield(info.pieceCount));
    for (const chosen of [[0, 1, 2, 3], [2, 0], [3, 1], []]) {
      asked.length = 0;
      const reads = chosen.map((fileIndex) => ({ fileIndex, view: Buffer.alloc(files[fileIndex]!.length) }));
      await storage.readAll(reads);
      for (const { fileIndex, view } of reads) assert.deepEqual(view, files[fileIndex]);
      assert.deepEqual(
        asked,
        chosen.filter((index) => index % 2 === 0),
      );
    }
    cached.forget(new Set([3]));
    const view = Buffer.alloc(400);
    await assert.rejects(storage.readAll([{ fileIndex: 3, view }]), { code: 'not-found' });
    await storage.close();
  });
});
