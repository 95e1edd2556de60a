import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  openSync,
  read,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { readStamp, timeUntilSettled } from '../../../../src/bittorrent/file-stamp.ts';
import { blockCount, pieceRoot } from '../../../../src/bittorrent/merkle.ts';
import type { Clock } from '../../../../src/common/clock.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { leafHashes, PieceHasher } from '../../../../src/peer/files/block-hashes.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { hashFile } from './hash-file.ts';
import { HASH_WORKER } from './hash-worker-path.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

const sha = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** BEP 52 written down once more, slowly: root of a tree over `nodes`, filled up with `pad` to `width`. */
function slowRoot(nodes: readonly Buffer[], width: number, pad: Buffer): Buffer {
  let level = [...nodes, ...Array.from({ length: width - nodes.length }, () => pad)];
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let index = 0; index < level.length; index += 2) above.push(sha(level[index]!, level[index + 1]!));
    level = above;
  }
  return level[0]!;
}

const powerOfTwo = (count: number): number => 2 ** Math.ceil(Math.log2(count));

function slowHash(data: Buffer, pieceLength: number): { root: Buffer | undefined; pieceLayer: Buffer } {
  const leaves: Buffer[] = [];
  for (let at = 0; at < data.length; at += 16 * KIB) leaves.push(sha(data.subarray(at, at + 16 * KIB)));
  const zero = Buffer.alloc(32);
  if (leaves.length === 0) return { root: undefined, pieceLayer: Buffer.alloc(0) };
  if (data.length <= pieceLength) {
    return { root: slowRoot(leaves, powerOfTwo(leaves.length), zero), pieceLayer: Buffer.alloc(0) };
  }
  const perPiece = pieceLength / (16 * KIB);
  const pieces: Buffer[] = [];
  for (let at = 0; at < leaves.length; at += perPiece)
    pieces.push(slowRoot(leaves.slice(at, at + perPiece), perPiece, zero));
  const pad = slowRoot([], perPiece, zero);
  return { root: slowRoot(pieces, powerOfTwo(pieces.length), pad), pieceLayer: Buffer.concat(pieces) };
}

/** Bytes in which no two blocks are alike. */
function bytes(length: number): Buffer {
  const data = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 1024) data.writeUInt32LE(at + 1, at);
  return data;
}

/** A clock on which timers run when told. */
class ManualClock implements Clock {
  #timers = new Map<number, { at: number; callback: () => void }>();
  #now = 0;
  #last = 0;

  now = (): number => this.#now;
  wallTime = (): number => this.#now;

  setTimeout = (callback: () => void, delay: number) => {
    const id = ++this.#last;
    this.#timers.set(id, { at: this.#now + delay, callback });
    return { dispose: () => void this.#timers.delete(id) };
  };

  setInterval = (): never => {
    throw new Error('unused');
  };

  advance(time: number): void {
    this.#now += time;
    for (const [id, { at, callback }] of [...this.#timers]) {
      if (at > this.#now) continue;
      this.#timers.delete(id);
      callback();
    }
  }
}

describe('block hashes', () => {
  it('hashes each block, the last one short', () => {
    const data = bytes(40 * KIB + 5);
    const expected = [sha(data.subarray(0, 16384)), sha(data.subarray(16384, 32768)), sha(data.subarray(32768))];
    assert.deepEqual(leafHashes(data), Buffer.concat(expected));
    assert.equal(leafHashes(Buffer.alloc(0)).length, 0);
  });

  it('makes piece hashes for any size and piece length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 * 16 * KIB }), fc.integer({ min: 0, max: 4 }), (size, exponent) => {
        const pieceLength = 16 * KIB * 2 ** exponent;
        const data = bytes(size);
        const hasher = new PieceHasher(pieceLength);
        for (let at = 0; at < size; at += 16 * KIB) hasher.addBlock(data.subarray(at, at + 16 * KIB));
        const { root, pieceLayer } = slowHash(data, pieceLength);
        assert.deepEqual(hasher.finish(size), size <= pieceLength ? root : pieceLayer);
      }),
      { numRuns: 40 },
    );
  });
});

