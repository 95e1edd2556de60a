import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import type { ActivePiece } from './active-piece.ts';
import { BLOCK_SIZE, blockCount, HASH_SIZE, pieceRoot } from './merkle.ts';
import { type Info, type PieceLayers, pieceAt, pieceHash } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import type { SmallRun } from './small-run.ts';
import type { SourceAccounts } from './source-accounts.ts';
import type { Storage, VerifiedFile, WriteOutcome } from './storage.ts';

/** Pieces up to this size are hashed where they arrive: a hop to a worker would cost more than it saves. */
export const HASH_HERE = 64 * 1024;

/** Leaf hashes of a piece's blocks; worker threads behind it. */
export interface BlockHasher {
  hashBlocks(data: SharedArrayBuffer, offset: number, length: number): Promise<Buffer>;
  hashBlocksSync(data: Uint8Array): Buffer;
  /**
   * Hashes the piece and, when it is right, writes it from the same thread. Resolves with undefined when it is written, with
   * its leaf hashes when it is wrong and was not. Rejects as a write does. Absent where no thread can write.
   */
  writeIfRight?(piece: PieceToWrite): Promise<Buffer | undefined>;
}

export interface PieceToWrite {
  readonly data: SharedArrayBuffer;
  /** Where its bytes begin there. */
  readonly offset: number;
  readonly length: number;
  /** What `pieceRoot` is to be. */
  readonly expected: Buffer;
  readonly pieceLength: number;
  /** Bytes of the whole file. */
  readonly fileLength: number;
  readonly descriptor: number;
  /** Where in the file. */
  readonly position: number;
}

/**
 * `written`: it is right and on disk. `stopped`: nobody wants it any more. `wrong`: to be fetched again whole. `mended`:
 * the wrong blocks were discarded, the others are kept. `liars` provably sent something wrong.
 */
export type Verdict =
  | { readonly outcome: 'written' }
  | { readonly outcome: 'stopped' }
  | { readonly outcome: 'wrong' | 'mended'; readonly liars: ReadonlySet<PeerSession> };

const NOTHING = Buffer.alloc(0);
const WRITTEN: Verdict = { outcome: 'written' };
const STOPPED: Verdict = { outcome: 'stopped' };

export interface PieceVerifierOptions {
  readonly info: Info;
  readonly layers: PieceLayers;
  readonly storage: () => Storage;
  readonly hasher: BlockHasher;
  readonly accounts: SourceAccounts;
  /** Asks peers for the leaf hashes of a piece; undefined when none could be proven. */
  readonly leafHashes: (piece: number) => Promise<Buffer | undefined>;
}

/** Hashes complete pieces in memory, writes the right ones in one go, and finds out who sent what was wrong. */
export class PieceVerifier {
  readonly #options: PieceVerifierOptions;
  #stopped = false;

  constructor(options: PieceVerifierOptions) {
    this.#options = options;
  }

  /** Nothing is written or blamed from now on. */
  stop(): void {
    this.#stopped = true;
  }

