import type { FileStorage } from '../bittorrent/file-storage.ts';
import type { Storage, VerifiedFile, WholeRead, WriteOutcome } from '../bittorrent/storage.ts';

/** Storage whose files can be moved while a swarm serves them: reads wait until the move is over. */
export class GatedStorage implements Storage {
  readonly #inner: FileStorage;
  readonly #reads = new Set<Promise<void>>();
  #gate: Promise<unknown> = Promise.resolve();

  constructor(inner: FileStorage) {
    this.#inner = inner;
  }

  /** Holds reads back while `action` moves these files; reads under way end first. */
  async closedFor<T>(fileIndexes: readonly number[], action: () => Promise<T>): Promise<T> {
    const moving = (async () => {
      await Promise.allSettled(this.#reads);
      await this.#inner.release(new Set(fileIndexes));
      return await action();
    })();
    this.#gate = moving.catch(() => undefined);
    return await moving;
  }

  async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    await this.#gate;
    await this.#begun(this.#inner.read(fileIndex, offset, views));
  }

  async readAll(reads: readonly WholeRead[]): Promise<void> {
    await this.#gate;
    await this.#begun(this.#inner.readAll(reads));
  }

  async write(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    await this.#gate;
    await this.#inner.write(fileIndex, offset, data);
  }

  async writeVerified(files: readonly VerifiedFile[]): Promise<readonly WriteOutcome[]> {
    await this.#gate;
    return await this.#inner.writeVerified(files);
  }

  async writeBy<T>(fileIndex: number, action: (descriptor: number) => Promise<T>): Promise<T> {
    await this.#gate;
    return await this.#inner.writeBy(fileIndex, action);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  async #begun(reading: Promise<void>): Promise<void> {
    this.#reads.add(reading);
    try {
      await reading;
    } finally {
      this.#reads.delete(reading);
    }
  }
}
