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
    };

/** What the worker answers; a file that fails is a result, not an error of the worker. */
export type HashResponse =
  | { readonly type: 'blocks'; readonly id: number; readonly leaves: Uint8Array }
  | { readonly type: 'ranges'; readonly id: number; readonly results: readonly RangeResult[] };
