import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { CRYPTO_MATRIX } from './crypto-matrix.ts';
import type { MatrixResult } from './crypto-worker.ts';

describe('portable cryptography on the main thread', () => {
  for (const [title, test] of Object.entries(CRYPTO_MATRIX)) it(title, test);
});

describe('portable cryptography in a worker thread', () => {
  let results: MatrixResult;

  before(async () => {
    // Bundled beside this module by host/in-host.ts.
    const worker = new Worker(path.join(__dirname, 'crypto-worker.mjs'));
    [results] = (await once(worker, 'message')) as [MatrixResult];
    await worker.terminate();
  });

  for (const title of Object.keys(CRYPTO_MATRIX))
    it(title, () => {
      assert.deepEqual(results[title], {});
    });
});
