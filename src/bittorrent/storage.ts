import type { PeerwireError } from '../common/errors.ts';

/** All of a file of one block (`BLOCK_SIZE` at most), and what its merkle root is to be. */
export interface VerifiedFile {
  readonly fileIndex: number;
  readonly data: Uint8Array;
  readonly root: Uint8Array;
}

/** A whole file to be read; the view is as long as the file. */
export interface WholeRead {
  readonly fileIndex: number;
  readonly view: Uint8Array;
}

/** It is written; or it is not what it is to be, and was not; or what `write` rejects with. */
export type WriteOutcome = 'written' | 'wrong' | PeerwireError;

/** Where the bytes of one version are, file by file; the engine addresses them by file index and offset. */
export interface Storage {
  /**
   * Fills the views, one after the other, from `offset` of a file. Rejects with `stale` when the file is no longer what
   * was published, so that no wrong byte can leave.
   */
  read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void>;
  /**
   * Fills the views with many small files. Rejects as `read` does when one of them fails; either way only once no view is
   * written to any more.
   */
  readAll(reads: readonly WholeRead[]): Promise<void>;
  /**
   * The last read, of whatever file, did not have to wait: what it brings had better be sent before the next, while it is in the
   * processor's cache. Absent where reads may have to wait for more than a disk.
   */
  readonly readsAtOnce?: boolean;
  write(fileIndex: number, offset: number, data: Uint8Array): Promise<void>;
  /**
   * For whoever can write where the bytes are, in another thread: `action` gets a descriptor of the file, open for writing
   * until what it returned settles. Rejects as `write` does, and with what `action` rejects with. Absent, or returns
   * undefined, where content is not in files.
   */
  writeBy?<T>(fileIndex: number, action: (descriptor: number) => Promise<T>): Promise<T> | undefined;
  /**
   * Writes those of many files of one block that are right, and says by position what became of each. Absent, or returns
   * undefined, where content is not in files.
   */
  writeVerified?(files: readonly VerifiedFile[]): Promise<readonly WriteOutcome[]> | undefined;
  close(): Promise<void>;
}
