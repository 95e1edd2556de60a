import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PieceCache } from '../../../../src/peer/reads/piece-cache.ts';
import { useTempDir } from '../../temp-dir.ts';

const SIZE = 1000;

describe('the cache of read pieces', () => {
  const temp = useTempDir();
  let dir: string;
  let cache: PieceCache;

  beforeEach(async () => {
    dir = path.join(temp.path, 'cache');
    cache = new PieceCache({ dir, capacity: 3 * SIZE });
  });
  afterEach(() => cache.close());

  const bytes = (piece: number): Uint8Array => new Uint8Array(SIZE).fill(piece);
  const write = (piece: number, version = 'v'): Promise<void> => cache.write(version, piece, bytes(piece));
  async function read(piece: number, version = 'v'): Promise<Uint8Array> {
    const data = new Uint8Array(SIZE);
    await cache.read(version, piece, 0, [data.subarray(0, 10), data.subarray(10)]);
    return data;
  }
  /** Resolves when the cache has done its work; then the folder holds so many whole pieces. */
  async function written(count: number, of = cache): Promise<void> {
    await of.flush();
    const sizes = readdirSync(dir).map((name) => statSync(path.join(dir, name)).size);
    assert.deepEqual(
      sizes,
      Array.from({ length: count }, () => SIZE),
    );
  }

  it('gives back what it got, from memory and from disk', async () => {
    await write(7);
    assert.deepEqual(await read(7), bytes(7));
    await written(1);
    assert.deepEqual(await read(7), bytes(7));
    const part = new Uint8Array(5);
    await cache.read('v', 7, SIZE - 5, [part]);
    assert.deepEqual(part, bytes(7).subarray(0, 5));
    assert.ok(!cache.has('w', 7));
    assert.ok(!cache.has('v', 8));
  });

  it('keeps a copy: memory of pieces is used again', async () => {
    const data = Buffer.from(bytes(1));
    await cache.write('v', 1, data);
    data.fill(99);
    assert.deepEqual(await read(1), bytes(1));
    await written(1);
    assert.deepEqual(await read(1), bytes(1));
  });

  it('lets the least recently used go when it is full', async () => {
    const evicted: number[] = [];
    cache.onEvicted(({ piece }) => evicted.push(piece));
    for (const piece of [1, 2, 3]) await write(piece);
    await read(1);
    await write(4);
    assert.deepEqual(evicted, [2]);
    assert.equal(cache.size, 3 * SIZE);
    assert.deepEqual(cache.pieces('v').sort(), [1, 3, 4]);
    await assert.rejects(read(2), { code: 'not-found' });
    await written(3);
    await write(2);
    assert.deepEqual(evicted, [2, 3]);
    assert.deepEqual(await read(2), bytes(2));
    await written(3);
  });

  it('counts a piece that is written twice once', async () => {
    await Promise.all([write(1), write(1)]);
    assert.equal(cache.size, SIZE);
    await written(1);
  });

  it('forgets a version, or some of its pieces, and no other', async () => {
    await write(1);
    await write(2);
    await write(1, 'w');
    cache.forget('v', (piece) => piece === 2);
    assert.deepEqual([cache.pieces('v'), cache.pieces('w')], [[1], [1]]);
    cache.forget('v');
    assert.deepEqual([cache.pieces('v'), cache.pieces('w')], [[], [1]]);
    await written(1);
  });

  it('does not hand out what somebody else shortened or removed', async () => {
    const evicted: number[] = [];
    cache.onEvicted(({ piece }) => evicted.push(piece));
    await write(1);
    await written(1);
    const [first = ''] = readdirSync(dir);
    truncateSync(path.join(dir, first), SIZE - 1);
    await assert.rejects(read(1), { code: 'not-found' });
    await write(2);
    await written(1);
    rmSync(path.join(dir, readdirSync(dir)[0]!));
    await assert.rejects(read(2), { code: 'not-found' });
    assert.deepEqual(evicted, [1, 2]);
    assert.equal(cache.size, 0);
    await write(1);
    assert.deepEqual(await read(1), bytes(1));
  });

  it('begins empty, whatever a killed peer left, and leaves nothing', async () => {
    await write(1);
    await written(1);
    writeFileSync(path.join(dir, 'junk'), 'left');
    const next = new PieceCache({ dir, capacity: 3 * SIZE });
    await next.write('v', 5, bytes(5));
    await written(1, next);
    assert.deepEqual(next.pieces('v'), [5]);
    await next.close();
    assert.ok(!existsSync(dir));
    await assert.rejects(next.write('v', 6, bytes(6)), { code: 'closed' });
  });

  it('says what keeps it from writing', async () => {
    const blocked = temp.file('a-file');
    const broken = new PieceCache({ dir: path.join(blocked, 'cache'), capacity: 3 * SIZE });
    const gone = new Promise((resolve) => broken.onEvicted(resolve));
    // The first is taken, because nobody waits for the disk.
    await broken.write('v', 1, bytes(1));
    await gone;
    await assert.rejects(broken.write('v', 2, bytes(2)), { code: 'io' });
    assert.equal(broken.size, 0);
    await broken.close().catch(() => undefined);
  });
});
