import { asBuffer } from '../common/as-buffer.ts';
import { PeerwireError } from '../common/errors.ts';
import { copyBytes } from './copy-bytes.ts';
import type { FileBatcher, FilePart, PartsResult } from './file-parts.ts';
import type { FileStamp } from './file-stamp.ts';
import type { SharedMemory, SharedRange } from './shared-memory.ts';
import type { WholeRead } from './storage.ts';

/** Files up to this size (bytes) are read and written together. */
export const SMALL_FILE = 64 * 1024;
/** Fewer at a time are not worth the hop to another thread, which may have to be started. */
export const FEW_FILES = 8;
/** Bytes and files of one batch. */
const BATCH_SIZE = 1024 * 1024;
const BATCH_FILES = 128;
/** Batches under way: the next waits at the other thread while the first is done there. */
const AT_ONCE = 2;

interface Job {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly stamp: FileStamp | undefined;
  readonly hash: string | undefined;
  readonly views: readonly Uint8Array[];
  /** Does it without the others, when there are not enough of them. */
  alone(): Promise<void>;
  resolve(stamp?: FileStamp): void;
  reject(error: unknown): void;
}

/** A whole file to be read. */
export class SmallRead {
  readonly read: WholeRead;
  readonly path: string;
  /** The file is one that others may change. */
  readonly stamp: FileStamp | undefined;

  constructor(read: WholeRead, path: string, stamp: FileStamp | undefined) {
    this.read = read;
    this.path = path;
    this.stamp = stamp;
  }
}

/** A whole file to be written. */
export interface SmallWrite {
  readonly path: string;
  readonly data: Uint8Array;
  /** See `FilePart`: fails with 'corrupt' when the data is not what it should be; so does `alone`. */
  readonly hash: string;
  /** Does it without the others, when there are not enough of them. */
  readonly alone: () => Promise<void>;
  readonly onFailure: (error: unknown) => void;
  /** It was made and is as it should be: what it looks like. Not called when that is not known. */
  readonly onStamp: (stamp: FileStamp) => void;
}

/** Gathers the reads and writes of many small files; while one batch is under way the next fills up. */
export class SmallFiles {
  readonly #batcher: FileBatcher;
  readonly #reads: Lane;
  readonly #writes: Lane;
  /** What goes to or comes from where the bytes are. */
  readonly #direct = new Set<Promise<unknown>>();

  constructor(batcher: FileBatcher) {
    this.#batcher = batcher;
    this.#reads = new Lane('read', batcher.memory, (data, parts) => batcher.readParts(data, parts));
    this.#writes = new Lane('write', batcher.memory, (data, parts) => batcher.writeParts(data, parts));
  }

  /** `views` together are at most `SMALL_FILE` bytes; with a `stamp` the file is one that others may change. */
  read(
    file: { readonly path: string; readonly stamp?: FileStamp },
    offset: number,
    views: readonly Uint8Array[],
    alone: () => Promise<void>,
  ): Promise<void> {
    return this.#reads.add(file.path, file, offset, views, alone);
  }

  /**
   * Whole files. Settles when all are read or have failed, and rejects as the first that failed. `alone` reads one without
   * the others, when there are not enough of them.
   */
  readAll(files: readonly SmallRead[], alone: (read: WholeRead) => Promise<void>): Promise<void> {
    return this.#reads.readAll(files, alone);
  }

  write(path: string, offset: number, data: Uint8Array, alone: () => Promise<void>): Promise<void> {
    return this.#writes.add(path, {}, offset, [data], alone);
  }

  /** Whole files, if they are what they are to be. Resolves when all are written or have failed; never rejects. */
  writeAll(files: readonly SmallWrite[]): Promise<void> {
    return this.#writes.addAll(files);
  }

  /** Files whose bytes lie together in shared memory already, which is lent until they are written. Rejects as the batcher does. */
  writeShared(data: SharedArrayBuffer, parts: readonly FilePart[]): Promise<PartsResult> {
    return this.#lend(this.#batcher.writeParts(data, parts));
  }

  /** The same for reading them to where they shall be. */
  readShared(data: SharedArrayBuffer, parts: readonly FilePart[]): Promise<PartsResult> {
    return this.#lend(this.#batcher.readParts(data, parts));
  }

