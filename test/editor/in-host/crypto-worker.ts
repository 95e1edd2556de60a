/** Tries the matrix in a worker thread and posts, by title, what failed. */
import { parentPort } from 'node:worker_threads';
import { CRYPTO_MATRIX } from './crypto-matrix.ts';

export type MatrixResult = Readonly<Record<string, { readonly error?: string }>>;

const results: Record<string, { error?: string }> = {};
for (const [title, test] of Object.entries(CRYPTO_MATRIX)) results[title] = await attempt(test);
parentPort?.postMessage(results);

async function attempt(test: () => Promise<void> | void): Promise<{ error?: string }> {
  try {
    await test();
    return {};
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
