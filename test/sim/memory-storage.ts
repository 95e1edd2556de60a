import { sha256 } from '../../src/bittorrent/merkle.ts';
import type { Info } from '../../src/bittorrent/metainfo.ts';
import type { Storage, VerifiedFile, WholeRead, WriteOutcome } from '../../src/bittorrent/storage.ts';
import { allOf } from '../../src/common/all-of.ts';
import { type PeerwireError, toPeerwireError } from '../../src/common/errors.ts';

/** A disk in memory that can be slow, full, broken or lying. */
export class MemoryStorage implements Storage {
  readonly files: Buffer[];
  /** Thrown by the next reads, while set. */
  readError: PeerwireError | undefined;
  /** Thrown by the next writes, while set. */
  writeError: PeerwireError | undefined;
  /** How long a write takes. */
  delay: (() => Promise<void>) | undefined;
  /** How long a read takes. */
  readDelay: (() => Promise<void>) | undefined;
  /** Changes what is read: a lying or broken seeder. */
  corrupt: ((fileIndex: number, offset: number, view: Uint8Array) => void) | undefined;
  /** Sees what is about to be written. */
  onWrite: ((fileIndex: number, offset: number, data: Uint8Array) => void) | undefined;
  readsAtOnce = false;
  /** Times that it was closed. */
  closes = 0;
  /** Reads and writes that began after it was closed. */
  late = 0;

  constructor(info: Info, content?: readonly Buffer[]) {
    this.files = info.files.map((file, index) => Buffer.from(content?.[index] ?? Buffer.alloc(file.length)));
  }

  async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    if (this.closes > 0) this.late++;
    await this.readDelay?.();
    if (this.readError) throw this.readError;
    let at = offset;
    for (const view of views) {
      this.files[fileIndex]?.copy(view, 0, at, at + view.length);
      this.corrupt?.(fileIndex, at, view);
      at += view.length;
    }
  }

  async readAll(reads: readonly WholeRead[]): Promise<void> {
    await allOf(reads.map(({ fileIndex, view }) => this.read(fileIndex, 0, [view])));
  }

  async write(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    if (this.closes > 0) this.late++;
    await this.writeLent(fileIndex, offset, data);
  }

  /** By whom `writeBy` lent the file: it stays open until that is done. */
  async writeLent(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    // Disks take their time: what must not touch the data meanwhile gets the chance to.
    await this.delay?.();
    if (this.writeError) throw this.writeError;
    this.onWrite?.(fileIndex, offset, data);
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).copy(this.files[fileIndex]!, offset);
  }

  async writeVerified(files: readonly VerifiedFile[]): Promise<readonly WriteOutcome[]> {
    return await Promise.all(
      files.map(async ({ fileIndex, data, root }): Promise<WriteOutcome> => {
        if (sha256(data).equals(root)) {
          return await this.write(fileIndex, 0, data).then(
            () => 'written' as const,
            (error: unknown) => toPeerwireError(error),
          );
        }
        // The answer comes later also when it is wrong, as from a worker thread.
        await this.delay?.();
        return 'wrong';
      }),
    );
  }

  async writeBy<T>(fileIndex: number, action: (descriptor: number) => Promise<T>): Promise<T> {
    if (this.closes > 0) this.late++;
    return await action(fileIndex);
  }

  async close(): Promise<void> {
    this.closes++;
  }
}