  async #lend(work: Promise<PartsResult>): Promise<PartsResult> {
    this.#direct.add(work);
    try {
      return await work;
    } finally {
      this.#direct.delete(work);
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#reads.busy || this.#writes.busy || this.#direct.size > 0)
      await Promise.all([this.#reads.idle(), this.#writes.idle(), Promise.allSettled(this.#direct)]);
  }
}

class Lane {
  readonly #kind: 'read' | 'write';
  readonly #run: (data: SharedArrayBuffer, parts: readonly FilePart[]) => Promise<PartsResult>;
  readonly #memory: SharedMemory;
  readonly #running = new Set<Promise<void>>();
  #queue: Job[] = [];
  #scheduled: Promise<void> | undefined;

  constructor(
    kind: 'read' | 'write',
    memory: SharedMemory,
    run: (data: SharedArrayBuffer, parts: readonly FilePart[]) => Promise<PartsResult>,
  ) {
    this.#kind = kind;
    this.#memory = memory;
    this.#run = run;
  }

  get busy(): boolean {
    return this.#running.size > 0 || this.#scheduled !== undefined;
  }

  async idle(): Promise<void> {
    await this.#scheduled;
    await Promise.all(this.#running);
  }

  add(
    path: string,
    { stamp }: { readonly stamp?: FileStamp | undefined },
    offset: number,
    views: readonly Uint8Array[],
    alone: () => Promise<void>,
  ): Promise<void> {
    const length = views.reduce((sum, view) => sum + view.length, 0);
    const done = new Promise<void>((fulfil, reject) => {
      const resolve = (): void => fulfil();
      this.#queue.push({ path, stamp, hash: undefined, offset, views, length, alone, resolve, reject });
    });
    if (this.#running.size < AT_ONCE) this.#schedule();
    return done;
  }

  /** One promise for all of them, and no functions for each. */
  readAll(files: readonly SmallRead[], alone: (read: WholeRead) => Promise<void>): Promise<void> {
    if (files.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const group: ReadGroup = { left: files.length, failure: undefined, alone, resolve, reject };
      for (const { read, path, stamp } of files) this.#queue.push(new WholeJob(read, path, stamp, group));
      if (this.#running.size < AT_ONCE) this.#schedule();
    });
  }

  /** One promise for all of them: of many, those of each would cost more than the writing. */
  addAll(files: readonly SmallWrite[]): Promise<void> {
    if (files.length === 0) return Promise.resolve();
    return new Promise((finish) => {
      let left = files.length;
      const settled = (): void => {
        if (--left === 0) finish();
      };
      for (const { path, data, hash, alone, onFailure, onStamp } of files) {
        const resolve = (stamp?: FileStamp): void => {
          if (stamp !== undefined) onStamp(stamp);
          settled();
        };
        const reject = (error: unknown): void => {
          onFailure(error);
          settled();
        };
        const { length } = data;
        this.#queue.push({ path, stamp: undefined, hash, offset: 0, views: [data], length, alone, resolve, reject });
      }
      if (this.#running.size < AT_ONCE) this.#schedule();
    });
  }

  /** Once all that arrived together is in the queue. */
  #schedule(): void {
    this.#scheduled ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#scheduled = undefined;
        this.#start();
        resolve();
      });
    });
  }

  #start(): void {
    while (this.#queue.length > 0 && this.#running.size < AT_ONCE) {
      const batch = this.#take();
      const work = batch.length < FEW_FILES ? this.#oneByOne(batch) : this.#together(batch);
      const ended = work.finally(() => {
        this.#running.delete(ended);
        this.#start();
      });
      this.#running.add(ended);
    }
  }

  #take(): Job[] {
    let count = 0;
    let bytes = 0;
    for (const { length } of this.#queue) {
      if (count === BATCH_FILES || bytes + length > BATCH_SIZE) break;
      bytes += length;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #oneByOne(batch: readonly Job[]): Promise<void> {
    const one = (job: Job): Promise<void> =>
      job.alone().then(
        () => job.resolve(),
        (error: unknown) => job.reject(error),
      );
    await Promise.all(batch.map(one));
  }

  async #together(batch: readonly Job[]): Promise<void> {
    let range: SharedRange | undefined;
    try {
      range = this.#memory.take(BATCH_SIZE);
      await this.#in(range, batch);
    } catch (error) {
      for (const job of batch) job.reject(error);
    } finally {
      if (range) this.#memory.give(range);
    }
  }

  /** Does them in memory that is lent. Rejects, having settled none, when that could not be begun. */
  async #in({ shared, offset: start }: SharedRange, batch: readonly Job[]): Promise<void> {
    const memory = Buffer.from(shared);
    let at = start;
    const parts = batch.map(({ path, stamp, hash, offset, length, views }): FilePart => {
      const part = { path, offset, length, at, stamp, hash };
      if (this.#kind === 'write') for (const view of views) at += copyBytes(asBuffer(view), 0, view.length, memory, at);
      else at += length;
      return part;
    });
    const failures = new Map<number, PeerwireError>();
    const { stamps, failures: failed } = await this.#run(shared, parts);
    for (const { position, code, message } of failed) failures.set(position, new PeerwireError(code, message));
    for (const [position, job] of batch.entries()) {
      const failure = failures.get(position);
      if (failure) {
        job.reject(failure);
        continue;
      }
      let from = parts[position]?.at ?? 0;
      if (this.#kind === 'read') for (const view of job.views) from += memory.copy(view, 0, from, from + view.length);
      job.resolve(stamps[position]);
    }
  }
}

/** Files that are read with one promise. */
interface ReadGroup {
  left: number;
  failure: { readonly error: unknown } | undefined;
  readonly alone: (read: WholeRead) => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One of them: a class, so that its functions are not made anew for each. */
class WholeJob implements Job {
  readonly path: string;
  readonly offset = 0;
  readonly length: number;
  readonly stamp: FileStamp | undefined;
  readonly hash = undefined;
  readonly views: readonly Uint8Array[];
  readonly #read: WholeRead;
  readonly #group: ReadGroup;

  constructor(read: WholeRead, path: string, stamp: FileStamp | undefined, group: ReadGroup) {
    this.path = path;
    this.length = read.view.length;
    this.stamp = stamp;
    this.views = [read.view];
    this.#read = read;
    this.#group = group;
  }

  alone(): Promise<void> {
    return this.#group.alone(this.#read);
  }

  resolve(): void {
    this.#settled();
  }

  reject(error: unknown): void {
    this.#group.failure ??= { error };
    this.#settled();
  }

  #settled(): void {
    const group = this.#group;
    if (--group.left > 0) return;
    if (group.failure) group.reject(group.failure.error);
    else group.resolve();
  }
}