  /** The piece is a whole file of one block: many of those go together. */
  isSmall(active: ActivePiece<PeerSession>): boolean {
    return pieceAt(this.#options.info, active.index).file.length <= BLOCK_SIZE;
  }

  /** The same as `verify` for pieces that pass `isSmall`, by position: an error is what writing one threw. Never rejects. */
  async verifySmall(pieces: readonly ActivePiece<PeerSession>[]): Promise<readonly (Verdict | PeerwireError)[]> {
    const outcomes = await this.#writeFiles(pieces.map(({ index, buffer }) => this.#fileAt(index, buffer.bytes)));
    return pieces.map((active, position) => {
      const outcome = outcomes[position];
      if (outcome === 'written') return this.#written(active);
      if (this.#stopped) return STOPPED;
      // It is one block: who sent it is clear.
      if (outcome === 'wrong') return { outcome, liars: active.senders() };
      return outcome ?? new PeerwireError('internal', 'Nobody wrote the piece.');
    });
  }

  /**
   * Writes those files of a run that are right and says what became of each, by position; `stopped` when nobody wants them any
   * more. Never rejects.
   */
  async verifyRun({ first, count, buffer, peer }: SmallRun): Promise<readonly WriteOutcome[] | 'stopped'> {
    const { info, accounts } = this.#options;
    const files: VerifiedFile[] = [];
    for (let position = 0, at = 0; position < count; position++) {
      const end = at + pieceAt(info, first + position).length;
      files.push(this.#fileAt(first + position, buffer.bytes.subarray(at, end)));
      at = end;
    }
    const outcomes = await this.#writeFiles(files);
    if (this.#stopped) return 'stopped';
    for (const [position, outcome] of outcomes.entries())
      if (outcome === 'written') accounts.credit(peer.source, files[position]?.data.length ?? 0);
    return outcomes;
  }

  #fileAt(piece: number, data: Uint8Array): VerifiedFile {
    const { file, fileIndex } = pieceAt(this.#options.info, piece);
    return { fileIndex, data, root: file.root ?? NOTHING };
  }

  /** What became of each, by position, as far as it was not stopped before. Never rejects. */
  async #writeFiles(files: readonly VerifiedFile[]): Promise<readonly WriteOutcome[]> {
    if (this.#stopped) return [];
    try {
      const storage = this.#options.storage();
      return (await storage.writeVerified?.(files)) ?? (await this.#oneByOne(storage, files));
    } catch (error) {
      const failure = toPeerwireError(error);
      return files.map(() => failure);
    }
  }

  /** Where content is not in files. */
  async #oneByOne(storage: Storage, files: readonly VerifiedFile[]): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    for (const { fileIndex, data, root } of files) {
      if (this.#stopped) break;
      if (!this.#options.hasher.hashBlocksSync(data).equals(root)) outcomes.push('wrong');
      else outcomes.push(await storage.write(fileIndex, 0, data).then(() => 'written' as const, toPeerwireError));
    }
    return outcomes;
  }

  /** Throws what writing threw. */
  async verify(active: ActivePiece<PeerSession>): Promise<Verdict> {
    const { info, layers } = this.#options;
    const expected = pieceHash(info, layers, active.index);
    if (!expected) throw new PeerwireError('internal', 'A piece was fetched before its hash was known.');
    const wrong = await this.#writeIfRight(active, expected);
    if (wrong === 'stopped') return STOPPED;
    if (wrong) return await this.#blame(active, wrong, expected);
    return this.#written(active);
  }

  #written(active: ActivePiece<PeerSession>): Verdict {
    for (let block = 0; block < active.blocks; block++) {
      const sender = active.sender(block);
      if (sender) this.#options.accounts.credit(sender.source, active.blockLength(block));
    }
    return WRITTEN;
  }

  /** Undefined when it is right and on disk; its leaf hashes when it is wrong. */
  async #writeIfRight(active: ActivePiece<PeerSession>, expected: Buffer): Promise<Buffer | 'stopped' | undefined> {
    const { info, hasher } = this.#options;
    const { fileIndex, offset, file } = pieceAt(info, active.index);
    const { shared, offset: start, bytes } = active.buffer;
    const storage = this.#options.storage();
    const { writeIfRight } = hasher;
    if (active.length > HASH_HERE && writeIfRight) {
      const piece = {
        data: shared,
        offset: start,
        length: active.length,
        expected,
        pieceLength: info.pieceLength,
        fileLength: file.length,
        position: offset,
      };
      const writing = storage.writeBy?.(fileIndex, (descriptor) => writeIfRight.call(hasher, { ...piece, descriptor }));
      if (writing) {
        const wrong = await writing;
        return wrong && this.#stopped ? 'stopped' : wrong;
      }
    }
    const leaves =
      active.length <= HASH_HERE ? hasher.hashBlocksSync(bytes) : await hasher.hashBlocks(shared, start, active.length);
    if (this.#stopped) return 'stopped';
    if (!this.#rootOf(active.index, leaves).equals(expected)) return leaves;
    await storage.write(fileIndex, offset, bytes);
    return undefined;
  }

  /** With one sender it is clear who; otherwise the leaf hashes tell. */
  async #blame(active: ActivePiece<PeerSession>, leaves: Buffer, expected: Buffer): Promise<Verdict> {
    const senders = active.senders();
    if (senders.size === 1) return { outcome: 'wrong', liars: senders };
    const proven = await this.#options.leafHashes(active.index);
    if (this.#stopped) return STOPPED;
    // Nobody could prove the leaves: fetch the piece again, from one peer alone if need be.
    if (!proven || !this.#rootOf(active.index, proven).equals(expected)) return { outcome: 'wrong', liars: new Set() };
    const liars = new Set<PeerSession>();
    for (let block = 0; block < active.blocks; block++) {
      const at = block * HASH_SIZE;
      if (leaves.compare(proven, at, at + HASH_SIZE, at, at + HASH_SIZE) === 0) continue;
      const sender = active.sender(block);
      if (sender) liars.add(sender);
      active.discard(block);
    }
    return { outcome: 'mended', liars };
  }

  #rootOf(piece: number, leaves: Buffer): Buffer {
    const { info } = this.#options;
    return pieceRoot(leaves, info.pieceLength, blockCount(pieceAt(info, piece).file.length));
  }
}
