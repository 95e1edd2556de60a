import { createCipheriv } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Content that no layer can compress or deduplicate; the same every time. */
export async function writeRandom(file: string, size: number): Promise<void> {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(4 << 20);
  const handle = await open(file, 'w');
  for (let left = size; left > 0; left -= zeros.length)
    await handle.write(stream.update(left < zeros.length ? zeros.subarray(0, left) : zeros));
  await handle.close();
}
