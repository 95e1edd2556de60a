/** `npm run sim -- churn [--seeds N] [--seed FIRST] [--jobs J] [--verbose]`: days of a network whose members come and go (test/sim/churn). */
import { fork } from 'node:child_process';
import type { ChurnOutcome } from '../test/sim/churn/churn-day.ts';

/** A day that takes longer hangs, in ms of real time. */
const LONGEST = 600_000;
const WORKER = new URL('../test/sim/churn/worker.ts', import.meta.url);

export interface ChurnRuns {
  readonly first: number;
  readonly count: number;
  readonly jobs: number;
  readonly verbose: boolean;
}

/** True when a seed failed. */
export async function simulateChurn({ first, count, jobs, verbose }: ChurnRuns): Promise<boolean> {
  let next = first;
  let failures = 0;
  await Promise.all(
    Array.from({ length: Math.min(count, jobs) }, async () => {
      while (next < first + count) {
        const seed = next++;
        const outcome = await simulate(seed);
        const failed = typeof outcome === 'string' || outcome.violations.length > 0;
        if (failed) failures++;
        console.log(`seed ${seed}: ${failed ? 'FAILED' : 'ok'}`);
        if (typeof outcome === 'string') console.log(`  ${outcome}`);
        else tell(outcome, verbose || failed);
      }
    }),
  );
  console.log(`${count - failures} of ${count} seeds passed`);
  return failures > 0;
}

function tell({ seed, violations, events, counts }: ChurnOutcome, atLength: boolean): void {
  if (!atLength) return;
  console.log(`  ${JSON.stringify(counts)}`);
  for (const event of events.slice(violations.length > 0 ? -60 : 0)) console.log(`  ${event}`);
  for (const violation of violations) console.log(`  ${violation}`);
  if (violations.length > 0) console.log(`again with: npm run sim -- churn --seed ${seed}`);
}

/** What came of it, or what ended its process. */
function simulate(seed: number): Promise<ChurnOutcome | string> {
  return new Promise((resolve) => {
    const child = fork(WORKER);
    const hangs = setTimeout(() => child.kill('SIGKILL'), LONGEST);
    child.once('message', (outcome: ChurnOutcome) => {
      resolve(outcome);
      child.disconnect();
    });
    child.once('exit', (code, signal) => {
      clearTimeout(hangs);
      resolve(`its process ended: ${signal ?? code}`);
    });
    child.send(seed);
  });
}
