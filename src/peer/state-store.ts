import { PeerwireError } from '../common/errors.ts';

/**
 * Small files of state in one private (0700) directory. A write is atomic and durable (temporary file, fsync, rename):
 * after a crash the file is either the old or the new one.
 */
export class StateStore {
  readonly dir: string;

  /** `report` hears one sentence about each corrupt file that was set aside as `<name>.corrupt-<n>`. */
  constructor(dir: string, report: (message: string) => void = () => {}) {
    this.dir = dir;
    void report;
  }

  /** The parsed file, or undefined when there is none. What does not parse (JSON, or `parse` throws) is set aside and reported. */
  async readJson(name: string): Promise<unknown>;
  async readJson<T>(name: string, parse: (value: unknown) => T): Promise<T | undefined>;
  async readJson(name: string, parse?: (value: unknown) => unknown): Promise<unknown> {
    throw new PeerwireError('internal', `readJson is not written yet (${name}, ${String(parse)})`);
  }

  /** Resolves when the value, or a later one of the same name, is on disk. */
  async writeJson(name: string, value: unknown): Promise<void> {
    throw new PeerwireError('internal', `writeJson is not written yet (${name}, ${String(value)})`);
  }

  async readBytes(name: string): Promise<Buffer | undefined> {
    throw new PeerwireError('internal', `readBytes is not written yet (${name})`);
  }

  async writeBytes(name: string, value: Uint8Array): Promise<void> {
    throw new PeerwireError('internal', `writeBytes is not written yet (${name}, ${value.length})`);
  }

  /** Deletes a file; none there is fine. */
  async delete(name: string): Promise<void> {
    throw new PeerwireError('internal', `delete is not written yet (${name})`);
  }

  /** Names of all files, without temporary and corrupt ones. */
  async list(): Promise<string[]> {
    throw new PeerwireError('internal', 'list is not written yet');
  }

  /** Resolves when all writes so far have ended. */
  async flush(): Promise<void> {}
}

/** Which pieces are verified and on disk: an append-only file, cheap to add to, that survives a kill at any moment. */
export class PieceJournal {
  readonly path: string;
  readonly pieceCount: number;

  /** Loads or creates; a journal of another piece count, or not a journal, starts empty. */
  static async open(path: string, pieceCount: number): Promise<PieceJournal> {
    return new PieceJournal(path, pieceCount);
  }

  private constructor(path: string, pieceCount: number) {
    this.path = path;
    this.pieceCount = pieceCount;
  }

  /** Number of pieces in it. */
  get count(): number {
    return 0;
  }

  has(piece: number): boolean {
    void piece;
    return false;
  }

  /** Call when the piece's bytes are written. Returns at once; the record follows in a batch. A write error shows in `flush`. */
  add(piece: number): void {
    void piece;
  }

  /** Resolves when all added pieces are written. */
  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  /** Closes and removes the file. */
  async delete(): Promise<void> {}
}
