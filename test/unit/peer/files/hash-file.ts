import { PeerwireError } from '../../../../src/common/errors.ts';
import type { FileHash, FileToHash, HashFileOptions } from '../../../../src/peer/files/hash-in-ranges.ts';
import type { HashPool } from '../../../../src/peer/hash-pool.ts';

/** `hashFiles` of one file; rejects as that fails. */
export async function hashFile(pool: HashPool, file: FileToHash, options: HashFileOptions): Promise<FileHash> {
  const [result] = await pool.hashFiles([file], options);
  if (!result || result instanceof PeerwireError) throw result ?? new Error('Hashing gave no result.');
  return result;
}
