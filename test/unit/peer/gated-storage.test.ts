import assert from 'node:assert/strict';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileStorage } from '../../../src/bittorrent/file-storage.ts';
import { GatedStorage } from '../../../src/peer/gated-storage.ts';
import { useTempDir } from '../temp-dir.ts';

describe('GatedStorage', () => {
  const temp = useTempDir();

  it('lets reads of many files end before a move, and holds later ones back until it is over', async () => {
    const paths = [0, 1, 2].map((index) => join(temp.path, `${index}`));
    for (const [index, path] of paths.entries()) writeFileSync(path, `file ${index}`);
    const storage = new GatedStorage(new FileStorage((index) => ({ kind: 'staged', path: paths[index]!, size: 6 })));
    const events: string[] = [];
    const readAll = async (name: string): Promise<void> => {
      const reads = paths.map((_, fileIndex) => ({ fileIndex, view: Buffer.alloc(6) }));
      await storage.readAll(reads);
      events.push(name);
      for (const { fileIndex, view } of reads) assert.equal(view.toString(), `file ${fileIndex}`);
    };
    const before = readAll('read before');
    // It has passed the gate.
    await Promise.resolve();
    const moved = storage.closedFor([0, 1, 2], async () => {
      mkdirSync(join(temp.path, 'place'));
      for (const [index, path] of paths.entries()) {
        paths[index] = join(temp.path, 'place', `${index}`);
        renameSync(path, paths[index]!);
        await new Promise(setImmediate);
      }
      events.push('moved');
    });
    const after = readAll('read after');
    await Promise.all([before, moved, after]);
    assert.deepEqual(events, ['read before', 'moved', 'read after']);
    await storage.close();
  });
});
