/**
 * Copies `source[start, end)` into memory that may be shared. `TypedArray.set` copies from and into shared memory atomically,
 * word by word, at ten times the cost, and `Buffer.copy` of a whole source is `set` (Node 22 and later): so never the whole of
 * it in one go. Returns how many bytes it copied.
 */
export function copyBytes(source: Buffer, start: number, end: number, target: Uint8Array, targetStart: number): number {
  if (end <= start) return 0;
  target[targetStart] = source[start] ?? 0;
  source.copy(target, targetStart + 1, start + 1, end);
  return end - start;
}
