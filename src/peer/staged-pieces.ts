import { copyFile, mkdir, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Bitfield } from '../bittorrent/bitfield.ts';
import { type Info, pieceAt } from '../bittorrent/metainfo.ts';
import { PeerwireError } from '../common/errors.ts';
import { fileOf, piecesOf } from './download-record.ts';
import type { HashPool } from './hash-pool.ts';
import type { PieceJournal } from './piece-journal.ts';

export interface StagedPiecesOptions {
  readonly info: Info;
  readonly stagedPath: (fileIndex: number) => string;
  /** Gets the pieces that need not be fetched. */
  readonly have: Bitfield;
  readonly journal: PieceJournal;
  readonly pool: HashPool;
  readonly signal: AbortSignal;
}

/** What of a download need not be fetched: pieces of earlier runs that are still staged, and copies of local files. */
export class StagedPieces {
  readonly #options: StagedPiecesOptions;
  readonly #resumed: number[] = [];

  constructor(options: StagedPiecesOptions) {
    this.#options = options;
  }

  /** Takes over what earlier runs verified of a file, as far as its bytes are still there. */
  async resume(fileIndex: number): Promise<void> {
    const { info, journal, have, stagedPath } = this.#options;
    const recorded = piecesOf(fileOf(info, fileIndex)).filter((piece) => journal.has(piece));
    if (recorded.length === 0) return;
    const size = (await stat(stagedPath(fileIndex)).catch(() => undefined))?.size ?? 0;
    const there = recorded.filter((piece) => {
      const { offset, length } = pieceAt(info, piece);
      return offset + length <= size;
    });
    for (const piece of there) have.add(piece);
    if (there.length > 0) this.#resumed.push(fileIndex);
  }

  /** Copies content that is on this disk already, and takes it when it is what it should be. */
  async reuse(fileIndex: number, copyFrom: string): Promise<void> {
    const { info, journal, have } = this.#options;
    const file = fileOf(info, fileIndex);
    const pieces = piecesOf(file);
    if (!file.root || pieces.every((piece) => have.has(piece))) return;
    const staged = this.#options.stagedPath(fileIndex);
    await mkdir(dirname(staged), { recursive: true, mode: 0o700 });
    await copyFile(copyFrom, staged);
    if (!(await this.#isRight(fileIndex))) return;
    for (const piece of pieces) {
      have.add(piece);
      journal.add(piece);
    }
  }

  /**
   * A power loss can keep the journal and lose the bytes: what earlier runs left is hashed once more before it is placed.
   * Rejects with `corrupt`, and forgets it, so that a retry fetches it again.
   */
  async check(): Promise<void> {
    for (const fileIndex of this.#resumed) {
      if (await this.#isRight(fileIndex)) continue;
      await rm(this.#options.stagedPath(fileIndex), { force: true });
      await this.#options.journal.delete();
      throw new PeerwireError(
        'corrupt',
        'What was downloaded earlier was damaged on this disk; retry to fetch it again.',
      );
    }
  }

  async #isRight(fileIndex: number): Promise<boolean> {
    const { info, pool, signal, stagedPath } = this.#options;
    const { root, length } = fileOf(info, fileIndex);
    const hash = await pool.hashFile(
      { path: stagedPath(fileIndex), size: length },
      { pieceLength: info.pieceLength, signal },
    );
    return root !== undefined && hash.root?.equals(root) === true;
  }
}
