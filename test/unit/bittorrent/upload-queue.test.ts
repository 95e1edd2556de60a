import assert from 'node:assert/strict';
import { contiguousOf, UploadQueue, type UploadRequest } from '../../../src/bittorrent/upload-queue.ts';

const BLOCK = 16_384;
const MiB = 1024 * 1024;

function block(piece: number, index: number, length = BLOCK): UploadRequest {
  return { piece, begin: index * BLOCK, length, pieces: 1 };
}

function run(piece: number, pieces: number, length: number): UploadRequest {
  return { piece, begin: 0, length, pieces };
}

describe('upload queue', () => {
  let queue: UploadQueue;
  beforeEach(() => {
    queue = new UploadQueue();
  });

  function push(piece: number, blocks: number): void {
    for (let index = 0; index < blocks; index++) queue.push(block(piece, index));
  }

  it('gives contiguous blocks, up to the limit', () => {
    push(1, 16);
    push(2, 16);
    assert.equal(queue.takeBatch(10 * BLOCK).length, 10);
    assert.equal(queue.length, 22);
  });

  it('joins short pieces', () => {
    for (let piece = 0; piece < 8; piece++) push(piece, 4);
    assert.equal(queue.takeBatch(20 * BLOCK).length, 12);
  });

  it('ends with a piece once there is enough for a batch', () => {
    push(1, 16);
    push(2, 16);
    assert.deepEqual(new Set(queue.takeBatch(24 * BLOCK).map(({ piece }) => piece)), new Set([1]));
    assert.equal(queue.length, 16);
  });

  it('gives one request, however little the limit', () => {
    push(1, 2);
    assert.deepEqual(queue.takeBatch(1), [block(1, 0)]);
  });

  it('reads each run of contiguous blocks at once', () => {
    for (let piece = 0; piece < 3; piece++) queue.push(block(piece, 0, 1000));
    const batch = queue.takeBatch(MiB);
    assert.equal(batch.length, 3);
    assert.deepEqual(contiguousOf(batch).length, 3);
  });

  it('leaves what may not be served where it is', () => {
    push(1, 4);
    push(2, 4);
    push(3, 4);
    assert.deepEqual(
      queue.takeBatch(2 * BLOCK, (piece) => piece === 2),
      [block(2, 0), block(2, 1)],
    );
    assert.deepEqual(
      queue.takeBatch(MiB, () => false),
      [],
    );
    assert.equal(queue.length, 10);
    assert.deepEqual(queue.takeBatch(BLOCK), [block(1, 0)]);
    assert.equal(queue.takeBatch(MiB, (piece) => piece === 2).length, 2);
    assert.equal(queue.hasPiece(2), false);
  });

  it('takes runs with blocks, and keeps apart what goes on where a run ends', () => {
    const requests = [run(1, 3, BLOCK), block(1, 1), block(1, 2), run(5, 2, 700)];
    for (const request of requests) queue.push(request);
    const batch = queue.takeBatch(MiB);
    assert.deepEqual(batch, requests);
    assert.deepEqual(contiguousOf(batch), [[requests[0]], [requests[1], requests[2]], [requests[3]]]);
  });

  it('opens no more than 128 files of runs for a batch, or for one run', () => {
    for (let index = 0; index < 5; index++) queue.push(run(index * 50, 50, 50));
    queue.push(run(250, 128, 128));
    assert.deepEqual(
      [queue.takeBatch(MiB), queue.takeBatch(MiB), queue.takeBatch(MiB), queue.takeBatch(MiB)].map((batch) =>
        batch.map(({ pieces }) => pieces),
      ),
      [[50, 50], [50, 50], [50], [128]],
    );
  });

  it('knows all pieces of a run, and takes runs out', () => {
    queue.push(run(4, 3, 900));
    queue.push(block(5, 0));
    queue.push(run(8, 2, 900));
    assert.deepEqual(
      [3, 4, 6, 7, 8, 9, 10].filter((piece) => queue.hasPiece(piece)),
      [4, 6, 8, 9],
    );
    assert.deepEqual(queue.removePiece(5), [run(4, 3, 900), block(5, 0)]);
    assert.deepEqual(queue.removePiece(5), []);
    queue.push(block(1, 0));
    assert.deepEqual(queue.removeRuns(), [run(8, 2, 900)]);
    assert.deepEqual(queue.clear(), [block(1, 0)]);
  });

  it('forgets a cancelled request, and those of a piece', () => {
    push(1, 2);
    push(2, 2);
    assert.equal(queue.cancel(block(1, 1)), true);
    assert.equal(queue.cancel(block(1, 1)), false);
    assert.deepEqual(queue.removePiece(2), [block(2, 0), block(2, 1)]);
    assert.deepEqual(queue.clear(), [block(1, 0)]);
    assert.equal(queue.length, 0);
  });
});
