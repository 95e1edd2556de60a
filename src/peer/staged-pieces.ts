import { copyFile, lstat, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Bitfield } from '../bittorrent/bitfield.ts';
import { STAGED_FOLDER_MODE } from '../bittorrent/file-parts.ts';
import { readStamp, stampOf } from '../bittorrent/file-stamp.ts';
import { HASH_SIZE } from '../bittorrent/merkle.ts';
import { fileAt, type Info, type PieceLayers, pieceAt, pieceHash } from '../bittorrent/metainfo.ts';
import { abortable } from '../common/abort.ts';
import { piecesOf } from './download-record.ts';
import type { RangeToHash } from './files/hash-in-ranges.ts';
import { syncFile } from './files/sync.ts';
import type { HashPool } from './hash-pool.ts';
import type { PieceJournal } from './piece-journal.ts';

/** Bytes hashed at a time, so that all workers share one file and progress shows. */
const RANGE_SIZE = 16 << 20;
/** From this many bytes on a file is sealed when it is complete: syncing a smaller one costs more than hashing it again. */
const SEAL_SIZE = 16 << 20;
/** Milliseconds that syncing may take when a download stops. What is not recorded then is hashed again instead. */
const SEAL_TIME = 2_000;

export interface StagedPiecesOptions {
  readonly info: Info;
  readonly layers: PieceLayers;
  readonly stagedPath: (fileIndex: number) => string;
  /** Gets the pieces that need not be fetched. */
  readonly have: Bitfield;
  readonly journal: PieceJournal;
  readonly pool: HashPool;
  readonly signal: AbortSignal;
  /** Called with the bytes looked at since the last call. */
  readonly onProgress: (bytes: number) => void;
}

interface Run extends RangeToHash {
  readonly pieces: number[];
}

/** What of a download need not be fetched: pieces of earlier runs that are still staged, and copies of local files. */
export class StagedPieces {
  readonly #options: StagedPiecesOptions;
  /** Files of which the journal says more than we know. */
  readonly #doubtful = new Set<number>();
  /** One file is synced at a time. */
  #sealing: Promise<void> = Promise.resolve();

  constructor(options: StagedPiecesOptions) {
    this.#options = options;
  }

  /**
   * Takes over what earlier runs verified: of files that look as they did when they were sealed as it is, of others (after a
   * kill, a power loss) what is still right, piece by piece. Rejects with 'cancelled', 'closed'.
   */
  async resume(fileIndexes: readonly number[]): Promise<void> {
    await this.#take(fileIndexes, true);
  }

  /** The same, but all of it is hashed, whatever the files look like. */
  async recheck(fileIndexes: readonly number[]): Promise<void> {
    await this.#take(fileIndexes, false);
  }

  async #take(fileIndexes: readonly number[], trusting: boolean): Promise<void> {
    const { info, journal, have, stagedPath, onProgress } = this.#options;
    if (journal.count === 0) return;
    const runs: Run[] = [];
    for (const fileIndex of fileIndexes) this.#doubtful.add(fileIndex);
    for (const fileIndex of fileIndexes) {
      const recorded = piecesOf(fileAt(info, fileIndex)).filter((piece) => journal.has(piece));
      if (recorded.length === 0) continue;
      const stats = await lstat(stagedPath(fileIndex), { bigint: true }).catch(() => undefined);
      const size = stats?.isFile() ? Number(stats.size) : 0;
      const there = recorded.filter((piece) => endOf(info, piece) <= size);
      for (const piece of recorded) if (endOf(info, piece) > size) journal.drop(piece);
      if (trusting && stats && journal.stampOf(fileIndex) === stampOf(stats)) {
        for (const piece of there) {
          have.add(piece);
          onProgress(pieceAt(info, piece).length);
        }
      } else runs.push(...this.#runs(fileIndex, there, size));
    }
    await this.#check(runs);
    this.#doubtful.clear();
  }

  /** Copies content that is on this disk already, and takes what of it is as it should be. */
  async reuse(fileIndex: number, copyFrom: string): Promise<void> {
    const { info, have } = this.#options;
    const file = fileAt(info, fileIndex);
    const pieces = piecesOf(file);
    if (!file.root || pieces.every((piece) => have.has(piece))) return;
    const staged = this.#options.stagedPath(fileIndex);
    await mkdir(dirname(staged), { recursive: true, mode: STAGED_FOLDER_MODE });
    // Over what was staged of it.
    this.#doubtful.add(fileIndex);
    await copyFile(copyFrom, staged);
    const size = Number((await lstat(staged, { bigint: true })).size);
    const there = pieces.filter((piece) => endOf(info, piece) <= size);
    for (const piece of pieces.slice(there.length)) this.#lack(piece);
    await this.#check(this.#runs(fileIndex, there, size));
    this.#doubtful.delete(fileIndex);
  }

