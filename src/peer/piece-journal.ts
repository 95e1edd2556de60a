import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FileStamp } from '../bittorrent/file-stamp.ts';
import { writeFully } from '../bittorrent/write-fully.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';

/** `PWJ2`, then the number of pieces and its check. */
const MAGIC = 0x50574a32;
const HEADER_SIZE = 12;
/** A piece index, or with one of these bits something else, and its check; both u32. */
const RECORD_SIZE = 8;
/** The piece is not there after all. */
const DROPPED = 0x8000_0000;
/** The rest is a file index; a stamp follows as text, padded with zeros. */
const STAMPED = 0x4000_0000;
const STAMP_SIZE = 88;
/** Milliseconds for which pieces are gathered: what a kill loses of them is found again when their file is rechecked. */
const GATHER_TIME = 50;

/**
 * Which pieces are verified and written: an append-only file, cheap to add to, that survives a kill at any moment. Every
 * record carries a check, so that a torn or zero-filled tail (power loss) is recognized and cut off. What is lost with it is
 * merely fetched again. Whether the pieces' own bytes are still there it cannot know, but it may hold the stamp of a file
 * after they were synced: as long as the file has that stamp, its pieces are as recorded.
 */
export class PieceJournal {
  readonly path: string;
  readonly pieceCount: number;
  readonly #bits: Uint8Array;
  readonly #written = new Emitter<readonly number[]>();
  /** Pieces whose records are in the file: a kill cannot take them back. */
  readonly onWritten: Event<readonly number[]> = this.#written.event;
  #count = 0;
  #handle: FileHandle | undefined;
  /** Bytes of whole records in the file. */
  #end: number;
  /** First words of records; stamps are written after what was added before them. */
  #pending: number[] = [];
  #pendingStamps: number[] = [];
  readonly #stamps = new Map<number, FileStamp>();
  #busy = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #error: PeerwireError | undefined;

  private constructor(path: string, pieceCount: number, handle: FileHandle, contents: Contents) {
    this.path = path;
    this.pieceCount = pieceCount;
    this.#bits = new Uint8Array(Math.ceil(pieceCount / 8));
    this.#handle = handle;
    this.#end = contents.size;
    for (const piece of contents.pieces) this.#mark(piece);
    this.#stamps = contents.stamps;
  }

  /** Removes the journal of a download that needs it no longer, if there is one. Rejects with the system's error. */
  static async remove(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  /** Loads or creates; a journal of another piece count, or no journal at all, is begun anew. Rejects with 'permission', 'disk-full', 'io'. */
  static async open(path: string, pieceCount: number): Promise<PieceJournal> {
    let handle: FileHandle | undefined;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      // 'a' creates without truncating; positions are given, which 'a' itself would ignore.
      await (await open(path, 'a', 0o600)).close();
      handle = await open(path, 'r+');
      const contents = readContents(await handle.readFile(), pieceCount);
      await handle.truncate(contents?.size ?? 0);
      if (!contents) await writeFully(handle, header(pieceCount), 0);
      const none: Contents = { size: HEADER_SIZE, pieces: new Set(), stamps: new Map() };
      return new PieceJournal(path, pieceCount, handle, contents ?? none);
    } catch (error) {
      await handle?.close();
      throw toPeerwireError(error, 'Opening the journal of a download');
    }
  }

  /** Number of pieces in it. */
  get count(): number {
    return this.#count;
  }