describe('HashPool', () => {
  const temp = useTempDir();
  const pool = new HashPool({ workerUrl: HASH_WORKER, size: 2 });
  after(() => pool.dispose());

  it('waits, if told to, until any later change shows in the stamp', async () => {
    const path = temp.file('fresh', 'a');
    for (let attempt = 0; attempt < 30; attempt++) {
      writeFileSync(path, 'a');
      const { stamp, settled } = await hashFile(pool, { path, size: 1 }, { pieceLength: 16 * KIB, settle: true });
      assert.ok(settled);
      assert.equal(timeUntilSettled(await stat(path, { bigint: true }), Date.now()), 0);
      writeFileSync(path, 'b');
      assert.notEqual(await readStamp(path), stamp, 'a change in the same tick of the clock went unseen');
    }
    writeFileSync(path, 'c');
    assert.equal((await hashFile(pool, { path, size: 1 }, { pieceLength: 16 * KIB })).settled, false);
  });

  for (const size of [0, 1, 16 * KIB, 16 * KIB + 1, 64 * KIB, 64 * KIB + 1, 3 * 64 * KIB, MIB, MIB + 1, 5 * MIB + 77]) {
    it(`hashes a file of ${size} bytes`, async () => {
      const data = bytes(size);
      const path = temp.file('f', data);
      const { stamp, settled, ...hash } = await hashFile(pool, { path, size }, { pieceLength: 64 * KIB });
      assert.deepEqual(hash, { ...slowHash(data, 64 * KIB), size });
      assert.equal(stamp, await readStamp(path));
      assert.equal(typeof settled, 'boolean');
    });
  }

  it('splits a big file over its workers, with the same result and the progress of every byte', async () => {
    const data = bytes(50 * MIB + 3);
    const path = temp.file('big', data);
    let done = 0;
    const options = { pieceLength: MIB, onProgress: (count: number) => (done += count) };
    const { root, pieceLayer } = await hashFile(pool, { path, size: data.length }, options);
    assert.deepEqual({ root, pieceLayer }, slowHash(data, MIB));
    assert.equal(done, data.length);
    assert.equal(pool.workers, 2);
  });

  it('answers many files in order, with an error for each that fails', async () => {
    const files: { path: string; size: number }[] = [];
    for (let index = 0; index < 300; index++)
      files.push({ path: temp.file(`many/${index}`, `${index}`), size: `${index}`.length });
    files[7] = { path: join(temp.path, 'gone'), size: 5 };
    files[150] = { path: temp.path, size: 0 };
    symlinkSync(join(temp.path, 'many/1'), join(temp.path, 'link'));
    files[200] = { path: join(temp.path, 'link'), size: 1 };
    files[250] = { path: temp.file('shrunk', 'xy'), size: 3 };
    const results = await pool.hashFiles(files, { pieceLength: 64 * KIB });
    assert.equal(results.length, 300);
    const codes = { 7: 'not-found', 150: 'unsupported', 200: 'unsupported', 250: 'stale' };
    for (const [index, result] of results.entries()) {
      if (index in codes) {
        assert.ok(result instanceof PeerwireError);
        assert.equal(result.code, codes[index as keyof typeof codes]);
        assert.match(result.message, /^[^\n]+\.$/);
      } else assert.deepEqual(!(result instanceof PeerwireError) && result.root, sha(Buffer.from(`${index}`)));
    }
  });

  it('tells a file that grows, shrinks or is touched while it is read from one at rest', async () => {
    // More ranges than are under way when the first is done.
    const size = 256 * MIB;
    const changes: ((path: string) => void)[] = [
      (path) => appendFileSync(path, 'x'),
      (path) => truncateSync(path, size - 1),
      (path) => utimesSync(path, 1, 1),
    ];
    for (const [index, change] of changes.entries()) {
      const path = temp.file(`changing-${index}`, '');
      truncateSync(path, size);
      let changed = false;
      const onProgress = (): void => {
        if (!changed) change(path);
        changed = true;
      };
      await assert.rejects(hashFile(pool, { path, size }, { pieceLength: MIB, onProgress }), { code: 'stale' });
    }
  });

  it('hashes pieces in shared memory, in parallel, from any offset', async () => {
    const shared = new SharedArrayBuffer(3 * MIB);
    const data = Buffer.from(shared);
    bytes(3 * MIB).copy(data);
    const ranges = [
      [0, MIB],
      [MIB, 2 * MIB],
      [5, 40_000],
      [0, 1],
      [MIB, 64 * KIB],
    ] as const;
    const leaves = await Promise.all(ranges.map(([offset, length]) => pool.hashBlocks(shared, offset, length)));
    for (const [index, [offset, length]] of ranges.entries()) {
      const part = Buffer.from(data.subarray(offset, offset + length));
      assert.deepEqual(leaves[index], leafHashes(part));
      assert.deepEqual(pool.hashBlocksSync(new Uint8Array(shared, offset, length)), leafHashes(part));
    }
  });

  it('writes a piece where it belongs when it is right, and only then', async () => {
    const length = MIB + 5;
    const data = new SharedArrayBuffer(2 * MIB);
    const offset = 16_384;
    bytes(length).copy(Buffer.from(data), offset);
    const leaves = leafHashes(Buffer.from(data, offset, length));
    const expected = pieceRoot(leaves, 4 * MIB, blockCount(length));
    const path = temp.file('target', '12345');
    const descriptor = openSync(path, 'r+');
    try {
      const piece = {
        data,
        offset,
        length,
        expected,
        pieceLength: 4 * MIB,
        fileLength: length,
        descriptor,
        position: 3,
      };
      assert.equal(await pool.writeIfRight(piece), undefined);
      assert.deepEqual(readFileSync(path), Buffer.concat([Buffer.from('123'), bytes(length)]));
      Buffer.from(data)[offset + MIB]! ^= 1;
      const wrong = await pool.writeIfRight({ ...piece, position: 0 });
      assert.deepEqual(wrong, leafHashes(Buffer.from(data, offset, length)));
      assert.deepEqual(readFileSync(path), Buffer.concat([Buffer.from('123'), bytes(length)]));
    } finally {
      closeSync(descriptor);
    }
  });

  it('leaves holes for pieces of zeros, and writes zeros over anything else', async function () {
    if (process.platform === 'win32') this.skip();
    const pieces = [1, 0, 2, 0, 0];
    const fileLength = 4 * MIB + 5;
    const content = pieces.map((kind) => Buffer.alloc(MIB, kind));
    const whole = Buffer.concat(content).subarray(0, fileLength);
    const put = async (path: string, order: readonly number[]): Promise<void> => {
      const descriptor = openSync(path, 'r+');
      const writePiece = async (index: number): Promise<void> => {
        const data = new SharedArrayBuffer(MIB);
        const part = whole.subarray(index * MIB, (index + 1) * MIB);
        part.copy(Buffer.from(data));
        const expected = pieceRoot(leafHashes(part), MIB, blockCount(fileLength));
        const { length } = part;
        const piece = {
          data,
          offset: 0,
          length,
          expected,
          pieceLength: MIB,
          fileLength,
          descriptor,
          position: index * MIB,
        };
        assert.equal(await pool.writeIfRight(piece), undefined);
      };
      // At once, so that several threads write the file.
      await Promise.all(order.map(writePiece));
      closeSync(descriptor);
      assert.ok(readFileSync(path).equals(whole));
    };
    for (const [round, order] of [
      [0, 1, 2, 3, 4],
      [4, 3, 2, 1, 0],
      [1, 4, 0, 3, 2],
    ].entries()) {
      const fresh = temp.file(`fresh-${round}`, '');
      await put(fresh, order);
      // In units of 512 bytes: two pieces, and what the file system needs beside them.
      assert.ok(statSync(fresh).blocks * 512 < 2.5 * MIB, `${statSync(fresh).blocks} blocks`);
      await put(temp.file(`stale-${round}`, bytes(3 * MIB + 7)), order);
      const longest = bytes(fileLength);
      longest.fill(0, MIB, 2 * MIB - 1);
      await put(temp.file(`nearly-${round}`, longest), order);
    }
  });

  it('says why a piece could not be written', async () => {
    const data = new SharedArrayBuffer(MIB);
    const expected = pieceRoot(leafHashes(Buffer.from(data)), MIB, 64);
    const piece = { data, offset: 0, length: MIB, expected, pieceLength: MIB, fileLength: MIB, position: 0 };
    const readOnly = openSync(temp.file('target', ''), 'r');
    await assert.rejects(pool.writeIfRight({ ...piece, descriptor: readOnly }), { code: 'io', message: /EBADF/ });
    closeSync(readOnly);
    if (process.platform !== 'linux') return;
    const full = openSync('/dev/full', 'w');
    await assert.rejects(pool.writeIfRight({ ...piece, descriptor: full }), { code: 'disk-full', message: /ENOSPC/ });
    closeSync(full);
  });

  it('lets pieces pass the files that wait', async () => {
    // While no worker is up, a piece would be hashed on this thread.
    await hashFile(pool, { path: temp.file('small', bytes(300 * KIB)), size: 300 * KIB }, { pieceLength: MIB });
    assert.ok(pool.workers > 0);
    const [path, size] = [temp.file('big', ''), 512 * MIB];
    truncateSync(path, size);
    const abort = new AbortController();
    let done = 0;
    const onProgress = (more: number): void => {
      done += more;
    };
    const file = hashFile(pool, { path, size }, { pieceLength: MIB, onProgress, signal: abort.signal });
    const stopped = assert.rejects(file, { code: 'cancelled' });
    await pool.hashBlocks(new SharedArrayBuffer(MIB), 0, MIB);
    abort.abort();
    assert.ok(done < size / 2, `${done} bytes of the file came first`);
    await stopped;
  });

  it('stops when it is cancelled, before, while and between', async () => {
    const path = temp.file('big', '');
    truncateSync(path, 1024 * MIB);
    const abort = new AbortController();
    const hashing = hashFile(
      pool,
      { path, size: 1024 * MIB },
      { pieceLength: MIB, signal: abort.signal, onProgress: () => abort.abort() },
    );
    await assert.rejects(hashing, { code: 'cancelled' });
    await assert.rejects(hashFile(pool, { path, size: 1 }, { pieceLength: MIB, signal: abort.signal }), {
      code: 'cancelled',
    });
    // The workers are free for others.
    assert.ok((await hashFile(pool, { path: temp.file('x', 'x'), size: 1 }, { pieceLength: MIB })).root);
  });

  it('starts no worker before there is work for one, and ends them after 30 s without', async () => {
    const clock = new ManualClock();
    const lazy = new HashPool({ workerUrl: HASH_WORKER, size: 2, clock });
    const hash = (size: number) => hashFile(lazy, { path: temp.file('x', bytes(size)), size }, { pieceLength: MIB });
    assert.deepEqual((await hash(256 * KIB)).root, slowHash(bytes(256 * KIB), MIB).root);
    assert.equal(lazy.workers, 0);
    await hash(300 * KIB);
    assert.equal(lazy.workers, 1);
    clock.advance(29_000);
    await hash(300 * KIB);
    clock.advance(29_000);
    assert.equal(lazy.workers, 1);
    clock.advance(1000);
    assert.equal(lazy.workers, 0);
    assert.ok((await hash(300 * KIB)).root);
    lazy.dispose();
    await assert.rejects(hash(1), { code: 'closed' });
  });

  it('hashes a few pieces itself, rather than have them wait for a worker to start', async () => {
    const lazy = new HashPool({ workerUrl: HASH_WORKER, size: 2 });
    const data = new SharedArrayBuffer(4 * MIB);
    const leaves = lazy.hashBlocksSync(new Uint8Array(data));
    for (let piece = 0; piece < 2; piece++) assert.deepEqual(await lazy.hashBlocks(data, 0, 4 * MIB), leaves);
    assert.equal(lazy.workers, 0);
    // More of them are a download: a worker is on its way, and nobody waits for it.
    assert.deepEqual(await lazy.hashBlocks(data, 0, 4 * MIB), leaves);
    assert.equal(lazy.workers, 1);
    lazy.dispose();
  });

  it('writes and reads small files in a worker', async () => {
    const paths = ['a', 'b', 'c'].map((name) => join(temp.path, 'made', name));
    const part = (path: string, at: number) => ({
      ...{ path, offset: 0, length: 100, at: at * 100 },
      ...{ stamp: undefined, hash: undefined },
    });
    const data = new SharedArrayBuffer(1000);
    Buffer.from(data).fill('x');
    assert.deepEqual((await pool.writeParts(data, paths.map(part))).failures, []);
    const back = new SharedArrayBuffer(1000);
    const { failures } = await pool.readParts(back, [...paths, join(temp.path, 'nothing')].map(part));
    assert.deepEqual(
      failures.map(({ position, code }) => [position, code]),
      [[3, 'not-found']],
    );
    assert.equal(Buffer.from(back).toString('latin1'), 'x'.repeat(300) + '\0'.repeat(700));
  });

  it('rejects what is under way, and all later work, once disposed', async () => {
    const path = temp.file('big', '');
    truncateSync(path, 256 * MIB);
    const ended = new HashPool({ workerUrl: HASH_WORKER, size: 2 });
    const file = hashFile(ended, { path, size: 256 * MIB }, { pieceLength: MIB });
    // So large that it goes to a worker even when none is up.
    const blocks = ended.hashBlocks(new SharedArrayBuffer(8 * MIB), 0, 8 * MIB);
    const settled = Promise.allSettled([file, blocks]);
    ended.dispose();
    ended.dispose();
    for (const result of await settled) assert.equal(result.status === 'rejected' && result.reason.code, 'closed');
    await assert.rejects(ended.hashBlocks(new SharedArrayBuffer(MIB), 0, MIB), { code: 'closed' });
    assert.equal(ended.workers, 0);
  });

  it('once disposed, gives back what it was lent only when nothing writes to it any more', async function () {
    if (process.platform === 'win32') this.skip();
    const writer = pathToFileURL(
      temp.file(
        'writer.mjs',
        `import { writeSync } from 'node:fs';
      import { parentPort } from 'node:worker_threads';
      parentPort.on('message', ({ descriptor }) => writeSync(descriptor, Buffer.alloc(${MIB})));`,
      ),
    );
    const pipe = join(temp.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const descriptor = openSync(pipe, 'r+');
    const readSome = promisify(read);
    const ended = new HashPool({ workerUrl: writer, size: 1 });
    const data = new SharedArrayBuffer(MIB);
    const piece = { data, offset: 0, length: MIB, expected: Buffer.alloc(32), pieceLength: MIB };
    let settled = false;
    const writing = ended.writeIfRight({ ...piece, fileLength: MIB, descriptor, position: 0 });
    const rejected = assert.rejects(writing, { code: 'closed' }).finally(() => {
      settled = true;
    });
    // The worker is within the call, which only reading lets go on.
    let { bytesRead: got } = await readSome(descriptor, Buffer.alloc(1), 0, 1, null);
    ended.dispose();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(settled, false, 'the descriptor may be closed and reused by now');
    while (got < MIB) got += (await readSome(descriptor, Buffer.alloc(MIB), 0, MIB, null)).bytesRead;
    await rejected;
    closeSync(descriptor);
  });

  it('survives the death of a worker: its work fails, later work goes on', async () => {
    const killer = pathToFileURL(
      temp.file(
        'worker.mjs',
        `import { parentPort } from 'node:worker_threads';
      parentPort.on('message', () => { throw new Error('dies'); });`,
      ),
    );
    const dying = new HashPool({ workerUrl: killer, size: 1 });
    const files = Array.from({ length: 5 }, () => ({ path: temp.file('x'), size: 20 * MIB }));
    await assert.rejects(dying.hashFiles(files, { pieceLength: MIB }), { code: 'internal' });
    await assert.rejects(dying.hashBlocks(new SharedArrayBuffer(8 * MIB), 0, 8 * MIB), { code: 'internal' });
    dying.dispose();
  });
});
