import { fuzzSuite } from './harness.ts';
import { targets } from './trust-targets.ts';

fuzzSuite(
  'fuzzing handshake, invites, membership and trackers',
  new URL('./trust-targets.ts', import.meta.url),
  Object.keys(targets),
);
