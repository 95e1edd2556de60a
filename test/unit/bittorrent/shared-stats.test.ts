import assert from 'node:assert/strict';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SharedStats } from '../../../src/bittorrent/shared-stats.ts';
import { useTempDir } from '../temp-dir.ts';

describe('shared stats', () => {
  const temp = useTempDir();
  let file: string;
  beforeEach(() => {
    file = path.join(temp.path, 'file');
    writeFileSync(file, 'one');
  });

  it('looks once for all who ask while it looks', async () => {
    const stats = new SharedStats();
    const [first, ...others] = await Promise.all(Array.from({ length: 9 }, () => stats.after(file)));
    assert.equal(new Set(others).size, 1);
    assert.notEqual(first, others[0]);
  });

  it('never tells how a file looked before the question', async () => {
    const stats = new SharedStats();
    for (let size = 3; size < 60; size++) {
      const before = stats.after(file);
      // With luck the look that is under way has not seen this; who asks now must be told of it.
      appendFileSync(file, '.');
      const now = await Promise.all([stats.after(file), stats.after(file)]);
      assert.deepEqual(
        now.map((stat) => Number(stat.size)),
        [size + 1, size + 1],
      );
      await before;
    }
  });

  it('reports what cannot be seen, to each who asked, and looks again', async () => {
    const stats = new SharedStats();
    rmSync(file);
    const results = await Promise.allSettled([stats.after(file), stats.after(file), stats.after(file)]);
    assert.deepEqual(new Set(results.map(({ status }) => status)), new Set(['rejected']));
    writeFileSync(file, 'again');
    assert.equal(Number((await stats.after(file)).size), 5);
  });
});
