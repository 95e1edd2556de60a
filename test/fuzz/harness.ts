/**
 * Mutation fuzzing in a worker, so that a decoder that hangs or eats memory fails its test and not the machine.
 * FUZZ_RUNS: inputs per target. FUZZ_SEED: repeats a run; it is printed. An input that fails is saved in
 * .test-output/fuzz: put it into corpus/<target>/ with the fix.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

export interface Target {
  /** Well-formed inputs to start from; files in corpus/<target>/ join them. */
  readonly samples: readonly Uint8Array[];
  /** Reads one input. May throw PeerwireError and nothing else; asserts whatever must hold for what is accepted. */
  run(input: Buffer): void;
}

/** What the worker is told about each target. */
export interface FuzzJob {
  readonly target: string;
  readonly corpus: string;
  readonly seed: number;
  readonly runs: number;
}

/** Messages of the worker. */
export type FuzzResult = { readonly runs: number; readonly accepted: number } | { readonly failure: string };

const DEFAULT_RUNS = 1500;
/** Longest input; the worker writes each into shared memory before running it. */
export const MAX_INPUT = 64 * 1024;
/** Milliseconds without a further input that count as a hang. */
const HANG = 10_000;
const OUTPUT = path.join(import.meta.dirname, '..', '..', '.test-output', 'fuzz');

/** Shared between test and worker: inputs run, length of the current one, and its bytes. */
export class CurrentInput {
  readonly memory: SharedArrayBuffer;
  readonly #header: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(memory = new SharedArrayBuffer(8 + MAX_INPUT)) {
    this.memory = memory;
    this.#header = new Int32Array(memory, 0, 2);
    this.#bytes = new Uint8Array(memory, 8);
  }

  get count(): number {
    return Atomics.load(this.#header, 0);
  }

  get bytes(): Buffer {
    return Buffer.from(this.#bytes.slice(0, Atomics.load(this.#header, 1)));
  }

  set(input: Uint8Array): void {
    this.#bytes.set(input);
    Atomics.store(this.#header, 1, input.length);
    Atomics.add(this.#header, 0, 1);
  }
}

/** A suite with one test per target. `module` exports `targets`: a record of Target by name. */
export function fuzzSuite(title: string, module: URL, targets: readonly string[]): void {
  describe(title, function () {
    const runs = Number(process.env.FUZZ_RUNS ?? DEFAULT_RUNS);
    const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
    this.timeout(Math.max(60_000, runs * 20));
    const current = new CurrentInput();
    let worker: Worker;

    before(() => {
      console.log(`    FUZZ_SEED=${seed} FUZZ_RUNS=${runs}`);
      worker = startWorker(module, current);
    });

    after(async () => {
      await worker.terminate();
    });

    for (const target of targets) {
      it(target, async () => {
        const corpus = path.join(import.meta.dirname, 'corpus', target);
        const result = await runJob(worker, current, { target, corpus, seed, runs });
        if ('failure' in result) {
          mkdirSync(OUTPUT, { recursive: true });
          const file = path.join(OUTPUT, `${target}-${seed}`);
          writeFileSync(file, current.bytes);
          assert.fail(
            `${result.failure}\nFUZZ_SEED=${seed}, input saved as ${file}: ${JSON.stringify(current.bytes.subarray(0, 200).toString('latin1'))}`,
          );
        }
        assert.ok(result.runs >= runs);
        assert.ok(result.accepted > 0, 'samples are accepted');
        assert.ok(result.accepted < result.runs, 'some inputs are refused');
      });
    }
  });
}

export function startWorker(module: URL, current: CurrentInput): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: { module: module.href, memory: current.memory },
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
}

/** Resolves when the worker has run the job, has died, or makes no progress for `hang` ms. */
export function runJob(worker: Worker, current: CurrentInput, job: FuzzJob, hang = HANG): Promise<FuzzResult> {
  return new Promise((resolve) => {
    let seen = -1;
    const watchdog = setInterval(() => {
      if (current.count === seen) finish({ failure: `No progress in ${hang} ms.` });
      seen = current.count;
    }, hang);
    const finish = (result: FuzzResult): void => {
      clearInterval(watchdog);
      worker.off('message', finish);
      worker.off('error', onError);
      resolve(result);
    };
    const onError = (error: Error): void => finish({ failure: error.stack ?? error.message });
    worker.on('message', finish);
    worker.on('error', onError);
    worker.postMessage(job);
  });
}
