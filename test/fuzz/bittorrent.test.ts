import { targets } from './bittorrent-targets.ts';
import { fuzzSuite } from './harness.ts';

fuzzSuite('fuzzing the BitTorrent decoders', new URL('./bittorrent-targets.ts', import.meta.url), Object.keys(targets));
