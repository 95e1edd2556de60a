import assert from 'node:assert/strict';
import { CurrentInput, type FuzzResult, runJob, startWorker } from './harness.ts';

describe('the fuzzing harness', function () {
  this.timeout(120_000);

  async function fuzz(target: string): Promise<{ result: FuzzResult; input: Buffer }> {
    const current = new CurrentInput();
    const worker = startWorker(new URL('./broken-targets.ts', import.meta.url), current);
    try {
      const result = await runJob(
        worker,
        current,
        { target, corpus: '/nonexistent', seed: 1, runs: 200 },
        target === 'hangs' ? 500 : 10_000,
      );
      return { result, input: current.bytes };
    } finally {
      await worker.terminate();
    }
  }

  it('passes a decoder that refuses with PeerwireError', async () => {
    const { result } = await fuzz('fine');
    assert.ok('runs' in result && result.runs === 201 && result.accepted >= 1 && result.accepted < 100);
  });

  for (const [target, failure] of [
    ['throws', /TypeError/],
    ['buffers', /256 MiB/],
    ['hangs', /No progress/],
    ['missing', /No target/],
  ] as const) {
    it(`finds what ${target}, and the input`, async () => {
      const { result, input } = await fuzz(target);
      assert.ok('failure' in result);
      assert.match(result.failure, failure);
      assert.notEqual(input.toString(), 'good');
    });
  }
});