  /**
   * Call when a piece was written and added to the journal. Seals a big file when it is complete, so that a kill costs the
   * hashing of unfinished files only. (Of those no stamp would last: every write changes it.) Takes its time in the background.
   */
  arrived(piece: number): void {
    const { info, have } = this.#options;
    const { fileIndex } = pieceAt(info, piece);
    const file = fileAt(info, fileIndex);
    if (file.length < SEAL_SIZE || this.#doubtful.has(fileIndex)) return;
    // What is fetched in order lacks its end.
    for (let index = file.pieceCount - 1; index >= 0; index--) if (!have.has(file.firstPiece + index)) return;
    this.#sealing = this.#sealing.then(() => this.#seal(fileIndex, () => false));
  }

  /**
   * Syncs what is staged, the biggest files first, and records what it looks like, so that the next run need not hash it.
   * Nothing may be written meanwhile. Never rejects.
   */
  async seal(fileIndexes: readonly number[]): Promise<void> {
    const { info, journal } = this.#options;
    const files = fileIndexes
      .filter((fileIndex) => !this.#doubtful.has(fileIndex))
      .map((fileIndex) => ({ fileIndex, file: fileAt(info, fileIndex) }))
      .filter(({ file }) => piecesOf(file).some((piece) => journal.has(piece)))
      .sort((a, b) => b.file.length - a.file.length);
    let late = false;
    let timer: NodeJS.Timeout | undefined;
    const time = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        late = true;
        resolve();
      }, SEAL_TIME);
    });
    const sealAll = async (): Promise<void> => {
      await this.#sealing;
      for (const { fileIndex } of files) if (!late) await this.#seal(fileIndex, () => late);
    };
    await Promise.race([sealAll(), time]);
    clearTimeout(timer);
  }

  /**
   * Resolves when big files would survive a power loss, so that they may be said to be complete; of others it says nothing:
   * syncing each of many costs more than fetching them again. Resolves with the big ones; rejects with what the disk says only
   * now ('disk-full', 'io'), 'cancelled', 'closed'.
   */
  async sync(fileIndexes: readonly number[]): Promise<readonly number[]> {
    const { info, journal, stagedPath, signal } = this.#options;
    await abortable(signal, this.#sealing);
    const big = fileIndexes.filter((index) => fileAt(info, index).length >= SEAL_SIZE);
    for (const index of big) {
      const path = stagedPath(index);
      const sealed = journal.stampOf(index);
      if (sealed !== undefined && (await readStamp(path).catch(() => undefined)) === sealed) continue;
      await abortable(signal, syncFile(path));
    }
    return big;
  }

  async #seal(fileIndex: number, isLate: () => boolean): Promise<void> {
    const { journal, stagedPath } = this.#options;
    const path = stagedPath(fileIndex);
    try {
      if (journal.stampOf(fileIndex) === (await readStamp(path))) return;
      const handle = await open(path, 'r+');
      try {
        await handle.datasync();
        const stamp = stampOf(await handle.stat({ bigint: true }));
        if (!isLate()) journal.setStamp(fileIndex, stamp);
      } finally {
        await handle.close();
      }
    } catch {
      // What is not sealed is hashed again: no harm.
    }
  }

  /** Consecutive pieces together, up to some size. */
  #runs(fileIndex: number, pieces: readonly number[], size: number): Run[] {
    const { info, stagedPath } = this.#options;
    const runs: { -readonly [Key in keyof Run]: Run[Key] }[] = [];
    for (const piece of pieces) {
      const { offset, length } = pieceAt(info, piece);
      const last = runs.at(-1);
      if (last && last.pieces.at(-1) === piece - 1 && last.length < RANGE_SIZE) {
        last.pieces.push(piece);
        last.length += length;
      } else {
        const fullSize = fileAt(info, fileIndex).length;
        runs.push({ path: stagedPath(fileIndex), size, fullSize, start: offset, length, pieces: [piece] });
      }
    }
    return runs;
  }

  async #check(runs: readonly Run[]): Promise<void> {
    if (runs.length === 0) return;
    const { info, layers, have, journal, pool, signal, onProgress } = this.#options;
    const results = await pool.hashPieces(runs, { pieceLength: info.pieceLength, signal, onProgress });
    for (const [index, { pieces }] of runs.entries()) {
      const hashes = results[index];
      for (const [position, piece] of pieces.entries()) {
        const at = position * HASH_SIZE;
        const expected = pieceHash(info, layers, piece);
        const right = Buffer.isBuffer(hashes) && expected?.equals(hashes.subarray(at, at + HASH_SIZE)) === true;
        if (!right) this.#lack(piece);
        else {
          have.add(piece);
          journal.add(piece);
        }
      }
    }
  }

  #lack(piece: number): void {
    this.#options.have.delete(piece);
    this.#options.journal.drop(piece);
  }
}

/** Where a piece ends in its file. */
function endOf(info: Info, piece: number): number {
  const { offset, length } = pieceAt(info, piece);
  return offset + length;
}
