/** Decoders with the faults that the harness must find; for harness.test.ts. */
import { PeerwireError } from '../../src/common/errors.ts';
import type { Target } from './harness.ts';

const samples = [Buffer.from('good')];
const kept: unknown[] = [];

/** Does harm to every input but its sample. */
function target(harm: () => void): Target {
  return {
    samples,
    run(input) {
      if (!input.equals(Buffer.from('good'))) harm();
    },
  };
}

export const targets = {
  fine: target(() => {
    throw new PeerwireError('protocol', 'refused');
  }),
  throws: target(() => {
    throw new TypeError('Cannot read properties of undefined');
  }),
  buffers: target(() => {
    kept.push(Buffer.alloc(16 * 1024 * 1024));
  }),
  hangs: target(() => {
    for (;;);
  }),
};
