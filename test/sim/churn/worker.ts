/** A process that simulates days: each message is a seed, each answer its outcome. */
import { DAY, runChurn } from './churn-day.ts';

process.on('message', (seed: number) => {
  runChurn(seed, { members: 50, duration: DAY }).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => {
      throw error;
    },
  );
});
process.once('disconnect', () => process.exit());
