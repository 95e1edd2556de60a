import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';

export interface HashPoolOptions {
  /** Entry of the worker: src/peer/hash-worker.ts, or dist/hash-worker.js. */
  readonly workerUrl: URL | string;
  /** Workers at most; default: one less than there are cores, at least 1, at most 8. */
  readonly size?: number;
  readonly clock?: Clock;
}

export interface FileHash {
  /** Merkle root of the file; undefined for an empty file. */
  readonly root: Buffer | undefined;
  /** Concatenated hashes of the pieces; empty for a file of one piece or less. */
  readonly pieceLayer: Buffer;
  readonly size: number;
  readonly mtimeMs: number;
}

export interface HashFileOptions {
  /** Bytes; a power of two >= 16 KiB. */
  readonly pieceLength: number;
  /** Called with the bytes hashed since the last call. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** Hashes in worker threads, started when needed and ended after 30 s without work. */
export class HashPool implements Disposable {
  constructor(options: HashPoolOptions) {
    void options;
  }

  /** Rejects with 'stale' when the file changes meanwhile, 'not-found', 'permission', 'unsupported' (not a regular file), 'cancelled', 'io'. */
  async hashFile(path: string, options: HashFileOptions): Promise<FileHash> {
    throw new PeerwireError('internal', `hashFile is not written yet (${path}, ${options.pieceLength})`);
  }

  /** Many files at once, in order; a file that fails yields its error and does not stop the others. Links are not followed. */
  async hashFiles(paths: readonly string[], options: HashFileOptions): Promise<(FileHash | PeerwireError)[]> {
    throw new PeerwireError('internal', `hashFiles is not written yet (${paths.length}, ${options.pieceLength})`);
  }

  /** SHA-256 of each 16 KiB block (the last may be short) of `data[offset, offset + length)`, concatenated. Goes before file hashing. */
  async hashBlocks(data: SharedArrayBuffer, offset: number, length: number): Promise<{ leaves: Buffer }> {
    return { leaves: hashBlocksSync(data, offset, length) };
  }

  /** Ends the workers; what is under way rejects with 'closed'. */
  dispose(): void {}
}

/** `HashPool.hashBlocks` on this thread: cheaper than the thread hop (about 50 µs) up to some 64 KiB. */
export function hashBlocksSync(data: SharedArrayBuffer | ArrayBuffer, offset: number, length: number): Buffer {
  throw new PeerwireError('internal', `hashBlocksSync is not written yet (${data.byteLength}, ${offset}, ${length})`);
}