  has(piece: number): boolean {
    return ((this.#bits[piece >>> 3] ?? 0) & (0x80 >>> (piece & 7))) !== 0;
  }

  /** Call when the piece's bytes are written. Returns at once; the record follows with others, 50 ms later. A write error shows in `flush`. */
  add(piece: number): void {
    if (!Number.isInteger(piece) || piece < 0 || piece >= this.pieceCount) {
      throw new PeerwireError('internal', `There is no piece ${piece} in this journal.`);
    }
    if (this.has(piece)) return;
    this.#mark(piece);
    this.#pending.push(piece);
    // A record for each piece would cost a fast download a fortieth of its time.
    this.#timer ??= setTimeout(() => this.#write(), GATHER_TIME);
  }

  /** The piece turned out not to be there. */
  drop(piece: number): void {
    if (!this.has(piece)) return;
    const at = piece >>> 3;
    this.#bits[at] = (this.#bits[at] ?? 0) & ~(0x80 >>> (piece & 7));
    this.#count--;
    this.#pending.push(DROPPED + piece);
    this.#write();
  }

  /** What a staged file looked like with all that was added of it on disk; undefined when that was never recorded. */
  stampOf(fileIndex: number): FileStamp | undefined {
    return this.#stamps.get(fileIndex);
  }

  /** Call when the file's bytes are synced, and nothing is being written to it. */
  setStamp(fileIndex: number, stamp: FileStamp): void {
    if (this.#stamps.get(fileIndex) === stamp) return;
    this.#stamps.set(fileIndex, stamp);
    this.#pendingStamps.push(fileIndex);
    this.#write();
  }

  /** Resolves when all added pieces are written. Rejects with 'disk-full', 'permission', 'io', 'closed'; they stay pending then. */
  async flush(): Promise<void> {
    do {
      this.#write();
      await this.#writing;
    } while (this.#waiting && this.#handle && !this.#error);
    if (!this.#waiting) return;
    throw this.#error ?? new PeerwireError('closed', 'The journal of the download is closed.');
  }

  /** Never rejects: what cannot be written is merely fetched again. */
  async close(): Promise<void> {
    await this.flush().catch(() => undefined);
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.sync().catch(() => undefined);
    await handle?.close().catch(() => undefined);
  }

  /** Closes and removes the file. */
  async delete(): Promise<void> {
    this.#pending = [];
    this.#pendingStamps = [];
    await this.close();
    await PieceJournal.remove(this.path);
  }

  get #waiting(): boolean {
    return this.#pending.length > 0 || this.#pendingStamps.length > 0;
  }

  #mark(piece: number): void {
    if (this.has(piece)) return;
    const at = piece >>> 3;
    this.#bits[at] = (this.#bits[at] ?? 0) | (0x80 >>> (piece & 7));
    this.#count++;
  }

  /** One write at a time; what is added meanwhile goes with the next. */
  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#busy) return;
    this.#busy = true;
    this.#writing = this.#writePending();
  }

  async #writePending(): Promise<void> {
    try {
      this.#error = undefined;
      while (this.#waiting && this.#handle) {
        const batch = this.#pending;
        const stamped = this.#pendingStamps;
        const records = this.#encode(batch, stamped);
        this.#pending = [];
        this.#pendingStamps = [];
        try {
          await writeFully(this.#handle, records, this.#end);
        } catch (error) {
          this.#pending = [...batch, ...this.#pending];
          this.#pendingStamps = [...stamped, ...this.#pendingStamps];
          throw error;
        }
        this.#end += records.length;
        const added = batch.filter((word) => word < DROPPED);
        if (added.length > 0) this.#written.fire(added);
      }
    } catch (error) {
      this.#error = toPeerwireError(error, 'Writing the journal of a download');
    } finally {
      this.#busy = false;
    }
  }

  #encode(batch: readonly number[], stamped: readonly number[]): Buffer {
    const records = Buffer.alloc(batch.length * RECORD_SIZE + stamped.length * (RECORD_SIZE + STAMP_SIZE));
    let at = 0;
    const write = (word: number): void => {
      at = records.writeUInt32BE(check(word, this.pieceCount), records.writeUInt32BE(word, at));
    };
    for (const word of batch) write(word);
    for (const fileIndex of stamped) {
      write(STAMPED + fileIndex);
      records.write(this.#stamps.get(fileIndex) ?? '', at, STAMP_SIZE, 'latin1');
      at += STAMP_SIZE;
    }
    return records;
  }
}

interface Contents {
  /** Bytes up to the end of the last whole record. */
  readonly size: number;
  readonly pieces: ReadonlySet<number>;
  readonly stamps: Map<number, FileStamp>;
}

/** Undefined when these are not the bytes of a journal for this many pieces. */
function readContents(bytes: Buffer, pieceCount: number): Contents | undefined {
  if (bytes.length < HEADER_SIZE || !bytes.subarray(0, HEADER_SIZE).equals(header(pieceCount))) return undefined;
  const pieces = new Set<number>();
  const stamps = new Map<number, FileStamp>();
  let at = HEADER_SIZE;
  while (at + RECORD_SIZE <= bytes.length) {
    const word = bytes.readUInt32BE(at);
    if (bytes.readUInt32BE(at + 4) !== check(word, pieceCount)) break;
    if (word < STAMPED) {
      if (word >= pieceCount) break;
      pieces.add(word);
    } else if (word >= DROPPED) pieces.delete(word - DROPPED);
    else {
      const end = at + RECORD_SIZE + STAMP_SIZE;
      if (end > bytes.length) break;
      // A torn stamp is one that no file has.
      const text = bytes.toString('latin1', at + RECORD_SIZE, end).replace(/\0+$/, '');
      stamps.set(word - STAMPED, text as FileStamp);
      at += STAMP_SIZE;
    }
    at += RECORD_SIZE;
  }
  return { size: at, pieces, stamps };
}

function header(pieceCount: number): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(pieceCount, 4);
  bytes.writeUInt32BE(check(MAGIC, pieceCount), 8);
  return bytes;
}

/** Never 0 for piece 0 in practice, so that zeros are no record (Knuth's multiplicative hash). */
function check(value: number, pieceCount: number): number {
  return (~value ^ Math.imul(pieceCount, 2654435761)) >>> 0;
}
