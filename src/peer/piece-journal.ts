import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';

/** `PWJ1`, then the number of pieces and its check. */
const MAGIC = 0x50574a31;
const HEADER_SIZE = 12;
/** A piece index and its check, both u32. */
const RECORD_SIZE = 8;

/**
 * Which pieces are verified and written: an append-only file, cheap to add to, that survives a kill at any moment. Every
 * record carries a check, so that a torn or zero-filled tail (power loss) is recognized and cut off. What is lost with it is
 * merely fetched again; whether the pieces' own bytes survived a power loss, this file cannot know.
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
  #pending: number[] = [];
  #busy = false;
  #writing: Promise<void> | undefined;
  #error: PeerwireError | undefined;

  private constructor(path: string, pieceCount: number, handle: FileHandle, pieces: readonly number[]) {
    this.path = path;
    this.pieceCount = pieceCount;
    this.#bits = new Uint8Array(Math.ceil(pieceCount / 8));
    this.#handle = handle;
    this.#end = HEADER_SIZE + pieces.length * RECORD_SIZE;
    for (const piece of pieces) this.#mark(piece);
  }

  /** Loads or creates; a journal of another piece count, or no journal at all, is begun anew. Rejects with 'permission', 'disk-full', 'io'. */
  static async open(path: string, pieceCount: number): Promise<PieceJournal> {
    let handle: FileHandle | undefined;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      // 'a' creates without truncating; positions are given, which 'a' itself would ignore.
      await (await open(path, 'a', 0o600)).close();
      handle = await open(path, 'r+');
      const pieces = readPieces(await handle.readFile(), pieceCount);
      await handle.truncate(pieces ? HEADER_SIZE + pieces.length * RECORD_SIZE : 0);
      if (!pieces) await writeFully(handle, header(pieceCount), 0);
      return new PieceJournal(path, pieceCount, handle, pieces ?? []);
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

  /** Call when the piece's bytes are written. Returns at once; the record follows in a batch. A write error shows in `flush`. */
  add(piece: number): void {
    if (!Number.isInteger(piece) || piece < 0 || piece >= this.pieceCount) {
      throw new PeerwireError('internal', `There is no piece ${piece} in this journal.`);
    }
    if (this.has(piece)) return;
    this.#mark(piece);
    this.#pending.push(piece);
    this.#write();
  }

  /** Resolves when all added pieces are written. Rejects with 'disk-full', 'permission', 'io', 'closed'; they stay pending then. */
  async flush(): Promise<void> {
    do {
      this.#write();
      await this.#writing;
    } while (this.#pending.length > 0 && this.#handle && !this.#error);
    if (this.#pending.length === 0) return;
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
    await this.close();
    await rm(this.path, { force: true });
  }

  #mark(piece: number): void {
    if (this.has(piece)) return;
    const at = piece >>> 3;
    this.#bits[at] = (this.#bits[at] ?? 0) | (0x80 >>> (piece & 7));
    this.#count++;
  }

  /** One write at a time; what is added meanwhile goes with the next. */
  #write(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#writing = this.#writePending();
  }

  async #writePending(): Promise<void> {
    try {
      this.#error = undefined;
      while (this.#pending.length > 0 && this.#handle) {
        const batch = this.#pending;
        const records = Buffer.allocUnsafe(batch.length * RECORD_SIZE);
        for (const [index, piece] of batch.entries()) {
          records.writeUInt32BE(piece, index * RECORD_SIZE);
          records.writeUInt32BE(check(piece, this.pieceCount), index * RECORD_SIZE + 4);
        }
        this.#pending = [];
        try {
          await writeFully(this.#handle, records, this.#end);
        } catch (error) {
          this.#pending = [...batch, ...this.#pending];
          throw error;
        }
        this.#end += records.length;
        this.#written.fire(batch);
      }
    } catch (error) {
      this.#error = toPeerwireError(error, 'Writing the journal of a download');
    } finally {
      this.#busy = false;
    }
  }
}

/** The pieces of a journal, or undefined when these are not the bytes of a journal for this many pieces. */
function readPieces(bytes: Buffer, pieceCount: number): number[] | undefined {
  if (bytes.length < HEADER_SIZE || !bytes.subarray(0, HEADER_SIZE).equals(header(pieceCount))) return undefined;
  const pieces: number[] = [];
  for (let at = HEADER_SIZE; at + RECORD_SIZE <= bytes.length; at += RECORD_SIZE) {
    const piece = bytes.readUInt32BE(at);
    if (piece >= pieceCount || bytes.readUInt32BE(at + 4) !== check(piece, pieceCount)) break;
    pieces.push(piece);
  }
  return pieces;
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

async function writeFully(handle: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await handle.write(data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}
