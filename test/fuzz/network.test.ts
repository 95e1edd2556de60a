import { fuzzSuite } from './harness.ts';
import { targets } from './network-targets.ts';

fuzzSuite('fuzzing what members send', new URL('./network-targets.ts', import.meta.url), Object.keys(targets));
