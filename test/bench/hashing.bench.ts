import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import path from 'node:path';
import { BLOCK_SIZE } from '../../src/bittorrent/merkle.ts';
import { HashPool } from '../../src/peer/hash-pool.ts';
import { type Bench, type BenchOptions, type BenchReport, type BenchRow, type BenchTarget, median } from './bench.ts';
import { writeRandom } from './random-file.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const MB = 1e6;
const WORKER = path.resolve(import.meta.dirname, '../../dist/hash-worker.js');
const SMALL_FILES = 10_000;
const SMALL_SIZE = 4 * 1024;
const PIECE = MIB;
/** Pieces in shared memory that are hashed at the same time. */
const PIECES = 16;

interface Rates {
  readonly oneShot: number;
  readonly file: number;
  readonly smallFiles: number;
  readonly pieces: number;
}

export const bench: Bench = {
  about: 'the hash pool with 1 worker, 2 … one for each core, beside one-shot SHA-256 of the same bytes in one thread',

  async run(options: BenchOptions): Promise<BenchReport> {
    const folder = await mkdtemp('/dev/shm/peerwire-bench-');
    try {
      const files = await prepare(folder, Math.floor(GIB / options.scale), Math.floor(SMALL_FILES / options.scale));
      const rows: BenchRow[] = [];
      const targets: BenchTarget[] = [];
      let single = Number.NaN;
      for (let workers = 1; workers <= cpus().length; workers++) {
        const runs: Rates[] = [];
        for (let run = 0; run < options.runs; run++) {
          options.progress(`${workers} workers: run ${run + 1} of ${options.runs}`);
          runs.push(await measure(files, workers));
        }
        const of = (ratio: (rates: Rates) => number): number => median(runs.map(ratio));
        const perWorker = of(({ file, oneShot }) => file / oneShot / workers);
        rows.push({
          name: `${workers} workers`,
          figures: {
            'one-shot, MB/s': of(({ oneShot }) => oneShot) / MB,
            'big file, MB/s': of(({ file }) => file) / MB,
            '× one-shot': of(({ file, oneShot }) => file / oneShot),
            'pieces, MB/s': of(({ pieces }) => pieces) / MB,
            'pieces × one-shot': of(({ pieces, oneShot }) => pieces / oneShot),
            'small files, files/s': of(({ smallFiles }) => smallFiles) / SMALL_SIZE,
          },
        });
        if (workers === 1) single = perWorker;
        const what = `big file, × one-shot for each of ${workers} workers`;
        targets.push({ what, figure: perWorker, bound: { atLeast: workers === 1 ? 0.9 : 0.9 * Math.min(1, single) } });
      }
      return { rows, targets };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Files {
  readonly big: { readonly path: string; readonly size: number };
  readonly small: readonly { readonly path: string; readonly size: number }[];
}

async function prepare(folder: string, size: number, count: number): Promise<Files> {
  const big = path.join(folder, 'big.bin');
  await writeRandom(big, size);
  const small = [];
  await mkdir(path.join(folder, 'small'));
  for (let index = 0; index < count; index++) {
    const file = path.join(folder, 'small', `${index}`);
    await writeRandom(file, SMALL_SIZE);
    small.push({ path: file, size: SMALL_SIZE });
  }
  return { big: { path: big, size }, small };
}

/** Bytes per second. One after the other, so that a busy machine slows all of them down alike. */
async function measure({ big, small }: Files, workers: number): Promise<Rates> {
  const pool = new HashPool({ workerUrl: WORKER, size: workers });
  try {
    const shared = Array.from({ length: PIECES }, () => new SharedArrayBuffer(PIECE));
    // Workers start in some 50 ms, which is no throughput.
    await Promise.all(shared.flatMap((piece) => [piece, piece].map((one) => pool.hashBlocks(one, 0, PIECE))));
    await pool.hashFile({ path: big.path, size: big.size }, { pieceLength: PIECE });
    const oneShotTime = await timed(() => hashOneShot(big.path));
    const fileTime = await timed(() => pool.hashFile(big, { pieceLength: PIECE }));
    const rounds = Math.max(1, Math.floor(big.size / PIECE / PIECES));
    const piecesTime = await timed(async () => {
      const lane = async (piece: SharedArrayBuffer): Promise<void> => {
        for (let round = 0; round < rounds; round++) await pool.hashBlocks(piece, 0, PIECE);
      };
      await Promise.all(shared.map(lane));
    });
    const smallTime = await timed(() => pool.hashFiles(small, { pieceLength: 4 * BLOCK_SIZE }));
    return {
      oneShot: big.size / oneShotTime,
      file: big.size / fileTime,
      pieces: (rounds * PIECES * PIECE) / piecesTime,
      smallFiles: (small.length * SMALL_SIZE) / smallTime,
    };
  } finally {
    pool.dispose();
  }
}

/** SHA-256 alone: the time of reading is not counted against it. */
async function hashOneShot(file: string): Promise<{ readonly uncounted: number }> {
  const handle = await open(file);
  const buffer = Buffer.alloc(64 * MIB);
  let uncounted = 0;
  const hash = createHash('sha256');
  for (;;) {
    const started = performance.now();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    uncounted += performance.now() - started;
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
  }
  hash.digest();
  await handle.close();
  return { uncounted };
}

/** Seconds. */
async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  const result = await action();
  const uncounted =
    typeof result === 'object' && result !== null && 'uncounted' in result ? Number(result.uncounted) : 0;
  return (performance.now() - started - uncounted) / 1000;
}
