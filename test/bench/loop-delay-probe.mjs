// Loaded by `--import` into a process under test (`loop-delay.ts`), and with it into each of its threads: in JavaScript, since
// stripping types would cost every thread some 40 ms of processor time.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { isMainThread } from 'node:worker_threads';

const folder = process.env.PEERWIRE_BENCH_LOOP_DELAY;
if (isMainThread && folder !== undefined) {
  const { monitorEventLoopDelay } = await import('node:perf_hooks');
  // Every 5 ms: looking each millisecond costs 3% of a core, which is part of what is measured.
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  process.on('SIGUSR2', () => {
    writeFileSync(path.join(folder, `loop-delay-${process.pid}`), String(delays.max / 1e6));
    delays.reset();
  });
}
