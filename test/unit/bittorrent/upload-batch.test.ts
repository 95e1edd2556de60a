import assert from 'node:assert/strict';
import { readBatch, uploadCost } from '../../../src/bittorrent/upload-batch.ts';
import type { UploadRequest } from '../../../src/bittorrent/upload-queue.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { MemoryStorage } from '../../sim/memory-storage.ts';
import { seededRandom } from '../../sim/seeded-random.ts';
import { makeVersion } from '../../sim/test-version.ts';

const BLOCK = 16_384;
const PIECE = 4 * BLOCK;
const HEADER = 13;
/** Two pieces, of which the second ends in a part of a block; then an empty file between two small ones. */
const { info, files } = makeVersion([PIECE + BLOCK + 100, 5, 0, 7], PIECE, seededRandom(1));
const [large, five, , seven] = files as [Buffer, Buffer, Buffer, Buffer];

/** Counts the reads that it takes. */
class CountingStorage extends MemoryStorage {
  reads = 0;
  override async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    this.reads++;
    await super.read(fileIndex, offset, views);
  }
}

const block = (piece: number, begin: number, length = BLOCK): UploadRequest => ({ piece, begin, length, pieces: 1 });
const run = (piece: number, pieces: number, length: number): UploadRequest => ({ piece, begin: 0, length, pieces });

async function read(batch: readonly UploadRequest[], storage = new CountingStorage(info, files)): Promise<Buffer> {
  // As full of other bytes as memory that is used again.
  const buffer = Buffer.alloc(
    batch.reduce((sum, { length }) => sum + HEADER + length, 0),
    0xee,
  );
  await readBatch(info, storage, batch, buffer);
  return buffer;
}

/** BEP 3: length, `piece`, index, begin, content. */
function message(piece: number, begin: number, content: Buffer): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32BE(9 + content.length, 0);
  header[4] = 7;
  header.writeUInt32BE(piece, 5);
  header.writeUInt32BE(begin, 9);
  return Buffer.concat([header, content]);
}

describe('a batch of answers', () => {
  it('has each block behind its header, and reads contiguous ones at once', async () => {
    const storage = new CountingStorage(info, files);
    const bytes = await read([block(0, 0), block(0, BLOCK), block(1, 0), block(0, 3 * BLOCK)], storage);
    const expected = [
      message(0, 0, large.subarray(0, BLOCK)),
      message(0, BLOCK, large.subarray(BLOCK, 2 * BLOCK)),
      message(1, 0, large.subarray(PIECE, PIECE + BLOCK)),
      message(0, 3 * BLOCK, large.subarray(3 * BLOCK, PIECE)),
    ];
    assert.ok(bytes.equals(Buffer.concat(expected)));
    assert.equal(storage.reads, 3);
  });

  it('has zeros beyond the end of a piece', async () => {
    const bytes = await read([block(1, BLOCK), block(1, 2 * BLOCK)]);
    const end = Buffer.concat([large.subarray(PIECE + BLOCK), Buffer.alloc(BLOCK - 100)]);
    assert.ok(bytes.equals(Buffer.concat([message(1, BLOCK, end), message(1, 2 * BLOCK, Buffer.alloc(BLOCK))])));
  });

  it('has the files of a run behind one header', async () => {
    const bytes = await read([run(2, 2, 12), block(0, 0, 3)]);
    assert.ok(
      bytes.equals(Buffer.concat([message(2, 0, Buffer.concat([five, seven])), message(0, 0, large.subarray(0, 3))])),
    );
  });

  it('that cannot be read leaves the buffer alone once that is known', async () => {
    const storage = new CountingStorage(info, files);
    let finish = (): void => {};
    const slow = new Promise<void>((resolve) => {
      finish = resolve;
    });
    storage.readDelay = async () => {
      if (storage.reads > 1) return await slow;
      throw new PeerwireError('stale', 'It changed.');
    };
    let failed = false;
    const reading = assert.rejects(read([block(0, 0), block(1, 0)], storage), { code: 'stale' }).then(() => {
      failed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(failed, false, 'the other read goes on');
    finish();
    await reading;
  });
});

describe('uploadCost', () => {
  it('is never less than the block that a part is of, nor than the content', () => {
    assert.equal(uploadCost(info, block(0, 0, 1)), BLOCK);
    assert.equal(uploadCost(info, block(0, BLOCK + 5, 1)), BLOCK);
    assert.equal(uploadCost(info, block(1, BLOCK, 1)), 100);
    assert.equal(uploadCost(info, block(0, 0, PIECE)), PIECE);
  });

  it('of a run is that of its pieces one by one', () => {
    assert.equal(uploadCost(info, run(2, 2, 12)) + HEADER, 12 + 2 * HEADER);
  });
});
