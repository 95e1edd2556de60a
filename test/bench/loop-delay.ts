/**
 * Measures how long the event loop of a process under test is held up: `loop-delay-probe.mjs` is loaded into it. Whoever started
 * it reads and resets the figure by SIGUSR2; the answer is a file named after the process.
 */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const PROBE = path.join(import.meta.dirname, 'loop-delay-probe.mjs');
const PATIENCE = 5_000;

/** For the environment of processes to be measured. */
export function measured(answers: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${PROBE}`, PEERWIRE_BENCH_LOOP_DELAY: answers };
}

/** The longest delay of a process since the last call, in ms. */
export async function longestDelay(answers: string, pid: number): Promise<number> {
  const file = path.join(answers, `loop-delay-${pid}`);
  process.kill(pid, 'SIGUSR2');
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; await delay(5)) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text === '') continue;
    await rm(file);
    return Number(text);
  }
  throw new Error('The process does not say how long its event loop was held up.');
}
