import type { CommandContext } from './cli.ts';
import type { Session } from './session.ts';
import { settle } from './settle.ts';

/** Milliseconds that a peer which was opened for the command takes to find others, when the user does not say. */
const FIND_WAIT = 5000;
/** Milliseconds without news after which a list is complete: a peer that runs knows, one just opened is finding out. */
const QUIET = { running: 200, temporary: 800 };

/** Asks until the answer is enough and settled, for `wait` milliseconds at most. Returns the last answer, whatever it is. */
export function lookAround<T>(
  { signal }: CommandContext,
  { api, temporary }: Session,
  wait: number | undefined,
  ask: () => Promise<T>,
  isEnough: (answer: T) => boolean,
): Promise<T> {
  return settle(api, ask, isEnough, {
    wait: wait ?? (temporary ? FIND_WAIT : 0),
    quiet: temporary ? QUIET.temporary : QUIET.running,
    signal,
  });
}
