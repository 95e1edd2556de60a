import type { RangeResult } from './hash-range.ts';

/**
 * Results with all their hashes in one piece of memory. Handed to another thread as they are, each would bring along the
 * memory that its hashes are a part of, and be copied by itself.
 */
export interface PackedRanges {
  readonly hashes: Uint8Array;
  readonly results: readonly (Failed | Omit<Hashed, 'hashes'>)[];
  /** Bytes of `hashes` that belong to each. */
  readonly lengths: Uint32Array;
}

type Hashed = Extract<RangeResult, { ok: true }>;
type Failed = Extract<RangeResult, { ok: false }>;

export function packRanges(results: readonly RangeResult[]): PackedRanges {
  const lengths = Uint32Array.from(results, (result) => (result.ok ? result.hashes.length : 0));
  const hashes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  const packed = results.map((result) => {
    if (!result.ok) return result;
    const { hashes: own, ...rest } = result;
    hashes.set(own, at);
    at += own.length;
    return rest;
  });
  return { hashes, results: packed, lengths };
}

export function unpackRanges({ hashes, results, lengths }: PackedRanges): RangeResult[] {
  let at = 0;
  return results.map((result, position) => {
    if (!result.ok) return result;
    const start = at;
    at += lengths[position] ?? 0;
    return { ...result, hashes: hashes.subarray(start, at) };
  });
}
