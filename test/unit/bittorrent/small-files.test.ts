import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FileBatcher, type FilePart, readParts, writeParts } from '../../../src/bittorrent/file-parts.ts';
import { stampOf } from '../../../src/bittorrent/file-stamp.ts';
import { type FileLocation, FileStorage } from '../../../src/bittorrent/file-storage.ts';
import { sha256 } from '../../../src/bittorrent/merkle.ts';
import { SharedMemory } from '../../../src/bittorrent/shared-memory.ts';
import { SMALL_FILE } from '../../../src/bittorrent/small-files.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { useTempDir } from '../temp-dir.ts';

/** The real reads and writes, a turn later as from another thread, counted. */
class Batches implements FileBatcher {
  readonly memory = new SharedMemory();
  readonly sizes: number[] = [];

  async readParts(data: SharedArrayBuffer, parts: readonly FilePart[]) {
    this.sizes.push(parts.length);
    await new Promise(setImmediate);
    return readParts(data, parts);
  }

  async writeParts(data: SharedArrayBuffer, parts: readonly FilePart[]) {
    this.sizes.push(parts.length);
    await new Promise(setImmediate);
    return writeParts(data, parts);
  }
}

describe('FileStorage with many small files', () => {
  const temp = useTempDir();
  let dir: string;
  let batches: Batches;
  beforeEach(() => {
    dir = temp.path;
    batches = new Batches();
  });

  const COUNT = 1000;
  const content = (index: number): Buffer => Buffer.from(`content of ${index}. `.repeat(1 + (index % 400)));
  const staged = (index: number): FileLocation => ({
    kind: 'staged',
    path: join(dir, `folder ${index % 7}`, `${index}`),
    size: content(index).length,
  });
  const all = Array.from({ length: COUNT }, (_, index) => index);

  it('writes and reads them in a few batches', async () => {
    const storage = new FileStorage(staged, batches);
    await Promise.all(all.map((index) => storage.write(index, 0, content(index))));
    for (const index of all) assert.deepEqual(readFileSync(staged(index).path), content(index));
    const views = all.map((index) => Buffer.alloc(content(index).length));
    await Promise.all(views.map((view, index) => storage.read(index, 0, [view.subarray(0, 5), view.subarray(5)])));
    for (const [index, view] of views.entries()) assert.deepEqual(view, content(index));
    // Parts of files, too.
    const ends = all.map(() => Buffer.alloc(4));
    await Promise.all(ends.map((end, index) => storage.read(index, content(index).length - 4, [end])));
    for (const [index, end] of ends.entries()) assert.deepEqual(end, content(index).subarray(-4));
    assert.ok(batches.sizes.length < 80, `${batches.sizes.length} batches`);
    assert.equal(
      batches.sizes.reduce((sum, size) => sum + size, 0),
      3 * COUNT,
    );
    await storage.close();
    await assert.rejects(storage.write(0, 0, content(0)), { code: 'closed' });
  });

  it('writes what is right of files of one block, and says which are not', async () => {
    const storage = new FileStorage(staged, batches);
    const wrong = new Set([3, 500, 999]);
    const files = all.map((index) => {
      const data = content(index);
      if (wrong.has(index)) data[0]! ^= 1;
      return { fileIndex: index, data, root: sha256(content(index)) };
    });
    mkdirSync(staged(7).path, { recursive: true });
    const results = await storage.writeVerified(files);
    assert.equal(results.length, COUNT);
    for (const [index, result] of results.entries()) {
      if (index === 7) assert.ok(result instanceof PeerwireError);
      else assert.equal(result, wrong.has(index) ? 'wrong' : 'written');
      if (wrong.has(index)) assert.ok(!existsSync(staged(index).path));
      else if (index !== 7) assert.deepEqual(readFileSync(staged(index).path), content(index));
    }
    // What was made by it is known from then on, until it is written again.
    for (const index of all) {
      const made = index !== 7 && !wrong.has(index);
      const stamp = made ? stampOf(statSync(staged(index).path, { bigint: true })) : undefined;
      assert.equal(storage.stampOf(index), stamp);
      if (made && process.platform !== 'win32')
        assert.equal(statSync(staged(index).path).mode & 0o7777, 0o644 & ~process.umask());
    }
    await storage.write(8, 0, content(8));
    assert.equal(storage.stampOf(8), undefined);
    // What was there may have any mode.
    rmSync(staged(7).path, { recursive: true });
    const there = all
      .slice(9, 60)
      .map((index) => ({ fileIndex: index, data: content(index), root: sha256(content(index)) }));
    const again = new FileStorage(staged, batches);
    assert.ok((await again.writeVerified(there)).every((outcome) => outcome === 'written'));
    for (const { fileIndex } of there) if (!wrong.has(fileIndex)) assert.equal(again.stampOf(fileIndex), undefined);
    await again.close();
    assert.ok(batches.sizes.length > 0);
    // A few, without the other thread, and no thread at all.
    for (const other of [storage, new FileStorage(staged)]) {
      batches.sizes.length = 0;
      const root = sha256(content(3));
      assert.deepEqual(await other.writeVerified([{ fileIndex: 3, data: Buffer.from('wrong'), root }]), ['wrong']);
      assert.ok(!existsSync(staged(3).path));
      assert.deepEqual(await other.writeVerified([{ fileIndex: 3, data: content(3), root }]), ['written']);
      assert.deepEqual(readFileSync(staged(3).path), content(3));
      await other.close();
      rmSync(staged(3).path);
    }
    assert.deepEqual(batches.sizes, []);
  });

  it('handles few of them, and big ones, by itself', async () => {
    const size = SMALL_FILE + 1;
    const big = new FileStorage((index) => ({ kind: 'staged', path: join(dir, `${index}`), size }), batches);
    await Promise.all(all.slice(0, 20).map((index) => big.write(index, 0, Buffer.alloc(size, index))));
    await big.close();
    const few = new FileStorage(staged, batches);
    await Promise.all(all.slice(0, 3).map((index) => few.write(index, 0, content(index))));
    for (const index of [0, 1, 2]) assert.deepEqual(readFileSync(staged(index).path), content(index));
    await few.close();
    assert.deepEqual(batches.sizes, []);
  });

  it('tells which of them are not what was published, and reads the others', async () => {
    const locations = all.slice(0, 100).map((index): FileLocation => {
      const path = join(dir, `${index}`);
      writeFileSync(path, content(index));
      utimesSync(path, 1_000_000_000, 1_000_000_000);
      return { kind: 'published', path, stamp: stampOf(statSync(path, { bigint: true })) };
    });
    writeFileSync(join(dir, '10'), content(10));
    writeFileSync(join(dir, '20'), 'short');
    rmSync(join(dir, '30'));
    rmSync(join(dir, '40'));
    symlinkSync(join(dir, '41'), join(dir, '40'));
    const storage = new FileStorage((index) => locations[index]!, batches);
    const views = locations.map((_, index) => Buffer.alloc(content(index).length));
    const results = await Promise.allSettled(views.map((view, index) => storage.read(index, 0, [view])));
    for (const [index, result] of results.entries()) {
      if ([10, 20, 30, 40].includes(index)) assert.equal(result.status === 'rejected' && result.reason.code, 'stale');
      else assert.deepEqual(views[index], content(index));
    }
    assert.ok(batches.sizes.length > 0);
    await storage.close();
  });

  it('reads many whole ones at once, with as few batches as one by one', async () => {
    const storage = new FileStorage(staged, batches);
    await Promise.all(all.map((index) => storage.write(index, 0, content(index))));
    batches.sizes.length = 0;
    const memory = Buffer.alloc(all.reduce((sum, index) => sum + content(index).length, 0) + 1, 0xee);
    let at = 0;
    const reads = all.map((fileIndex) => {
      const view = memory.subarray(at, at + content(fileIndex).length);
      at += view.length;
      return { fileIndex, view };
    });
    await storage.readAll(reads);
    assert.deepEqual(memory, Buffer.concat([...all.map(content), Buffer.from([0xee])]));
    assert.ok(batches.sizes.length < 20, `${batches.sizes.length} batches`);
    // A few, without the other thread; and none.
    batches.sizes.length = 0;
    memory.fill(0);
    for (const other of [storage, new FileStorage(staged)]) {
      await other.readAll(reads.slice(10, 13));
      assert.deepEqual(reads[12]!.view, content(12));
      await other.readAll([]);
      await other.close();
      await assert.rejects(other.readAll(reads), { code: 'closed' });
    }
    assert.deepEqual(batches.sizes, []);
  });

  it('reads many whole ones straight into shared memory, unless one of them is open', async () => {
    const storage = new FileStorage(staged, batches);
    await Promise.all(all.map((index) => storage.write(index, 0, content(index))));
    const lent: unknown[] = [];
    const lending: FileBatcher = {
      memory: batches.memory,
      readParts: (data, parts) => {
        lent.push(data);
        return batches.readParts(data, parts);
      },
      writeParts: (data, parts) => batches.writeParts(data, parts),
    };
    const reading = new FileStorage(staged, lending);
    const { reads, memory } = sharedReads(all);
    for (const open of [false, true]) {
      if (open) await reading.writeBy(7, async () => {});
      memory.fill(0);
      lent.length = 0;
      await reading.readAll(reads);
      assert.deepEqual(memory, Buffer.concat(all.map(content)));
      assert.equal(lent.includes(memory.buffer), !open);
    }
    await storage.close();
    await reading.close();
  });

  function sharedReads(indexes: readonly number[]) {
    const size = indexes.reduce((sum, index) => sum + content(index).length, 0);
    const memory = Buffer.from(new SharedArrayBuffer(size));
    let at = 0;
    const reads = indexes.map((fileIndex) => {
      const view = memory.subarray(at, at + content(fileIndex).length);
      at += view.length;
      return { fileIndex, view };
    });
    return { reads, memory };
  }

  it('reads big ones among them, and those that are open', async () => {
    const size = (index: number): number => (index % 5 === 0 ? SMALL_FILE + 1 + index : 1 + index);
    const location = (index: number): FileLocation => ({
      kind: 'staged',
      path: join(dir, `${index}`),
      size: size(index),
    });
    const bytes = (index: number): Buffer => Buffer.alloc(size(index), index + 1);
    const storage = new FileStorage(location, batches);
    const some = all.slice(0, 40);
    for (const index of some) writeFileSync(location(index).path, bytes(index));
    await storage.writeBy(7, async () => {});
    const reads = some.map((fileIndex) => ({ fileIndex, view: Buffer.alloc(size(fileIndex)) }));
    await storage.readAll(reads);
    for (const { fileIndex, view } of reads) assert.deepEqual(view, bytes(fileIndex));
    assert.deepEqual(batches.sizes, [31]);
    await storage.close();
  });

  for (const [name, count, bad] of [
    ['many', 100, 60],
    ['many into shared memory', 100, 60],
    ['a few', 5, 2],
  ] as const) {
    for (const [what, spoil] of [
      ['changed', (path: string) => writeFileSync(path, content(bad))],
      ['became shorter', (path: string) => writeFileSync(path, '')],
      ['went', (path: string) => rmSync(path)],
      [
        'became a link',
        (path: string) => {
          rmSync(path);
          symlinkSync(join(dir, '0'), path);
        },
      ],
    ] as const) {
      it(`reading ${name} at once rejects when one ${what}, after the last was read`, async () => {
        const locations = all.slice(0, count).map((index): FileLocation => {
          const path = join(dir, `${index}`);
          writeFileSync(path, content(index));
          utimesSync(path, 1_000_000_000, 1_000_000_000);
          return { kind: 'published', path, stamp: stampOf(statSync(path, { bigint: true })) };
        });
        const storage = new FileStorage((index) => locations[index]!, batches);
        const reads =
          name === 'many into shared memory'
            ? sharedReads([...locations.keys()]).reads
            : locations.map((_, fileIndex) => ({ fileIndex, view: Buffer.alloc(content(fileIndex).length) }));
        await storage.readAll(reads);
        for (const { view } of reads) view.fill(0);
        spoil(join(dir, `${bad}`));
        await assert.rejects(storage.readAll(reads), { code: 'stale' });
        const last = reads.at(-1)!;
        assert.deepEqual(last.view, content(last.fileIndex));
        await storage.close();
      });
    }
  }

  it('fails reads that a lost thread was to do, once', async () => {
    const gone = {
      memory: new SharedMemory(),
      readParts: () => Promise.reject(new Error('gone')),
      writeParts: () => Promise.reject(new Error('gone')),
    };
    const storage = new FileStorage(staged, gone);
    const reads = all.map((fileIndex) => ({ fileIndex, view: Buffer.alloc(content(fileIndex).length) }));
    await assert.rejects(storage.readAll(reads), /gone/);
    await storage.close();
  });

  it('tells which of them cannot be written', async () => {
    mkdirSync(staged(7).path, { recursive: true });
    const target = join(dir, 'not ours');
    writeFileSync(target, 'as it was');
    symlinkSync(target, staged(14).path);
    const storage = new FileStorage(staged, batches);
    const results = await Promise.allSettled(all.map((index) => storage.write(index, 0, content(index))));
    const failed = all.filter((index) => results[index]?.status === 'rejected');
    assert.deepEqual(failed, [7, 14]);
    assert.equal(readFileSync(target, 'utf8'), 'as it was');
    await storage.close();
  });

  it('release and close wait for all that was asked for', async () => {
    const storage = new FileStorage(staged, batches);
    let written = 0;
    const write = (index: number): Promise<unknown> => storage.write(index, 0, content(index)).then(() => written++);
    const first = all.slice(0, 500).map(write);
    await storage.release(new Set([499]));
    assert.equal(written, 500);
    let read = false;
    const reads = all.slice(0, 500).map((fileIndex) => ({ fileIndex, view: Buffer.alloc(content(fileIndex).length) }));
    const reading = storage.readAll(reads).then(() => {
      read = true;
    });
    await storage.release(new Set([3]));
    await Promise.resolve();
    assert.ok(read);
    await reading;
    const rest = all.slice(500).map(write);
    await storage.close();
    assert.equal(written, COUNT);
    await Promise.all([...first, ...rest]);
  });

  it('fails what a lost thread was to do', async () => {
    const broken = {
      memory: new SharedMemory(),
      readParts: () => Promise.reject(new Error('gone')),
      writeParts: () => Promise.reject(new Error('gone')),
    };
    const storage = new FileStorage(staged, broken);
    const results = await Promise.allSettled(all.map((index) => storage.write(index, 0, content(index))));
    assert.ok(results.every((result) => result.status === 'rejected'));
    await storage.close();
  });
});
