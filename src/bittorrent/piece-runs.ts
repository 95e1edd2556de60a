/** Runs of small pieces: several whole files, each of them one piece, asked for at once (PROTOCOL.md §2). */
import { type Info, pieceAt } from './metainfo.ts';

/** Pieces in one run at most: each is a file to open, however little is in it. */
export const MOST_RUN_PIECES = 128;

/**
 * How many pieces from `piece` on have exactly `length` bytes together; undefined when that is no run: fewer than two or
 * more than `MOST_RUN_PIECES`, not whole pieces, one that is not the only piece of its file, or none of this torrent. Any
 * numbers may be asked about.
 */
export function runAt(info: Info, piece: number, length: number): number | undefined {
  if (!(piece >= 0 && piece < info.pieceCount - 1 && Number.isInteger(piece))) return undefined;
  let index = pieceAt(info, piece).fileIndex;
  let left = length;
  for (let count = 1; count <= MOST_RUN_PIECES; count++) {
    const file = info.files[index];
    if (file?.pieceCount !== 1) return undefined;
    left -= file.length;
    if (left === 0) return count > 1 ? count : undefined;
    if (!(left > 0) || piece + count >= info.pieceCount) return undefined;
    index = nextFile(info, index);
  }
  return undefined;
}

/** The index of the file that has the next piece after a file of one piece; there must be one. */
export function nextFile(info: Info, index: number): number {
  const file = info.files[index];
  const next = info.files[index + 1];
  // Empty files have no piece. However many they are, they are not walked over one by one.
  return next?.pieceCount === 0 && file ? pieceAt(info, file.firstPiece + file.pieceCount).fileIndex : index + 1;
}
