import assert from 'node:assert/strict';
import { buildFileTree, type FileTreeEntry } from '../../../src/extension/file-tree.ts';

function outline(entries: readonly FileTreeEntry[]): unknown[] {
  return entries.map((entry) => (entry.kind === 'file' ? entry.path : { [entry.path]: outline(entry.children) }));
}

describe('file tree', () => {
  it('nests folders first, by name, with numbers in their order', () => {
    const root = buildFileTree([
      { path: 'b.txt', size: 1 },
      { path: 'a10.txt', size: 2 },
      { path: 'a9.txt', size: 3 },
      { path: 'sub/deep/x', size: 4 },
      { path: 'sub/y', size: 0 },
    ]);
    assert.deepEqual(outline(root.children), [
      { sub: [{ 'sub/deep': ['sub/deep/x'] }, 'sub/y'] },
      'a9.txt',
      'a10.txt',
      'b.txt',
    ]);
    assert.deepEqual([root.files, root.size], [5, 10]);
  });

  it('treats names of object properties as names', () => {
    const root = buildFileTree([
      { path: '__proto__/constructor', size: 1 },
      { path: 'toString', size: 1 },
    ]);
    assert.deepEqual(outline(root.children), [{ ['__proto__']: ['__proto__/constructor'] }, 'toString']);
  });

  it('takes 50,000 files in one go', () => {
    const files = Array.from({ length: 50_000 }, (_, index) => ({ path: `d${index % 100}/f${index}`, size: 1 }));
    assert.equal(buildFileTree(files).files, 50_000);
  });
});
