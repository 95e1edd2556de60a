import type { PeerwireError } from '../../common/errors.ts';
import type { FileHash } from './hash-in-ranges.ts';
import type { WalkedFile } from './walk.ts';

/** Small files of a walk that are hashed while it goes on to find others. */
export class EarlyHashes {
  /** By file, which is the object that the walk gives; undefined while it is being hashed. */
  readonly #hashes = new Map<WalkedFile, FileHash | PeerwireError | undefined>();
  readonly #batches: Promise<void>[] = [];
  #done = 0;
  #report: ((bytes: number) => void) | undefined;

  /** `hashing`: of the files, in their order. */
  add(files: readonly WalkedFile[], hashing: Promise<readonly (FileHash | PeerwireError)[]>): void {
    for (const file of files) this.#hashes.set(file, undefined);
    const batch = hashing.then((hashes) => {
      let bytes = 0;
      for (const [position, file] of files.entries()) {
        this.#hashes.set(file, hashes[position]);
        bytes += file.size;
      }
      if (this.#report) this.#report(bytes);
      else this.#done += bytes;
    });
    // The walk may fail before anybody listens.
    batch.catch(() => undefined);
    this.#batches.push(batch);
  }

  /** Those of all files of the walk that are not among these, in their order. */
  without(files: readonly WalkedFile[]): readonly WalkedFile[] {
    // All are small, mostly.
    return this.#hashes.size === files.length ? [] : files.filter((file) => !this.#hashes.has(file));
  }

  /** Undefined before `finish` has resolved, and of other files. */
  hashOf(file: WalkedFile): FileHash | PeerwireError | undefined {
    return this.#hashes.get(file);
  }

  /** Call when the walk is over. Resolves when all are hashed or have failed; rejects as hashing does. `report` gets the bytes that were hashed since it was called last. */
  async finish(report: (bytes: number) => void): Promise<void> {
    this.#report = report;
    if (this.#done > 0) report(this.#done);
    await Promise.all(this.#batches);
  }
}
