import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { allOf } from '../common/all-of.ts';
import { asBuffer } from '../common/as-buffer.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { type FileBatcher, type FilePart, goneStale, STAGED_FOLDER_MODE, wrongContent } from './file-parts.ts';
import { checkStamp, checkStampSync, type FileStamp, sizeOf } from './file-stamp.ts';
import { sha256Text } from './merkle.ts';
import { CAREFUL } from './open-flags.ts';
import { isLocal, QuickReads } from './quick-reads.ts';
import { SharedStats } from './shared-stats.ts';
import { FEW_FILES, SMALL_FILE, SmallFiles, SmallRead, type SmallWrite } from './small-files.ts';
import type { Storage, VerifiedFile, WholeRead, WriteOutcome } from './storage.ts';
import { writeFully } from './write-fully.ts';

/** Files held open at once: enough for a big file and its neighbors, far below any descriptor limit. */
const OPEN_FILES = 48;

export type FileLocation =
  /** Ours alone: created and written as pieces arrive. `size`: bytes that it shall have. */
  | { readonly kind: 'staged'; readonly path: string; readonly size?: number }
  /** Others may change it: read-only, and every read checks that it is still what was hashed under this stamp. */
  | { readonly kind: 'published'; readonly path: string; readonly stamp: FileStamp };

interface Opened {
  readonly handle: FileHandle;
  /** Content that others published, on a disk of this machine. */
  readonly quick: boolean;
}

interface OpenFile {
  readonly fileIndex: number;
  readonly writable: boolean;
  readonly opened: Promise<Opened>;
  users: number;
  /** No new users; closes when the last is done. */
  retired: boolean;
  readonly closed: Promise<void>;
  readonly onClosed: () => void;
}

/**
 * Storage on a file system, with a bounded cache of open files; small files are not kept open but handled many at a time,
 * given somebody who can. Never follows a link at the last component; only writing creates anything. `locate` is asked at
 * each use, so files may move: `release` them first.
 */
export class FileStorage implements Storage {
  readonly #locate: (fileIndex: number) => FileLocation;
  /** The one to use for a file, in order of last use. */
  readonly #open = new Map<number, OpenFile>();
  /** Those too whose last users are not done yet. */
  readonly #all = new Set<OpenFile>();
  readonly #made = new Set<string>();
  readonly #stamps = new Map<number, FileStamp>();
  readonly #stats = new SharedStats();
  readonly #quick = new QuickReads();
  readonly #small: SmallFiles | undefined;
  /** The last read was done in this thread. */
  #readHere = false;
  #closed = false;

  constructor(locate: (fileIndex: number) => FileLocation, batcher?: FileBatcher) {
    this.#locate = locate;
    this.#small = batcher && new SmallFiles(batcher);
  }

  async read(fileIndex: number, offset: number, views: readonly Uint8Array[]): Promise<void> {
    const location = this.#locate(fileIndex);
    const alone = (): Promise<void> => this.#read(fileIndex, location, offset, views);
    const small = this.#smallFiles(fileIndex, location);
    await (small ? small.read(location, offset, views, alone) : alone());
  }

  get readsAtOnce(): boolean {
    return this.#readHere;
  }

  async readAll(reads: readonly WholeRead[]): Promise<void> {
    const shared = reads.length < FEW_FILES ? undefined : sharedMemoryOf(reads.map(({ view }) => view));
    if (!shared || !(await this.#readShared(shared, reads))) await this.#readGathered(reads);
  }

  /** To where the bytes go; false, and nothing done, when some of the files are open, or nobody can. */
  async #readShared(shared: SharedArrayBuffer, reads: readonly WholeRead[]): Promise<boolean> {
    const parts: FilePart[] = [];
    let small: SmallFiles | undefined;
    for (const { fileIndex, view } of reads) {
      const location = this.#locate(fileIndex);
      small = this.#smallFiles(fileIndex, location);
      if (!small) return false;
      const { path } = location;
      const stamp = location.kind === 'staged' ? undefined : location.stamp;
      parts.push({ path, offset: 0, length: view.length, at: view.byteOffset, stamp, hash: undefined });
    }
    const [failure] = (await small?.readShared(shared, parts))?.failures ?? [];
    if (failure) throw new PeerwireError(failure.code, failure.message);
    return true;
  }

  async #readGathered(reads: readonly WholeRead[]): Promise<void> {
    const together: SmallRead[] = [];
    const others: WholeRead[] = [];
    let small: SmallFiles | undefined;
    for (const read of reads) {
      const location = this.#locate(read.fileIndex);
      const files = this.#smallFiles(read.fileIndex, location);
      small ??= files;
      if (!files) others.push(read);
      else if (location.kind === 'staged') together.push(new SmallRead(read, location.path, undefined));
      else together.push(new SmallRead(read, location.path, location.stamp));
    }
    const alone = async ({ fileIndex, view }: WholeRead): Promise<void> =>
      this.#read(fileIndex, this.#locate(fileIndex), 0, [view]);
    const pending = others.map(alone);
    if (small) pending.push(small.readAll(together, alone));
    await allOf(pending);
  }

