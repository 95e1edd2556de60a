/**
 * `npm run sim -- [--seeds N] [--seed FIRST] [--jobs J] [--without PARTS] [--verbose]`: whole swarms under a virtual
 * clock, a seed each (test/sim/scenario). Without `--seed` begins with a random one; a single seed is told in full. A
 * failure is printed with the command that repeats it, shrunk to what it needs. Exits with 1 when a seed failed.
 * `npm run sim -- churn …`: see sim-churn.ts.
 */
import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { describeScenario } from '../test/sim/scenario/describe.ts';
import { type Outcome, runScenario } from '../test/sim/scenario/run-scenario.ts';
import { makeScenario } from '../test/sim/scenario/scenario.ts';
import { shrink, without } from '../test/sim/scenario/shrink.ts';
import { simulateChurn } from './sim-churn.ts';

/** A seed that takes longer hangs, in ms of real time. */
const LONGEST = 120_000;
const WORKER = new URL('../test/sim/scenario/worker.ts', import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    jobs: { type: 'string' },
    without: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const first = number(values.seed) ?? randomInt(1, 2 ** 31);
const isChurn = positionals[0] === 'churn';
if (positionals.length > (isChurn ? 1 : 0)) {
  console.error(`There is no simulation “${positionals.at(-1)}”: npm run sim -- [churn] …`);
  process.exit(2);
}
const count = number(values.seeds) ?? (values.seed !== undefined ? 1 : isChurn ? 10 : 1_000);
const jobs = number(values.jobs) ?? availableParallelism();
const { verbose } = values;
const failed = isChurn
  ? await simulateChurn({ first, count, jobs, verbose })
  : count === 1
    ? await tell(first)
    : await runMany();
process.exitCode = failed ? 1 : 0;

function number(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  console.error(`“${text}” is not a number.`);
  process.exit(2);
}

/** One seed, with all that happened when that is asked for or it fails. */
async function tell(seed: number): Promise<boolean> {
  const parts = values.without?.split(',') ?? [];
  const scenario = without(makeScenario(seed), parts);
  console.log(describeScenario(scenario).join('\n'));
  const outcome = await runScenario(scenario, values.verbose);
  console.log(summary(outcome));
  if (outcome.violations.length === 0) return false;
  await explain(outcome, parts);
  return true;
}

function summary({ seed, took, within, maxima, waste, trace, violations }: Outcome): string {
  const most = Object.entries(maxima).map(([what, amount]) => `${what} ${amount}`);
  return (
    `seed ${seed}: ${violations.length > 0 ? 'FAILED' : 'ok'}, ${(took / 1000).toFixed(1)} s of at most ` +
    `${(within / 1000).toFixed(1)} s, waste ${(waste * 100).toFixed(1)} %, ${most.join(', ')}, trace ${trace.toString(16)}`
  );
}

async function explain(outcome: Outcome, parts: readonly string[]): Promise<void> {
  const { seed, violations, events } = outcome;
  console.log(`\nseed ${seed} failed:`);
  for (const violation of violations) console.log(`  ${violation}`);
  console.log('what happened until then:');
  const end = events.findIndex((event) => event.includes('VIOLATION'));
  for (const event of events.slice(Math.max(0, end - 25), end + 1)) console.log(`  ${event}`);
  console.log(`again with: npm run sim -- --seed ${seed}${parts.length > 0 ? ` --without ${parts.join(',')}` : ''}`);
  const scenario = without(makeScenario(seed), parts);
  const dropped = await shrink(scenario, outcome, (candidate) => runScenario(candidate));
  if (dropped.length === 0) return;
  console.log(`with less:  npm run sim -- --seed ${seed} --without ${[...parts, ...dropped].join(',')}\n`);
}

async function runMany(): Promise<boolean> {
  const started = performance.now();
  console.log(`${count} seeds from ${first}, ${Math.min(count, jobs)} at a time`);
  const outcomes: Outcome[] = [];
  const broken: string[] = [];
  let next = first;
  const report = (outcome: Outcome): void => {
    outcomes.push(outcome);
    if (values.verbose || outcome.violations.length > 0) console.log(summary(outcome));
    const done = outcomes.length + broken.length;
    if (done % 100 === 0) console.log(`${done} of ${count}, ${Math.round((performance.now() - started) / 1000)} s`);
  };
  await Promise.all(
    Array.from({ length: Math.min(count, jobs) }, async () => {
      while (next < first + count) {
        const problem = await worker(() => (next < first + count ? next++ : undefined), report);
        if (problem === undefined) continue;
        broken.push(problem);
        console.log(problem);
      }
    }),
  );
  const failures = outcomes.filter(({ violations }) => violations.length > 0);
  for (const failure of failures.slice(0, 5)) await explain(failure, []);
  const slowest = Math.max(0, ...outcomes.map(({ took, within }) => took / within));
  console.log(
    `${outcomes.length - failures.length} of ${count} seeds passed in ${Math.round((performance.now() - started) / 1000)} s; ` +
      `the slowest took ${Math.round(slowest * 100)} % of its time` +
      (failures.length > 0 ? `\nfailed: ${failures.map(({ seed }) => seed).join(' ')}` : ''),
  );
  return failures.length + broken.length > 0;
}

/** Runs seeds in a process until there are none, or until one kills it: what is returned says which. */
function worker(take: () => number | undefined, report: (outcome: Outcome) => void): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = fork(WORKER);
    let seed: number | undefined;
    let hangs: NodeJS.Timeout | undefined;
    const give = (): void => {
      clearTimeout(hangs);
      seed = take();
      if (seed === undefined) {
        child.disconnect();
        return;
      }
      hangs = setTimeout(() => child.kill('SIGKILL'), LONGEST);
      child.send(seed);
    };
    child.on('message', (outcome: Outcome) => {
      report(outcome);
      give();
    });
    child.once('exit', (code, signal) => {
      clearTimeout(hangs);
      resolve(
        seed === undefined
          ? undefined
          : `seed ${seed} ended its process: ${signal ?? code}; npm run sim -- --seed ${seed}`,
      );
    });
    give();
  });
}
