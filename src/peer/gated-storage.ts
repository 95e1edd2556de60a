import type { FileStorage } from '../bittorrent/file-storage.ts';
import type { Storage } from '../bittorrent/storage.ts';

/** Storage whose files can be moved while a swarm serves them: reads wait until the move is over. */
export class GatedStorage implements Storage {
  readonly #inner: FileStorage;
  #gate: Promise<unknown> = Promise.resolve();

  constructor(inner: FileStorage) {
    this.#inner = inner;
  }

  /** Holds reads back while `action` moves these files. */
  async closedFor<T>(action: () => Promise<T>, fileIndexes: readonly number[]): Promise<T> {
    const moving = (async () => {
      for (const index of fileIndexes) await this.#inner.release(index);
      return await action();
    })();
    this.#gate = moving.catch(() => undefined);
    return await moving;
  }

  async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    await this.#gate;
    await this.#inner.read(fileIndex, offset, views);
  }

  async write(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    await this.#gate;
    await this.#inner.write(fileIndex, offset, data);
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }
}
