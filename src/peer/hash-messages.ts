import type { FilePart, PartFailure } from '../bittorrent/file-parts.ts';
import type { RangeResult, RangeTask } from './files/hash-range.ts';

/** What HashPool asks a worker. */
export type HashRequest =
  | {
      readonly type: 'blocks';
      readonly id: number;
      readonly data: SharedArrayBuffer;
      readonly offset: number;
      readonly length: number;
    }
  | {
      readonly type: 'ranges';
      readonly id: number;
      readonly pieceLength: number;
      readonly ranges: readonly RangeTask[];
    }
  | {
      readonly type: 'read' | 'write';
      readonly id: number;
      readonly data: SharedArrayBuffer;
      readonly parts: readonly FilePart[];
    };

/** What the worker answers; a file that fails is a result, not an error of the worker. */
export type HashResponse =
  | { readonly type: 'blocks'; readonly id: number; readonly leaves: Uint8Array }
  | { readonly type: 'ranges'; readonly id: number; readonly results: readonly RangeResult[] }
  | { readonly type: 'parts'; readonly id: number; readonly failures: readonly PartFailure[] };
