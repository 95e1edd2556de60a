import type { Dice } from '../dice.ts';
import type { Simulation } from '../simulation.ts';
import type { Judge } from './judge.ts';
import type { Schedule } from './schedule.ts';

/** What all parts of one run share. */
export interface Run {
  readonly sim: Simulation;
  readonly schedule: Schedule;
  readonly judge: Judge;
  readonly dice: Dice;
  readonly onDelivery: (chunk: Buffer) => void;
}
