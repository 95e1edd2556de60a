/** `npm run fuzz [MINUTES]`: the fuzz suite again and again with new seeds, until time is up (default 10) or it fails. */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

const minutes = Number(process.argv[2] ?? 10);
if (!(minutes > 0)) {
  console.error('npm run fuzz [MINUTES]');
  process.exit(2);
}
const mocha = ['node_modules/mocha/bin/mocha.js', '--spec', 'test/fuzz/**/*.test.ts'];
const deadline = Date.now() + minutes * 60_000;
for (let round = 1; Date.now() < deadline; round++) {
  const seed = randomInt(1, 2 ** 31);
  console.log(`round ${round}, FUZZ_SEED=${seed}`);
  const { status } = spawnSync(process.execPath, [...mocha, '--reporter', 'dot', '--timeout', '600000'], {
    stdio: 'inherit',
    env: { ...process.env, FUZZ_RUNS: process.env.FUZZ_RUNS ?? '100000', FUZZ_SEED: String(seed) },
  });
  if (status !== 0) {
    console.error(`Failed; again with: FUZZ_SEED=${seed} npm run fuzz`);
    process.exit(1);
  }
}
