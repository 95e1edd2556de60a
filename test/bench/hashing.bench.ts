import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { cpus } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { BLOCK_SIZE } from '../../src/bittorrent/merkle.ts';
import { HashPool } from '../../src/peer/hash-pool.ts';
import { type Bench, type BenchOptions, type BenchReport, type BenchRow, type BenchTarget, median } from './bench.ts';
import { writeRandom } from './random-file.ts';

const MIB = 1024 ** 2;
const MB = 1e6;
const WORKER = path.resolve(import.meta.dirname, '../../dist/hash-worker.cjs');
/** A round of each takes about 0.1 s: shorter than most of what disturbs. */
const BIG_SIZE = 128 * MIB;
const ROUNDS = 11;
/** Bytes that a one-shot thread hashes in a round. */
const ONE_SHOT = 64 * MIB;
const SMALL_FILES = 10_000;
/** Such a part of them is hashed in a round. */
const SMALL_PART = 5;
const SMALL_SIZE = 4 * 1024;
const TASKS = '/proc/self/task';
/** Names of the one-shot threads and of the pool's. */
const WORKER_THREADS: ReadonlySet<string> = new Set(['WorkerThread', 'peerwire-hash']);
const PIECE = MIB;
/** Pieces in shared memory that are hashed at the same time. */
const PIECES = 16;

interface Rates {
  /** Of one thread; and of as many threads as there are workers, each. */
  readonly oneShot: number;
  readonly oneShots: number;
  /** As many, that read what they hash: all cores at work cannot be faster. */
  readonly readers: number;
  readonly file: number;
  readonly smallFiles: number;
  readonly pieces: number;
  /** Bytes for each processor second of a worker thread, as a part of those of the one-shot threads. */
  readonly fileEfficiency: number;
  readonly piecesEfficiency: number;
}

