/** Where the bytes of one version are, file by file; the engine addresses them by file index and offset. */
export interface Storage {
  /**
   * Fills the views, one after the other, from `offset` of a file. Rejects with `stale` when the file is no longer what
   * was published, so that no wrong byte can leave.
   */
  read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void>;
  write(fileIndex: number, offset: number, data: Uint8Array): Promise<void>;
  /**
   * For whoever can write where the bytes are, in another thread: `action` gets a descriptor of the file, open for writing
   * until what it returned settles. Rejects as `write` does, and with what `action` rejects with. Absent, or returns
   * undefined, where content is not in files.
   */
  writeBy?<T>(fileIndex: number, action: (descriptor: number) => Promise<T>): Promise<T> | undefined;
  /**
   * Writes all of a file of one block (`BLOCK_SIZE` at most) if `root` is its merkle root. Resolves with false when it is not, and
   * nothing was written; rejects as `write` does. Absent, or returns undefined, where content is not in files.
   */
  writeVerified?(fileIndex: number, data: Uint8Array, root: Uint8Array): Promise<boolean> | undefined;
  close(): Promise<void>;
}