  async write(fileIndex: number, offset: number, data: Uint8Array): Promise<void> {
    const location = this.#staged(fileIndex);
    const alone = (): Promise<void> => this.#write(fileIndex, location, offset, data);
    const small = this.#smallFiles(fileIndex, location);
    await (small ? small.write(location.path, offset, data, alone) : alone());
  }

  async writeVerified(files: readonly VerifiedFile[]): Promise<readonly WriteOutcome[]> {
    const shared = files.length < FEW_FILES ? undefined : sharedMemoryOf(files.map(({ data }) => data));
    return (shared && (await this.#writeShared(shared, files))) ?? (await this.#writeGathered(files));
  }

  /** From where the bytes are; undefined when some of the files are open, or nobody can. */
  async #writeShared(
    shared: SharedArrayBuffer,
    files: readonly VerifiedFile[],
  ): Promise<readonly WriteOutcome[] | undefined> {
    const parts: FilePart[] = [];
    let small: SmallFiles | undefined;
    for (const { fileIndex, data, root } of files) {
      const location = this.#staged(fileIndex);
      small = this.#smallFiles(fileIndex, location);
      if (!small) return undefined;
      const { path } = location;
      const { length, byteOffset: at } = data;
      parts.push({ path, offset: 0, length, at, stamp: undefined, hash: hashText(root) });
    }
    if (!small) return undefined;
    const { failures, stamps } = await small.writeShared(shared, parts);
    const outcomes = new Array<WriteOutcome>(files.length).fill('written');
    for (const { position, code, message } of failures)
      outcomes[position] = outcomeOf(new PeerwireError(code, message));
    for (const [position, { fileIndex }] of files.entries()) {
      const stamp = stamps[position];
      if (stamp !== undefined) this.#stamps.set(fileIndex, stamp);
    }
    return outcomes;
  }

  async #writeGathered(files: readonly VerifiedFile[]): Promise<readonly WriteOutcome[]> {
    const outcomes = new Array<WriteOutcome>(files.length).fill('written');
    const writes: SmallWrite[] = [];
    const others: SmallWrite[] = [];
    for (const [position, { fileIndex, data, root }] of files.entries()) {
      const location = this.#staged(fileIndex);
      const hash = hashText(root);
      const write: SmallWrite = {
        path: location.path,
        data,
        hash,
        alone: async () => {
          if (sha256Text(data) !== hash) throw wrongContent();
          await this.#write(fileIndex, location, 0, data);
        },
        onStamp: (stamp) => this.#stamps.set(fileIndex, stamp),
        onFailure: (error) => {
          outcomes[position] = outcomeOf(toPeerwireError(error));
        },
      };
      (this.#smallFiles(fileIndex, location) ? writes : others).push(write);
    }
    await Promise.all([
      this.#small?.writeAll(writes),
      ...others.map(({ alone, onFailure }) => alone().catch(onFailure)),
    ]);
    return outcomes;
  }

  async writeBy<T>(fileIndex: number, action: (descriptor: number) => Promise<T>): Promise<T> {
    const location = this.#staged(fileIndex);
    if (this.#closed) throw new PeerwireError('closed', 'The storage is closed.');
    return await this.#use(fileIndex, location, true, ({ handle }) => action(handle.fd));
  }

  /** What a file looked like when `writeVerified` made it, if nothing was written to it since. */
  stampOf(fileIndex: number): FileStamp | undefined {
    return this.#stamps.get(fileIndex);
  }

  #staged(fileIndex: number): FileLocation & { kind: 'staged' } {
    const location = this.#locate(fileIndex);
    if (location.kind !== 'staged') throw new PeerwireError('internal', 'Published files are never written.');
    if (this.#stamps.size > 0) this.#stamps.delete(fileIndex);
    return location;
  }

  /** Closes files, for instance before they are renamed. Resolves when their present users are done and they are closed. */
  async release(fileIndexes: ReadonlySet<number>): Promise<void> {
    await this.#small?.idle();
    if (this.#all.size === 0) return;
    await Promise.all(
      [...this.#all].filter(({ fileIndex }) => fileIndexes.has(fileIndex)).map((entry) => this.#retire(entry)),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#small?.idle();
    await Promise.all([...this.#all].map((entry) => this.#retire(entry)));
  }

  #smallFiles(fileIndex: number, location: FileLocation): SmallFiles | undefined {
    if (this.#closed) throw new PeerwireError('closed', 'The storage is closed.');
    const size = location.kind === 'staged' ? location.size : sizeOf(location.stamp);
    return size !== undefined && size <= SMALL_FILE && !this.#open.has(fileIndex) ? this.#small : undefined;
  }

  async #read(fileIndex: number, location: FileLocation, offset: number, views: readonly Uint8Array[]): Promise<void> {
    await this.#use(fileIndex, location, false, async ({ handle, quick }) => {
      const here = quick && this.#quick.allowed;
      this.#readHere = here;
      const read = here ? this.#quick.read(handle.fd, offset, views) : (await handle.readv(views, offset)).bytesRead;
      const expected = views.reduce((sum, view) => sum + view.length, 0);
      if (read !== expected) throw new PeerwireError('stale', 'The file is shorter than what was published.');
      if (location.kind !== 'published') return;
      // After the read, so that a change during it is seen as well.
      if (here) checkStampSync(location.path, location.stamp);
      else checkStamp(await this.#stats.after(location.path), location.stamp);
    });
  }

  async #write(fileIndex: number, location: FileLocation, offset: number, data: Uint8Array): Promise<void> {
    await this.#use(fileIndex, location, true, ({ handle }) => writeFully(handle, data, offset));
  }

  async #use<T>(
    fileIndex: number,
    location: FileLocation,
    writing: boolean,
    action: (opened: Opened) => Promise<T>,
  ): Promise<T> {
    const entry = this.#entry(fileIndex, location, writing);
    entry.users++;
    this.#evict();
    try {
      return await action(await entry.opened);
    } catch (error) {
      entry.retired = true;
      throw toPeerwireError(location.kind === 'published' ? goneStale(error) : error, 'Reading or writing a file');
    } finally {
      entry.users--;
      if (entry.retired) void this.#retire(entry);
    }
  }

  #entry(fileIndex: number, location: FileLocation, writing: boolean): OpenFile {
    let entry = this.#open.get(fileIndex);
    if (entry && writing && !entry.writable) {
      void this.#retire(entry);
      entry = undefined;
    }
    if (!entry) {
      let onClosed = (): void => {};
      const closed = new Promise<void>((resolve) => {
        onClosed = resolve;
      });
      const opened = this.#openFile(location, writing);
      entry = { fileIndex, writable: writing, opened, users: 0, retired: false, closed, onClosed };
      this.#all.add(entry);
    }
    // Re-insertion keeps the map in order of last use.
    this.#open.delete(fileIndex);
    this.#open.set(fileIndex, entry);
    return entry;
  }

  async #openFile(location: FileLocation, writing: boolean): Promise<Opened> {
    const access = writing ? constants.O_RDWR | constants.O_CREAT : constants.O_RDONLY;
    if (writing) await this.#makeParent(location.path);
    const handle = await open(location.path, access | CAREFUL, 0o600);
    if (location.kind === 'staged') return { handle, quick: false };
    const device = await checkHandle(handle, location.stamp);
    return { handle, quick: await isLocal(location.path, device) };
  }

  async #makeParent(path: string): Promise<void> {
    const parent = dirname(path);
    if (this.#made.has(parent)) return;
    await mkdir(parent, { recursive: true, mode: STAGED_FOLDER_MODE });
    this.#made.add(parent);
  }

  #evict(): void {
    if (this.#open.size <= OPEN_FILES) return;
    for (const entry of this.#open.values()) {
      if (this.#open.size <= OPEN_FILES) return;
      if (entry.users === 0) void this.#retire(entry);
    }
  }

  /** Resolves when it is closed, which its last user may have to do. */
  #retire(entry: OpenFile): Promise<void> {
    entry.retired = true;
    if (this.#open.get(entry.fileIndex) === entry) this.#open.delete(entry.fileIndex);
    if (entry.users > 0 || !this.#all.delete(entry)) return entry.closed;
    // A handle that failed to open has nothing to close, and a close that fails leaves nothing to do.
    void entry.opened
      .then(({ handle }) => handle.close())
      .catch(() => undefined)
      .then(entry.onClosed);
    return entry.closed;
  }
}

function outcomeOf(failure: PeerwireError): WriteOutcome {
  return failure.code === 'corrupt' ? 'wrong' : failure;
}

/** The one that holds all of these bytes. */
function sharedMemoryOf(views: readonly Uint8Array[]): SharedArrayBuffer | undefined {
  const buffer = views[0]?.buffer;
  if (!(buffer instanceof SharedArrayBuffer)) return undefined;
  return views.every((view) => view.buffer === buffer) ? buffer : undefined;
}

/** As `sha256Text`. */
function hashText(hash: Uint8Array): string {
  return asBuffer(hash).toString('latin1');
}

/**
 * Once for each opening: a folder above may have been another one for that moment. Closes what is another file. Resolves with
 * the device that it is on.
 */
async function checkHandle(handle: FileHandle, stamp: FileStamp): Promise<bigint> {
  try {
    const stat = await handle.stat({ bigint: true });
    checkStamp(stat, stamp);
    return stat.dev;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
