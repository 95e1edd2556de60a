import assert from 'node:assert/strict';
import { describeScenario } from './scenario/describe.ts';
import { runScenario } from './scenario/run-scenario.ts';
import { makeScenario } from './scenario/scenario.ts';

/** Always the same, and as many new ones each time. */
const BASE = 1;
const fresh = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const count = Number(process.env.SIM_SEEDS ?? 120);

async function runSeeds(first: number): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    const scenario = makeScenario(seed);
    const { violations, events } = await runScenario(scenario);
    assert.deepEqual(
      violations,
      [],
      [`npm run sim -- --seed ${seed}`, ...describeScenario(scenario), ...events].join('\n'),
    );
  }
}

describe('random swarms: whoever can get all of it does in time, nothing wrong is kept or passed on, nothing stays behind', function () {
  this.timeout(180_000);

  if (process.env.SIM_SEED === undefined) it(`${count} seeds from ${BASE}`, () => runSeeds(BASE));
  it(`${count} seeds from SIM_SEED=${fresh}`, () => runSeeds(fresh));
});
