import { PeerwireError } from '../common/errors.ts';
import { BLOCK_SIZE } from './merkle.ts';
import { type Info, pieceAt } from './metainfo.ts';
import { LARGEST_BLOCK } from './peer-session.ts';
import { runAt } from './piece-runs.ts';
import type { BlockRequest } from './wire/messages.ts';

/**
 * How many pieces a peer asks for: 1 is a block, more are a run. Throws 'protocol' for what nobody may ask for.
 * `servesRuns`: so does the peer (PROTOCOL.md §2).
 */
export function checkRequest(info: Info, request: BlockRequest, servesRuns: boolean): number {
  const { piece, begin, length } = request;
  if (piece >= info.pieceCount || length === 0 || length > LARGEST_BLOCK) {
    throw new PeerwireError('protocol', 'The peer requested a block that cannot exist.');
  }
  if (servesRuns) {
    const pieces = begin === 0 ? runAt(info, piece, length) : undefined;
    if (pieces !== undefined) return pieces;
  }
  // libtorrent treats the space behind a file's end as padding and requests it as part of a full block. Who knows runs does not.
  const end = servesRuns ? pieceAt(info, piece).length : info.pieceLength;
  if (begin + length > end) {
    throw new PeerwireError('protocol', 'The peer requested bytes beyond the end of a piece.');
  }
  if (length > BLOCK_SIZE && !isWholeBlocks(request, pieceAt(info, piece).length)) {
    throw new PeerwireError('protocol', 'The peer requested more than a block that is not whole blocks.');
  }
  return 1;
}

/** PROTOCOL.md §1: more than a block at once begins with a block and ends with one. */
function isWholeBlocks({ begin, length }: BlockRequest, pieceLength: number): boolean {
  const end = begin + length;
  return begin % BLOCK_SIZE === 0 && (end === pieceLength || (end < pieceLength && end % BLOCK_SIZE === 0));
}
