import assert from 'node:assert/strict';
import { runScenario } from './scenario/run-scenario.ts';
import { makeScenario } from './scenario/scenario.ts';

/** Whatever could make two runs differ, and is no part of a scenario. */
const REAL = [
  [Math, 'random'],
  [Date, 'now'],
  [performance, 'now'],
  [globalThis, 'setTimeout'],
  [globalThis, 'setInterval'],
] as const;

describe('a seed replays', () => {
  it('two runs deliver the same bytes at the same times, with the same outcome', async () => {
    const traces = new Set<number>();
    for (let seed = 1; seed <= 10; seed++) {
      const first = await runScenario(makeScenario(seed));
      const second = await runScenario(makeScenario(seed));
      assert.deepEqual(second, first, `seed ${seed}`);
      traces.add(first.trace);
    }
    assert.ok(traces.size > 7, 'different seeds are different runs');
  }).timeout(180_000);

  it('and asks neither real time nor real chance', async () => {
    const restore = REAL.map(([owner, name]) => {
      const own = Object.getOwnPropertyDescriptor(owner, name);
      const refuse = (): never => {
        throw new Error(`${name} was called`);
      };
      Object.defineProperty(owner, name, { value: refuse, configurable: true, writable: true });
      return () => {
        if (own) Object.defineProperty(owner, name, own);
        else Reflect.deleteProperty(owner, name);
      };
    });
    const failed: string[] = [];
    try {
      for (let seed = 11; seed <= 16; seed++) failed.push(...(await runScenario(makeScenario(seed))).violations);
    } finally {
      for (const back of restore) back();
    }
    assert.deepEqual(failed, []);
  }).timeout(180_000);
});
