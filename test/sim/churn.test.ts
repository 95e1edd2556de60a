import assert from 'node:assert/strict';
import { DAY, runChurn } from './churn/churn-day.ts';

const SEED = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const HOUR = 60 * 60_000;

describe(`a day of coming and going (SIM_SEED=${SEED})`, function () {
  this.timeout(600_000);

  it('50 members: whatever has a live source stays within reach of every member, within a minute', async () => {
    const { violations, events, counts } = await runChurn(SEED, { members: 50, duration: DAY });
    assert.deepEqual(violations, [], [`npm run sim -- churn --seed ${SEED}`, ...events.slice(-60)].join('\n'));
    // A quiet day would prove nothing.
    const least = {
      ...{ starts: 80, ends: 60, sleeps: 5, moves: 3, cuts: 1 },
      ...{ fetched: 400, 'fetched by a relay': 5, 'shares looked at': 5000 },
    };
    for (const [what, count] of Object.entries(least)) {
      assert.ok((counts[what] ?? 0) >= count, `${what}: ${counts[what]}`);
    }
  });

  for (const [lack, seed, members] of [
    ['relay', 2, 50],
    ['memory', 4, 20],
    ['tracker', 1, 20],
  ] as const) {
    it(`it would not pass without what is said to be there: ${lack}`, async () => {
      const { violations } = await runChurn(seed, { members, duration: DAY / 2, lacks: [lack] });
      assert.ok(violations.length > 0);
    });
  }

  it('a seed replays', async () => {
    const options = { members: 12, duration: 4 * HOUR };
    const first = await runChurn(7, options);
    assert.deepEqual(await runChurn(7, options), first);
    assert.notEqual((await runChurn(8, options)).trace, first.trace);
  });
});
