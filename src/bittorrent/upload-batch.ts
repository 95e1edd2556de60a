/** What answers to block requests cost, and how several of them are read into one buffer that leaves in one write. */
import { allOf } from '../common/all-of.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { fileAt, type Info, pieceAt } from './metainfo.ts';
import { nextFile } from './piece-runs.ts';
import type { Storage, WholeRead } from './storage.ts';
import { contiguousOf, isRun, type UploadRequest } from './upload-queue.ts';
import { BLOCK_HEADER_SIZE, writeBlockHeader } from './wire/messages.ts';

/**
 * What a request counts for, in bytes: at least a block, where there is one, since a part of it costs as much to read; and
 * a run as much as its pieces would one by one.
 */
export function uploadCost(info: Info, { piece, begin, length, pieces }: UploadRequest): number {
  if (pieces > 1) return length + (pieces - 1) * BLOCK_HEADER_SIZE;
  const { length: pieceLength } = pieceAt(info, piece);
  const blockBegin = begin - (begin % BLOCK_SIZE);
  return Math.max(length, Math.min(BLOCK_SIZE, pieceLength - blockBegin));
}

/**
 * Fills the buffer with the answers, each behind its header: one read for all contiguous blocks, one for all runs of small
 * pieces. What lies beyond the end of a piece is zeros. Rejects as `Storage.read` does, once nothing is written to the
 * buffer any more.
 */
export async function readBatch(
  info: Info,
  storage: Storage,
  batch: readonly UploadRequest[],
  buffer: Buffer,
): Promise<void> {
  const reads: Promise<void>[] = [];
  const files: WholeRead[] = [];
  let position = 0;
  for (const blocks of contiguousOf(batch)) {
    const [first] = blocks;
    if (!first) continue;
    if (isRun(first)) {
      position = placeRun(info, first, buffer, position, files);
      continue;
    }
    const { fileIndex, offset, length: pieceLength } = pieceAt(info, first.piece);
    const views: Uint8Array[] = [];
    for (const { piece, begin, length } of blocks) {
      position = writeBlockHeader(buffer, position, piece, begin, length);
      const content = Math.max(0, Math.min(length, pieceLength - begin));
      if (content > 0) views.push(buffer.subarray(position, position + content));
      buffer.fill(0, position + content, position + length);
      position += length;
    }
    if (views.length > 0) reads.push(storage.read(fileIndex, offset + first.begin, views));
  }
  if (files.length > 0) reads.push(storage.readAll(files));
  await allOf(reads);
}

/** Places a run in the buffer and adds what is to be read into it to `files`. Returns the position behind it. */
function placeRun(
  info: Info,
  { piece, length, pieces }: UploadRequest,
  buffer: Buffer,
  position: number,
  files: WholeRead[],
): number {
  let at = writeBlockHeader(buffer, position, piece, 0, length);
  let { fileIndex } = pieceAt(info, piece);
  for (let left = pieces; left > 0; left--) {
    const end = at + fileAt(info, fileIndex).length;
    files.push({ fileIndex, view: buffer.subarray(at, end) });
    at = end;
    if (left > 1) fileIndex = nextFile(info, fileIndex);
  }
  return at;
}
