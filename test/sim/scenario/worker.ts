/** A process that runs scenarios: each message is a seed, each answer its outcome. */
import { runScenario } from './run-scenario.ts';
import { makeScenario } from './scenario.ts';

process.on('message', (seed: number) => {
  runScenario(makeScenario(seed)).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => {
      throw error;
    },
  );
});
process.once('disconnect', () => process.exit());
