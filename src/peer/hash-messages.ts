import type { PartsResult } from '../bittorrent/file-parts.ts';
import type { PieceToWrite } from '../bittorrent/piece-verifier.ts';
import type { ErrorCode } from '../common/errors.ts';
import type { FinishResult, StagedFile } from './files/finish-staged.ts';
import type { RangeTask } from './files/hash-range.ts';
import type { SmallFilesResult, SmallFilesTask } from './files/hash-small.ts';
import type { PackedParts } from './files/packed-parts.ts';
import type { PackedRanges } from './files/packed-ranges.ts';
import type { PackedFiles, PackedWalk } from './files/packed-walk.ts';

/** What HashPool asks a worker. */
export type HashRequest =
  | {
      readonly type: 'blocks';
      readonly id: number;
      readonly data: SharedArrayBuffer;
      readonly offset: number;
      readonly length: number;
    }
  /** See `BlockHasher.writeIfRight`. `expected` in hexadecimal: a Buffer would bring along all the memory that it is a part of. */
  | (Omit<PieceToWrite, 'expected'> & { readonly type: 'piece'; readonly id: number; readonly expected: string })
  | {
      readonly type: 'ranges';
      readonly id: number;
      readonly pieceLength: number;
      readonly ranges: readonly RangeTask[];
    }
  | (SmallFilesTask & { readonly type: 'small'; readonly id: number })
  | {
      readonly type: 'read' | 'write';
      readonly id: number;
      readonly data: SharedArrayBuffer;
      readonly parts: PackedParts;
    }
  | { readonly type: 'finish'; readonly id: number; readonly files: readonly StagedFile[]; readonly mode: number }
  | { readonly type: 'walk'; readonly id: number; readonly path: string; readonly includeSecrets: boolean }
  /** Which of these files look otherwise now. `paths` and `stamps` with NUL between them. */
  | { readonly type: 'changed'; readonly id: number; readonly paths: string; readonly stamps: string }
  /** The request of this id is no longer wanted; a walk ends early. */
  | { readonly type: 'cancel'; readonly id: number };

/** What the worker answers; a file that fails is a result, not an error of the worker. */
export type HashResponse =
  | { readonly type: 'blocks'; readonly id: number; readonly leaves: Uint8Array }
  | { readonly type: 'piece'; readonly id: number; readonly outcome: PieceOutcome }
  | { readonly type: 'ranges'; readonly id: number; readonly results: PackedRanges }
  | (SmallFilesResult & { readonly type: 'small'; readonly id: number })
  | { readonly type: 'parts'; readonly id: number; readonly result: PartsResult }
  | { readonly type: 'finish'; readonly id: number; readonly result: FinishResult }
  | { readonly type: 'progress'; readonly id: number; readonly files: number; readonly size: number }
  /** Files that a walk found, all before its result. */
  | { readonly type: 'found'; readonly id: number; readonly files: PackedFiles }
  | { readonly type: 'walk'; readonly id: number; readonly result: PackedWalk | Failure }
  /** By position. */
  | { readonly type: 'changed'; readonly id: number; readonly positions: readonly number[] };

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

export type PieceOutcome =
  | { readonly type: 'written' }
  | { readonly type: 'wrong'; readonly leaves: Uint8Array }
  /** Writing failed. */
  | (Failure & { readonly type: 'failed' });
