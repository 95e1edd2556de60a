import type { Bitfield } from '../../bittorrent/bitfield.ts';
import { pieceAt } from '../../bittorrent/metainfo.ts';
import type { Storage } from '../../bittorrent/storage.ts';
import { errorCode } from '../../common/errors.ts';
import type { PieceJournal } from '../piece-journal.ts';
import type { CachedVersion } from './cached-version.ts';

export interface AdoptOptions {
  /** Indices of the files that are downloaded. */
  readonly files: ReadonlySet<number>;
  readonly cached: CachedVersion;
  /** Gets the pieces that were taken over. */
  readonly have: Bitfield;
  readonly journal: PieceJournal;
  /** Where the download stages the files. */
  readonly storage: Storage;
  readonly signal: AbortSignal;
}

/** Copies what was read of files into their download, so that no byte is fetched twice. The cache keeps its own. */
export async function adoptPieces({ files, cached, have, journal, storage, signal }: AdoptOptions): Promise<void> {
  for (const piece of cached.pieces()) {
    const { fileIndex, offset, length } = pieceAt(cached.info, piece);
    if (have.has(piece) || !files.has(fileIndex)) continue;
    signal.throwIfAborted();
    const bytes = new Uint8Array(length);
    try {
      await cached.read(fileIndex, offset, [bytes]);
    } catch (error) {
      if (errorCode(error) !== 'not-found') throw error;
      continue; // Evicted meanwhile.
    }
    await storage.write(fileIndex, offset, bytes);
    have.add(piece);
    journal.add(piece);
  }
}
