import { blockCount, pieceRoot } from '../../bittorrent/merkle.ts';
import { writeFullySync } from '../../bittorrent/write-fully.ts';
import { toPeerwireError } from '../../common/errors.ts';
import type { HashRequest, PieceOutcome } from '../hash-messages.ts';
import { leafHashes } from './block-hashes.ts';
import { isAllZero, leaveHole } from './zeros.ts';

/**
 * Hashes a piece and writes it when it is right: in one thread, while its bytes are in that core's cache. Of zeros a hole is
 * left, where the file allows. Blocks until it is written, so only for worker threads.
 */
export function writeIfRight(request: HashRequest & { type: 'piece' }): PieceOutcome {
  const { offset, length, pieceLength, fileLength, descriptor, position } = request;
  const bytes = new Uint8Array(request.data, offset, length);
  const leaves = leafHashes(bytes);
  if (pieceRoot(leaves, pieceLength, blockCount(fileLength)).toString('hex') !== request.expected) {
    return { type: 'wrong', leaves };
  }
  try {
    const hole = isAllZero(bytes) && leaveHole(descriptor, position, length, fileLength);
    if (!hole) writeFullySync(descriptor, bytes, position);
    return { type: 'written' };
  } catch (error) {
    const { code, message } = toPeerwireError(error, 'Writing a file');
    return { type: 'failed', code, message };
  }
}
