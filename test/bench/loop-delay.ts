/**
 * Loaded into a process under test by `--import` (NODE_OPTIONS): measures how long its main thread's event loop is held up.
 * Whoever started it reads and resets the figure by SIGUSR2; the answer is a file named after the process.
 */
import { writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';

const FOLDER = 'PEERWIRE_BENCH_LOOP_DELAY';
const PATIENCE = 5_000;

const folder = process.env[FOLDER];
if (isMainThread && folder !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  process.on('SIGUSR2', () => {
    writeFileSync(answer(folder, process.pid), String(delays.max / 1e6));
    delays.reset();
  });
}

/** For the environment of processes to be measured. */
export function measured(answers: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${import.meta.filename}`, [FOLDER]: answers };
}

/** The longest delay of a process since the last call, in ms. */
export async function longestDelay(answers: string, pid: number): Promise<number> {
  const file = answer(answers, pid);
  process.kill(pid, 'SIGUSR2');
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; await delay(5)) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text === '') continue;
    await rm(file);
    return Number(text);
  }
  throw new Error('The process does not say how long its event loop was held up.');
}

function answer(folder: string, pid: number): string {
  return path.join(folder, `loop-delay-${pid}`);
}
