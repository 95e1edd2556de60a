import assert from 'node:assert/strict';
import { atOnce, inTurns, type Steps } from '../../../src/common/turns.ts';

/** Takes so many ms for each step. */
function* slowSum(numbers: readonly number[], ms: number): Steps<number> {
  let sum = 0;
  for (const number of numbers) {
    for (const end = performance.now() + ms; performance.now() < end; );
    sum += number;
    yield;
  }
  return sum;
}

function* failing(): Steps<never> {
  yield;
  throw new Error('It went wrong.');
}

describe('work in turns', () => {
  it('lets other work of the thread run between', async () => {
    let others = 0;
    const other = setInterval(() => others++, 1);
    try {
      assert.equal(await inTurns(slowSum([1, 2, 3, 4], 10)), 10);
    } finally {
      clearInterval(other);
    }
    assert.ok(others >= 3, `${others} times`);
  });

  it('can be done at once', () => {
    assert.equal(atOnce(slowSum([1, 2, 3], 0)), 6);
  });

  it('fails as the work does', async () => {
    await assert.rejects(inTurns(failing()), /went wrong/);
    assert.throws(() => atOnce(failing()), /went wrong/);
  });
});
