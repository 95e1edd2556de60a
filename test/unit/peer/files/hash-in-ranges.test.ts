import assert from 'node:assert/strict';
import type { FileStamp } from '../../../../src/bittorrent/file-stamp.ts';
import { pieceLayerRoot } from '../../../../src/bittorrent/merkle.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { hashInRanges, hashPiecesInRanges } from '../../../../src/peer/files/hash-in-ranges.ts';
import type { RangeResult, RangeTask } from '../../../../src/peer/files/hash-range.ts';

const MiB = 1 << 20;
const STAMP = 'as it was' as FileStamp;

/** Stands for the hashes of a range: 32 bytes that tell which it is. */
function hashOf({ path, start }: Pick<RangeTask, 'path' | 'start'>): Buffer {
  return Buffer.alloc(32, `${path}@${start}`);
}

describe('hashing in ranges', () => {
  let messages: (readonly RangeTask[])[];
  let answer: (range: RangeTask) => RangeResult;

  beforeEach(() => {
    messages = [];
    answer = (range) => ({ ok: true, hashes: hashOf(range), stamp: STAMP, settled: true });
  });

  const hashRanges = async (ranges: readonly RangeTask[]): Promise<RangeResult[]> => {
    messages.push(ranges);
    return ranges.map(answer);
  };

  it('cuts big files where pieces begin and puts them together in order', async () => {
    const [file] = await hashInRanges([{ path: 'big', size: 70 * MiB }], { pieceLength: MiB }, hashRanges);
    assert.deepEqual(
      messages.map((ranges) => ranges.map(({ start, length }) => [start / MiB, length / MiB])),
      [[[0, 32]], [[32, 32]], [[64, 6]]],
    );
    assert.ok(file && !(file instanceof PeerwireError));
    const layer = Buffer.concat([0, 32, 64].map((start) => hashOf({ path: 'big', start: start * MiB })));
    assert.deepEqual(file.pieceLayer, layer);
    assert.deepEqual(file.root, pieceLayerRoot(layer, MiB));
  });

  it('never cuts a piece', async () => {
    await hashInRanges([{ path: 'big', size: 100 * MiB }], { pieceLength: 64 * MiB }, hashRanges);
    assert.deepEqual(
      messages.flat().map(({ start }) => start / MiB),
      [0, 64],
    );
  });

  it('sends small files together, by number and by size, and answers in order', async () => {
    const tiny = Array.from({ length: 300 }, (_, index) => ({ path: `tiny-${index}`, size: 1 }));
    const middle = Array.from({ length: 5 }, (_, index) => ({ path: `middle-${index}`, size: 2 * MiB }));
    const files = [...tiny, { path: 'big', size: 33 * MiB }, ...middle];
    const results = await hashInRanges(files, { pieceLength: 64 * MiB }, hashRanges);
    assert.deepEqual(
      messages.map((ranges) => ranges.length),
      [256, 45, 2, 2, 1],
    );
    for (const [index, result] of results.entries()) {
      assert.ok(!(result instanceof PeerwireError));
      assert.deepEqual(result.root, hashOf({ path: files[index]!.path, start: 0 }));
    }
  });

  it('tells every byte of progress once', async () => {
    let done = 0;
    const files = [70 * MiB, 5, 0, 3 * MiB].map((size, index) => ({ path: `${index}`, size }));
    await hashInRanges(files, { pieceLength: MiB, onProgress: (bytes) => (done += bytes) }, hashRanges);
    assert.equal(done, 73 * MiB + 5);
  });

  it('is settled only if each part is', async () => {
    answer = (range) => ({ ok: true, hashes: hashOf(range), stamp: STAMP, settled: range.start === 0 });
    const files = [33 * MiB, 5].map((size, index) => ({ path: `${index}`, size }));
    const results = await hashInRanges(files, { pieceLength: MiB }, hashRanges);
    assert.deepEqual(
      results.map((result) => !(result instanceof PeerwireError) && result.settled),
      [false, true],
    );
  });

  const changes: [string, (range: RangeTask) => RangeResult][] = [
    [
      'looked otherwise when another part of it was read',
      (range) => ({ ok: true, hashes: hashOf(range), stamp: `at ${range.start}` as FileStamp, settled: true }),
    ],
    ['cannot be read', () => ({ ok: false, code: 'stale', message: 'It changed.' })],
  ];
  for (const [name, change] of changes) {
    it(`a file that ${name} fails alone`, async () => {
      answer = (range) =>
        range.path === 'bad' ? change(range) : { ok: true, hashes: hashOf(range), stamp: STAMP, settled: true };
      const files = ['good', 'bad'].map((path) => ({ path, size: 33 * MiB }));
      const [good, bad] = await hashInRanges(files, { pieceLength: MiB }, hashRanges);
      assert.ok(good && !(good instanceof PeerwireError));
      assert.ok(bad instanceof PeerwireError);
      assert.equal(bad.code, 'stale');
    });
  }

  it('a file that does not look as it must fails', async () => {
    const files = [{ path: 'file', size: 5, stamp: 'as it is to be' as FileStamp }];
    const [result] = await hashInRanges(files, { pieceLength: MiB }, hashRanges);
    assert.ok(result instanceof PeerwireError);
    assert.equal(result.code, 'stale');
  });

  it('answers ranges of pieces in order, sent together up to 4 MiB, with an error for each that fails', async () => {
    answer = (range) =>
      range.path === '2'
        ? { ok: false, code: 'not-found', message: 'It is gone.' }
        : { ok: true, hashes: hashOf(range), stamp: STAMP, settled: true };
    const ranges = [3, 1, 1, 32, 1].map((length, index) => ({
      path: `${index}`,
      size: 40 * MiB,
      fullSize: 40 * MiB,
      start: MiB,
      length: length * MiB,
    }));
    let done = 0;
    const options = { pieceLength: MiB, onProgress: (bytes: number) => (done += bytes) };
    const results = await hashPiecesInRanges(ranges, options, hashRanges);
    assert.deepEqual(
      messages.map((message) => message.length),
      [2, 1, 1, 1],
    );
    assert.equal(done, 38 * MiB);
    for (const [index, result] of results.entries()) {
      if (index !== 2) assert.deepEqual(result, hashOf(ranges[index]!));
      else assert.ok(result instanceof PeerwireError && result.code === 'not-found');
    }
  });
});
