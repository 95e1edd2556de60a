import { fstatSync, ftruncateSync, readSync } from 'node:fs';

const ZEROS = Buffer.alloc(64 * 1024);
/** What the file is read into; a worker thread does one thing at a time. */
const scratch = Buffer.alloc(ZEROS.length);

/** True when every byte is 0; quick where one of the first is not. */
export function isAllZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (ZEROS.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

/**
 * Makes sure that a file reads as zeros from byte `position` on, for `length` bytes, without writing any: a hole takes no
 * disk. False when something else is there, so that zeros have to be written. A file that ends before gets its whole size,
 * `fileLength`, which cuts off nothing that another thread writes meanwhile. Blocks.
 */
export function leaveHole(descriptor: number, position: number, length: number, fileLength: number): boolean {
  try {
    const { size } = fstatSync(descriptor);
    if (size < position + length) ftruncateSync(descriptor, fileLength);
    const end = Math.min(position + length, size);
    for (let at = position; at < end; ) {
      const read = readSync(descriptor, scratch, 0, Math.min(scratch.length, end - at), at);
      if (read === 0 || !isAllZero(scratch.subarray(0, read))) return false;
      at += read;
    }
    return true;
  } catch {
    // Writing says what is wrong with the file, if anything is.
    return false;
  }
}
