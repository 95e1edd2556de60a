/** The worker side of harness.ts: makes inputs, runs them, reports the first failure. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { PeerwireError } from '../../src/common/errors.ts';
import { CurrentInput, type FuzzJob, type FuzzResult, MAX_INPUT, type Target } from './harness.ts';
import { Mutator } from './mutator.ts';

/** Memory outside of the heap that may be in use: far more than any input could justify. */
const MAX_ARRAY_BUFFERS = 256 * 1024 * 1024;

const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker');
const { targets }: { targets: Record<string, Target> } = await import(workerData.module);
const current = new CurrentInput(workerData.memory);
port.on('message', (job: FuzzJob) => port.postMessage(fuzz(job)));

function fuzz({ target: name, corpus, seed, runs }: FuzzJob): FuzzResult {
  const target = targets[name];
  if (!target) return { failure: `No target ${name}` };
  const saved = existsSync(corpus) ? readdirSync(corpus).map((file) => readFileSync(path.join(corpus, file))) : [];
  const samples = [...target.samples.map((sample) => Buffer.from(sample)), ...saved];
  const mutator = new Mutator(seed, samples, MAX_INPUT);
  let accepted = 0;
  let run = 0;
  for (; run < samples.length + runs; run++) {
    const input = samples[run] ?? mutator.next();
    current.set(input);
    try {
      target.run(Buffer.from(input));
      accepted++;
    } catch (error) {
      if (!(error instanceof PeerwireError))
        return { failure: error instanceof Error ? `${error.stack}` : String(error) };
    }
    if (run % 64 === 0 && process.memoryUsage().arrayBuffers > MAX_ARRAY_BUFFERS) {
      return { failure: 'More than 256 MiB of buffers are in use.' };
    }
  }
  return { runs: run, accepted };
}
