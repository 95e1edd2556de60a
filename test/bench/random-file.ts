import { createCipheriv } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Content that no layer can compress or deduplicate; the same every time for the same `seed` (0 to 255). */
export async function writeRandom(file: string, size: number, seed = 1): Promise<void> {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  const zeros = Buffer.alloc(4 << 20);
  const handle = await open(file, 'w');
  for (let left = size; left > 0; left -= zeros.length)
    await handle.write(stream.update(left < zeros.length ? zeros.subarray(0, left) : zeros));
  await handle.close();
}
