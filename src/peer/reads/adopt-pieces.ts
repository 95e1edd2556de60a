import type { Bitfield } from '../../bittorrent/bitfield.ts';
import { blockCount, pieceRoot } from '../../bittorrent/merkle.ts';
import { pieceAt, pieceHash } from '../../bittorrent/metainfo.ts';
import type { Storage } from '../../bittorrent/storage.ts';
import { errorCode } from '../../common/errors.ts';
import type { HashPool } from '../hash-pool.ts';
import type { PieceJournal } from '../piece-journal.ts';
import type { Version } from '../version-store.ts';
import type { CachedVersion } from './cached-version.ts';

export interface AdoptOptions {
  /** Indices of the files that are downloaded. */
  readonly files: ReadonlySet<number>;
  readonly version: Version;
  readonly cached: CachedVersion;
  readonly pool: HashPool;
  /** Gets the pieces that were taken over. */
  readonly have: Bitfield;
  readonly journal: PieceJournal;
  /** Where the download stages the files. */
  readonly storage: Storage;
  readonly signal: AbortSignal;
}

/**
 * Copies what was read of files into their download, so that no byte is fetched twice. Hashed once more: it may have lain on
 * the disk for hours. The cache keeps its own.
 */
export async function adoptPieces(options: AdoptOptions): Promise<void> {
  const { files, version, cached, pool, have, journal, storage, signal } = options;
  const { info, layers } = version;
  for (const piece of cached.pieces()) {
    const { file, fileIndex, offset, length } = pieceAt(info, piece);
    if (have.has(piece) || !files.has(fileIndex)) continue;
    signal.throwIfAborted();
    const range = pool.memory.take(length);
    const { bytes } = range;
    try {
      // Evicted meanwhile?
      if (!(await isRead(cached.read(fileIndex, offset, [bytes])))) continue;
      const leaves = await pool.hashBlocks(range.shared, range.offset, length);
      const root = pieceRoot(leaves, info.pieceLength, blockCount(file.length));
      if (pieceHash(info, layers, piece)?.equals(root) !== true) continue;
      await storage.write(fileIndex, offset, bytes);
    } finally {
      pool.memory.give(range);
    }
    have.add(piece);
    journal.add(piece);
  }
}

async function isRead(reading: Promise<void>): Promise<boolean> {
  try {
    await reading;
    return true;
  } catch (error) {
    if (errorCode(error) !== 'not-found') throw error;
    return false;
  }
}
