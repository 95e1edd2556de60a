import { readSync } from 'node:fs';

/**
 * Fills `data` from byte `position` of the file on, by blocking calls: one read may bring less. Returns how many bytes there
 * were, fewer only where the file ends. Throws the system's error.
 */
export function readFullySync(descriptor: number, data: Uint8Array, position: number): number {
  let done = 0;
  while (done < data.length) {
    const count = readSync(descriptor, data, done, data.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