export const bench: Bench = {
  about:
    'the hash pool with 1 worker, 2 … one for each core, beside one-shot SHA-256 of the same bytes in as many threads',

  async run(options: BenchOptions): Promise<BenchReport> {
    const folder = await mkdtemp('/dev/shm/peerwire-bench-');
    const most = cpus().length;
    const threads = Array.from({ length: most }, () => new OneShot());
    try {
      const files = await prepare(
        folder,
        Math.floor(BIG_SIZE / options.scale),
        Math.floor(SMALL_FILES / options.scale),
      );
      await Promise.all(threads.map((thread) => thread.load(files.big.path)));
      const rows: BenchRow[] = [];
      const targets: BenchTarget[] = [];
      for (let workers = 1; workers <= most; workers++) {
        options.progress(`${workers} workers: ${options.runs} × ${ROUNDS} rounds`);
        const rounds = await measure(files, workers, threads.slice(0, workers), options.runs * ROUNDS);
        const of = (ratio: (rates: Rates) => number): number => median(rounds.map(ratio));
        rows.push({
          name: `${workers} workers`,
          figures: {
            'one-shot, MB/s': of(({ oneShot }) => oneShot) / MB,
            'one-shots, MB/s': (of(({ oneShots }) => oneShots) * workers) / MB,
            'big file, MB/s': of(({ file }) => file) / MB,
            '× one-shot': of(({ file, oneShot }) => file / oneShot),
            '× read and one-shot': of(({ file, readers }) => file / readers / workers),
            'for a processor second, × one-shot': of(({ fileEfficiency }) => fileEfficiency),
            'pieces, MB/s': of(({ pieces }) => pieces) / MB,
            'pieces × one-shot': of(({ pieces, oneShot }) => pieces / oneShot),
            'pieces for a processor second, × one-shot': of(({ piecesEfficiency }) => piecesEfficiency),
            'small files, files/s': of(({ smallFiles }) => smallFiles) / SMALL_SIZE,
          },
        });
        // Beside as many threads: how much of a core each of them gets is the machine's affair, and alike for both.
        targets.push({
          what: `big file, × one-shot for each of ${workers} workers`,
          figure: of(({ file, oneShots }) => file / oneShots / workers),
          bound: { atLeast: 0.9 },
        });
        targets.push({
          what: `pieces in memory, × one-shot for each of ${workers} workers`,
          figure: of(({ pieces, oneShots }) => pieces / oneShots / workers),
          bound: { atLeast: 0.9 },
        });
      }
      return { rows, targets };
    } finally {
      await Promise.all(threads.map((thread) => thread.end()));
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

/** Bytes per second, in turns: what else the machine does slows all of them down alike, and the median is of many short rounds. */
async function measure(files: Files, workers: number, threads: readonly OneShot[], rounds: number): Promise<Rates[]> {
  const { big, small } = files;
  const pool = new HashPool({ workerUrl: WORKER, size: workers });
  // As often as there are workers: its ranges are shared out evenly.
  const bigs = threads.map(() => big);
  const [first] = threads;
  if (!first) throw new Error('There is no thread to compare with.');
  try {
    const shared = Array.from({ length: PIECES }, () => new SharedArrayBuffer(PIECE));
    // Workers start in some 50 ms, which is no throughput.
    await Promise.all(shared.flatMap((piece) => [piece, piece].map((one) => pool.hashBlocks(one, 0, PIECE))));
    await pool.hashFiles([big], { pieceLength: PIECE });
    const found: Rates[] = [];
    for (let round = 0; round < rounds; round++) {
      const oneShot = await first.hash();
      const together = await measured(() => Promise.all(threads.map((thread) => thread.hash())));
      const reading = await measured(() => Promise.all(threads.map((thread) => thread.readAndHash())));
      const file = await measured(() => pool.hashFiles(bigs, { pieceLength: PIECE }));
      const times = Math.max(1, Math.floor((ONE_SHOT * workers) / PIECE / PIECES));
      const pieces = await measured(async () => {
        const lane = async (piece: SharedArrayBuffer): Promise<void> => {
          for (let time = 0; time < times; time++) await pool.hashBlocks(piece, 0, PIECE);
        };
        await Promise.all(shared.map(lane));
      });
      const batch = small.slice(0, Math.ceil(small.length / SMALL_PART));
      const smallFiles = await measured(() => pool.hashFiles(batch, { pieceLength: 4 * BLOCK_SIZE }));
      const { bytes } = first;
      const cost = together.threads / (bytes * workers);
      found.push({
        oneShot: bytes / oneShot,
        oneShots: bytes / together.wall,
        readers: bytes / reading.wall,
        file: (big.size * workers) / file.wall,
        fileEfficiency: cost / (file.threads / (big.size * workers)),
        piecesEfficiency: cost / (pieces.threads / (times * PIECES * PIECE)),
        pieces: (times * PIECES * PIECE) / pieces.wall,
        smallFiles: (batch.length * SMALL_SIZE) / smallFiles.wall,
      });
    }
    return found;
  } finally {
    pool.dispose();
  }
}

/** A thread that hashes the same bytes, in its own memory, in one call: reading is not counted against it. */
class OneShot {
  readonly #worker = new Worker(ONE_SHOT_SOURCE, { eval: true });
  bytes = 0;

  async load(file: string): Promise<void> {
    this.bytes = Math.min(ONE_SHOT, (await stat(file)).size);
    await this.#ask({ file, length: this.bytes });
  }

  /** Seconds. */
  hash(): Promise<number> {
    return this.#ask({});
  }

  /** The same, and reads the bytes anew, 1 MiB at a time. */
  readAndHash(): Promise<number> {
    return this.#ask({ read: true });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  async #ask(request: { readonly file?: string; readonly length?: number; readonly read?: boolean }): Promise<number> {
    const answered = once(this.#worker, 'message');
    this.#worker.postMessage(request);
    const [seconds] = await answered;
    return Number(seconds);
  }
}

const ONE_SHOT_SOURCE = `
const { parentPort } = require('node:worker_threads');
const { createHash, hash } = require('node:crypto');
const { openSync, readSync } = require('node:fs');
const part = Buffer.alloc(1 << 20);
let bytes;
let descriptor;
parentPort.on('message', ({ file, length, read }) => {
  if (file !== undefined) {
    bytes = Buffer.alloc(length);
    descriptor = openSync(file);
    for (let at = 0; at < length; ) at += readSync(descriptor, bytes, at, length - at, at);
  }
  const started = performance.now();
  if (read) {
    const sum = createHash('sha256');
    for (let at = 0; at < bytes.length; at += part.length) {
      readSync(descriptor, part, 0, part.length, at);
      sum.update(part);
    }
    sum.digest();
  } else hash('sha256', bytes, 'buffer');
  parentPort.postMessage((performance.now() - started) / 1000);
});`;

interface Times {
  /** Seconds that pass. */
  readonly wall: number;
  /** Processor seconds of worker threads alone: not of the main thread, nor of those that read ahead. */
  readonly threads: number;
}

async function measured(action: () => Promise<unknown>): Promise<Times> {
  const before = threadTime();
  const started = performance.now();
  await action();
  const wall = (performance.now() - started) / 1000;
  return { wall, threads: threadTime() - before };
}

/** Processor seconds of the worker threads of this process so far; NaN where there is no /proc. */
function threadTime(): number {
  let sum = 0;
  try {
    for (const task of readdirSync(TASKS)) {
      if (!WORKER_THREADS.has(readFileSync(`${TASKS}/${task}/comm`, 'utf8').trim())) continue;
      sum += Number(readFileSync(`${TASKS}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
    }
  } catch {
    return Number.NaN;
  }
  return sum;
}
